//! TLS, with trust in exactly one authority; and servers that say nothing.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use shadowcat_proto::admin::v1::StatusRequest;
use shadowcatctl_cli::Exit;
use shadowcatctl_cli::connect::{Client, Fingerprint, Target};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;

use crate::fake::{EDITOR, Fake};
use crate::support::{Told, ctl};

/// Connections that wait to be served; a test opens one at a time.
const WAITING: usize = 4;

/// A control plane behind TLS whose certificate names `name`: its URL, and its authority's fingerprint.
async fn serve(name: &str) -> (String, Fingerprint) {
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("signed");
    let key = KeyPair::generate().expect("a key");
    let own =
        CertificateParams::new(vec![name.to_owned()]).expect("a name").signed_by(&key, &authority).expect("signed");
    let fingerprint = Fingerprint::of(authority.der());
    let chain = vec![own.der().clone(), authority.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a chain");
    config.alpn_protocols = vec![b"h2".to_vec()];

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (sender, receiver) = mpsc::channel(WAITING);
    let accepting = async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Whoever does not trust us goes away; the next one is welcome.
            if let Ok(stream) = acceptor.accept(stream).await
                && sender.send(std::io::Result::Ok(stream)).await.is_err()
            {
                break;
            }
        }
    };
    let serving = Fake::new().router().serve_with_incoming(ReceiverStream::new(receiver));
    #[expect(clippy::disallowed_methods, reason = "both end with the runtime of their test")]
    {
        tokio::spawn(accepting);
        tokio::spawn(serving);
    }
    (format!("https://127.0.0.1:{port}"), fingerprint)
}

async fn status(url: &str, ca: Option<Fingerprint>) -> Told {
    let asking = ctl(&["status"]).at(url, EDITOR);
    match ca {
        Some(ca) => asking.env("SHADOWCAT_CA", ca.to_string()).run().await,
        None => asking.run().await,
    }
}

#[tokio::test]
async fn a_server_with_the_right_authority_and_name_is_trusted_whatever_its_address() {
    let (url, ca) = serve("shadowcat-control-plane").await;
    let told = status(&url, Some(ca)).await;
    assert_eq!(told.code, 0, "{told:?}");
}

#[tokio::test]
async fn another_authority_is_refused_and_its_fingerprint_shown() {
    let (url, ca) = serve("shadowcat-control-plane").await;
    let told = status(&url, Some(Fingerprint::of(b"another"))).await;
    assert_eq!(told.code, 4, "{told:?}");
    assert!(told.stderr.contains(&ca.to_string()) && told.stderr.contains("--ca"), "{told:?}");
}

#[tokio::test]
async fn a_certificate_of_the_right_authority_for_something_else_is_refused() {
    let (url, ca) = serve("edge-1").await;
    let told = status(&url, Some(ca)).await;
    assert_eq!(told.code, 4, "{told:?}");
    assert!(told.stderr.contains("no TLS with"), "{told:?}");
}

#[tokio::test]
async fn a_server_that_cannot_be_known_is_not_asked() {
    let (url, _) = serve("shadowcat-control-plane").await;
    let told = status(&url, None).await;
    assert_eq!(told.code, 2, "{told:?}");
    assert!(told.stderr.contains("--ca"), "{told:?}");
}

/// A server that takes connections and never says a word.
async fn mute() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    (listener, address)
}

fn target(url: &str) -> Target {
    let server = url.parse().expect("a server");
    Target { server, ca: Some(Fingerprint::of(b"any")), token: EDITOR.to_owned(), fleet: "default".to_owned() }
}

#[tokio::test]
async fn a_server_that_does_not_answer_a_handshake_is_given_up_after_five_seconds() {
    let (_listener, address) = mute().await;
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let failure = Client::connect(target(&format!("https://{address}"))).await.expect_err("it says nothing");
    assert_eq!(failure.exit(), Exit::Unreachable, "{failure}");
    assert!(failure.to_string().contains("within 5 s"), "{failure}");
    assert!(begun.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn a_call_without_an_answer_is_given_up_within_thirty_seconds() {
    let (_listener, address) = mute().await;
    let client = Client::connect(target(&format!("http://{address}"))).await.expect("a connection");
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let request = StatusRequest { fleet: client.fleet() };
    let failure =
        client.call("show the status", client.fleets().status(request)).await.expect_err("nobody answers the call");
    assert_eq!(failure.exit(), Exit::Unreachable, "{failure}");
    assert!(failure.to_string().contains("broke: operation timed out"), "{failure}");
    assert!(begun.elapsed() <= Duration::from_secs(31));
}
