//! TLS, with a server whose certificate the system does not know.

mod multiplexing;
mod speech;
mod untaken;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connect::Connector;
use super::pool::Pool;
use super::{HttpSettings, HttpUpstream};
use crate::{Call, Stage, Upstream, UpstreamMetrics, Verb, Why};

type Secured = TlsStream<TcpStream>;

struct TlsServer {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl TlsServer {
    /// A server that offers `protocols`, and answers with the length of the body it was sent.
    async fn offering(protocols: &[&[u8]]) -> Self {
        Self::serving(protocols, |secured, _nth| async {
            let builder = auto::Builder::new(TokioExecutor::new());
            _ = builder.serve_connection(TokioIo::new(secured), service_fn(length)).await;
        })
        .await
    }

    /// A server that offers `protocols`, and treats its nth connection, from 1 on, as `serve` says.
    async fn serving<F>(protocols: &[&[u8]], serve: impl Fn(Secured, usize) -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::serving_by(1, protocols, serve).await
    }

    /// The same, but its handshakes go on only when so many, `together`, have begun.
    async fn serving_by<F>(
        together: usize,
        protocols: &[&[u8]],
        serve: impl Fn(Secured, usize) -> F + Clone + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let certificate = cert.der().clone();
        let acceptor = acceptor(certificate.clone(), signing_key.serialize_der(), protocols);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let begun = Arc::new(Barrier::new(together));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((socket, _peer)) = listener.accept().await {
                let nth = count.fetch_add(1, Ordering::Relaxed) + 1;
                let (acceptor, serve, begun) = (acceptor.clone(), serve.clone(), Arc::clone(&begun));
                serving.spawn(async move {
                    begun.wait().await;
                    let Ok(secured) = acceptor.accept(socket).await else { return };
                    serve(secured, nth).await;
                });
            }
        });
        Self { address, certificate, connections, _tasks: tasks }
    }

    fn settings(&self) -> HttpSettings {
        HttpSettings {
            name: "vault".to_owned(),
            url: format!("https://localhost:{}/mcp", self.address.port()).parse().expect("a url"),
            headers: HeaderMap::new(),
            max_connections: 64,
            idle_timeout: Duration::from_secs(60),
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(10),
            idle: Duration::from_secs(10),
        }
    }

    fn trusted_upstream(&self) -> HttpUpstream {
        self.trusted_upstream_with(self.settings())
    }

    fn trusted_upstream_with(&self, settings: HttpSettings) -> HttpUpstream {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a root");
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let trust = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut upstream = HttpUpstream::new(settings, &UpstreamMetrics::default()).expect("a good url");
        upstream.pool = Pool::through(Connector::trusting(&upstream.settings, trust), &upstream.settings);
        upstream
    }

    /// An upstream that trusts the system's roots.
    fn upstream(&self) -> HttpUpstream {
        HttpUpstream::new(self.settings(), &UpstreamMetrics::default()).expect("a good url")
    }

    /// Connections so far.
    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn acceptor(certificate: CertificateDer<'static>, key: Vec<u8>, protocols: &[&[u8]]) -> TlsAcceptor {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut config = ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key.into()))
        .expect("a key that fits");
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

async fn length(request: Request<Incoming>) -> Result<Response<Full<bytes::Bytes>>, Infallible> {
    let length = request.into_body().collect().await.map_or(0, |body| body.to_bytes().len());
    Ok(Response::new(Full::new(length.to_string().into())))
}

fn call() -> Call {
    Call { verb: Verb::Get, headers: HeaderMap::new(), session: None, exchange: None }
}

#[tokio::test]
async fn calls_share_one_http_2_connection_where_the_server_offers_it() {
    let server = TlsServer::offering(&[b"h2", b"http/1.1"]).await;
    let upstream = server.trusted_upstream();
    let first = upstream.call(call()).await.expect("an answer");
    assert_eq!(first.version(), Version::HTTP_2);
    let (second, third) = tokio::join!(upstream.call(call()), upstream.call(call()));
    for answer in [first, second.expect("an answer"), third.expect("an answer")] {
        assert_eq!(answer.into_body().collect().await.expect("a body").to_bytes(), "0");
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(upstream.status().in_flight, 0);
}

#[tokio::test]
async fn a_server_without_http_2_is_spoken_to_in_http_1() {
    let server = TlsServer::offering(&[b"http/1.1"]).await;
    let answer = server.trusted_upstream().call(call()).await.expect("an answer");
    assert_eq!(answer.version(), Version::HTTP_11);
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused_before_a_byte_is_sent() {
    let server = TlsServer::offering(&[b"http/1.1"]).await;
    let error = server.upstream().call(call()).await.expect_err("not trusted");
    assert_eq!((error.stage, error.why, error.sent), (Stage::Connect, Why::Unreachable, false));
    assert!(error.detail.contains("cannot be trusted"), "{}", error.detail);
}
