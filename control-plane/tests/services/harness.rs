//! A control plane that runs in the test's process, and the way to it.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use shadowcat_control_plane::store::{self, Role, Store};
use shadowcat_control_plane::token::{self, AdminToken};
use shadowcat_control_plane::{ControlPlane, Settings};
use shadowcat_proto::admin::v1::configurations_client::ConfigurationsClient;
use shadowcat_proto::admin::v1::fleets_client::FleetsClient;
use shadowcat_proto::admin::v1::nodes_client::NodesClient;
use shadowcat_proto::admin::v1::sessions_client::SessionsClient;
use shadowcat_proto::admin::v1::tapes_client::TapesClient;
use shadowcat_proto::admin::v1::upstreams_client::UpstreamsClient;
use shadowcat_proto::admin::v1::{ApplyRequest, ApplyResponse, CreateJoinTokenRequest};
use shadowcat_proto::config::v1 as raw;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// What everything that should happen soon happens within, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A control plane that serves, and its admin's token.
pub(crate) struct Plane {
    pub(crate) grpc: SocketAddr,
    pub(crate) console: SocketAddr,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) authority: CertificateDer<'static>,
    pub(crate) token: String,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
    _dir: Arc<TempDir>,
}

/// A directory of its own.
pub(crate) fn directory() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}

/// A database of its own.
pub(crate) async fn database(dir: &TempDir) -> Arc<dyn Store> {
    store::open(&format!("sqlite:{}", dir.path().join("test.db").display())).await.unwrap()
}

impl Plane {
    pub(crate) async fn start() -> Self {
        let dir = directory();
        let store = database(&dir).await;
        Self::on(store, dir).await
    }

    /// One more replica, or the first, on a store.
    pub(crate) async fn on(store: Arc<dyn Store>, dir: Arc<TempDir>) -> Self {
        let local: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let settings = Settings { bind: local, console_bind: local, ..Settings::new(dir.path()) };
        let plane = ControlPlane::with_store(store, settings).await.unwrap();
        let token = std::fs::read_to_string(dir.path().join(token::ADMIN_TOKEN_FILE)).unwrap().trim().to_owned();
        let (stop, stopped) = oneshot::channel::<()>();
        let (grpc, console) = (plane.grpc_addr(), plane.console_addr());
        let (store, authority) = (Arc::clone(plane.store()), plane.authority().certificate().clone());
        let serving = tokio::spawn(async move { plane.serve(async { drop(stopped.await) }).await.unwrap() });
        Self { grpc, console, store, authority, token, stop: Some(stop), serving, _dir: dir }
    }

    /// Stops it, and waits until it has.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        tokio::time::timeout(SOON, self.serving).await.expect("it stops within its grace period").unwrap();
    }

    /// A channel without TLS.
    pub(crate) fn plain(&self) -> Channel {
        Dialer { address: self.grpc, tls: None }.channel()
    }

    /// A channel with TLS, and the certificate of a node if there is one.
    pub(crate) fn secured(&self, identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>) -> Channel {
        secured(self.grpc, &self.authority, identity)
    }

    /// A message with the admin's token.
    pub(crate) fn ask<T>(&self, message: T) -> Request<T> {
        with_token(message, &self.token)
    }

    /// A token of another role.
    pub(crate) async fn token_of(&self, role: Role) -> String {
        let token = AdminToken::generate().unwrap();
        token::keep(self.store.as_ref(), &token, role.as_str(), role).await.unwrap();
        token.reveal()
    }

    pub(crate) async fn join_token(&self, uses: u32) -> String {
        let request = CreateJoinTokenRequest { uses, ..CreateJoinTokenRequest::default() };
        self.nodes().create_join_token(self.ask(request)).await.unwrap().into_inner().token
    }

    pub(crate) async fn apply(&self, config: raw::Config) -> Result<ApplyResponse, Status> {
        let request = ApplyRequest { config: Some(config), ..ApplyRequest::default() };
        self.configurations().apply(self.ask(request)).await.map(tonic::Response::into_inner)
    }

    pub(crate) fn configurations(&self) -> ConfigurationsClient<Channel> {
        ConfigurationsClient::new(self.plain())
    }

    pub(crate) fn nodes(&self) -> NodesClient<Channel> {
        NodesClient::new(self.plain())
    }

    pub(crate) fn sessions(&self) -> SessionsClient<Channel> {
        SessionsClient::new(self.plain())
    }

    pub(crate) fn upstreams(&self) -> UpstreamsClient<Channel> {
        UpstreamsClient::new(self.plain())
    }

    pub(crate) fn tapes(&self) -> TapesClient<Channel> {
        TapesClient::new(self.plain())
    }

    /// What it answers a GET of this path on the console's port, head included.
    pub(crate) async fn get(&self, path: &str) -> String {
        let mut socket = TcpStream::connect(self.console).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).await.unwrap();
        text
    }

    pub(crate) fn fleets(&self) -> FleetsClient<Channel> {
        FleetsClient::new(self.plain())
    }
}

/// A channel with TLS to whoever has the certificate of this authority.
pub(crate) fn secured(
    address: SocketAddr,
    authority: &CertificateDer<'static>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Channel {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Dialer { address, tls: Some(Arc::new(config)) }.channel()
}

pub(crate) fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

/// A configuration with one route to one upstream, which tells it from others.
pub(crate) fn config(name: &str) -> raw::Config {
    let text = format!(
        "routes: [{{ name: {name}, match: {{ path: /{name} }}, targets: [{{ upstream: {name} }}] }}]\n\
         upstreams: [{{ name: {name}, http: {{ endpoints: [{{ url: 'http://127.0.0.1:3001/mcp' }}] }} }}]\n"
    );
    shadowcat_config::parse_fleet(&[("test.yaml".to_owned(), text)]).unwrap().config().clone()
}

/// Waits until something is so.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let waited = tokio::time::timeout(SOON, async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}

#[derive(Clone)]
struct Dialer {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

impl Dialer {
    fn channel(self) -> Channel {
        Endpoint::from_static("http://shadowcat-control-plane").connect_with_connector_lazy(self)
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

type Dialed = TokioIo<Box<dyn Io>>;

impl tower_service::Service<http::Uri> for Dialer {
    type Response = Dialed;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Dialed, std::io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        let Self { address, tls } = self.clone();
        Box::pin(async move {
            let socket = TcpStream::connect(address).await?;
            let io: Box<dyn Io> = match tls {
                Some(tls) => Box::new(shadowcat_net::secure(socket, tls).await.map_err(std::io::Error::other)?),
                None => Box::new(socket),
            };
            Ok(TokioIo::new(io))
        })
    }
}
