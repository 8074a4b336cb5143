//! Whom a test client trusts over TLS: nobody, or the one server whose certificate it was given.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use http::Version;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(super) type Connector = HttpsConnector<HttpConnector>;

/// For a client that speaks without TLS.
pub(super) fn nobody() -> Connector {
    HttpsConnectorBuilder::new()
        .with_tls_config(trusting(RootCertStore::empty()))
        .https_or_http()
        .enable_http1()
        .build()
}

/// Trusts the certificate in the file `certificate`, and offers `versions` of HTTP (ALPN). Refuses to speak without TLS.
pub(super) fn only(certificate: &Path, versions: &[Version]) -> Connector {
    let builder = HttpsConnectorBuilder::new().with_tls_config(trusting(roots(certificate))).https_only();
    match versions {
        [Version::HTTP_11] => builder.enable_http1().build(),
        [Version::HTTP_2] => builder.enable_http2().build(),
        _ => builder.enable_http1().enable_http2().build(),
    }
}

/// A connection to `port` of this machine with TLS, whose handshake is done, and nothing said on it yet. The server must prove
/// the certificate in the file `certificate`, and agree to `version` of HTTP.
pub async fn secured(port: u16, certificate: &Path, version: Version) -> TlsStream<TcpStream> {
    let protocol: &[u8] = if version == Version::HTTP_2 { b"h2" } else { b"http/1.1" };
    let mut config = trusting(roots(certificate));
    config.alpn_protocols = vec![protocol.to_owned()];
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("the port is listened on");
    let name = ServerName::try_from("localhost").expect("localhost is a name");
    let socket = TlsConnector::from(Arc::new(config)).connect(name, socket).await.expect("a handshake");
    assert_eq!(socket.get_ref().1.alpn_protocol(), Some(protocol), "{version:?} is agreed on");
    socket
}

fn roots(certificate: &Path) -> RootCertStore {
    let certificate = CertificateDer::from_pem_file(certificate).expect("the fleet wrote a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate can be trusted");
    roots
}

fn trusting(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
