//! The pool of connections: hyper-util's client, with a bound on connecting and TLS only where it is needed.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tower_service::Service;

use super::failure::ConnectTimedOut;
use super::settings::{HttpSettings, Security};

/// Read buffer of a connection, and by it the longest head that is accepted. What a server sends while a client does not
/// read piles up to this bound and no further; larger buffers did not make one burst larger.
const READ_BUFFER: usize = 64 * 1024;

/// The window of one HTTP/2 stream: the same backpressure as [`READ_BUFFER`] gives on HTTP/1.1, with room for the round
/// trip of the window update.
const STREAM_WINDOW: u32 = 256 * 1024;

/// TCP keep-alive, and HTTP/2 pings: silent streams may live for hours, and a peer that vanished is noticed only by asking.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Plain = Bounded<HttpConnector>;
type Tls = Bounded<HttpsConnector<HttpConnector>>;

/// A pool of connections to one endpoint.
///
/// The pool retries a request on another connection in one case only: the connection it had picked was reused and closed
/// before it took the request out of its queue (`retry_canceled_requests` of hyper-util, which hands the untouched request
/// back). No byte of it has left then, so a call still runs at most once.
pub(super) enum Pool {
    Plain(Box<Client<Plain, Full<Bytes>>>),
    /// Made at the first request: reading the system's root certificates takes milliseconds and megabytes.
    Tls(Box<OnceCell<Client<Tls, Full<Bytes>>>>),
}

impl Pool {
    pub(super) fn new(settings: &HttpSettings, security: Security) -> Self {
        match security {
            Security::Plain => Self::Plain(Box::new(client(settings, tcp(settings.connect)))),
            Security::Tls => Self::Tls(Box::default()),
        }
    }

    /// A pool that trusts other roots than the system's.
    #[cfg(test)]
    pub(super) fn trusting(settings: &HttpSettings, trust: ClientConfig) -> Self {
        Self::Tls(Box::new(OnceCell::new_with(Some(secure(settings, trust)))))
    }

    /// Sends a request.
    ///
    /// # Errors
    /// The system's root certificates cannot be read. Everything else is an error of the future.
    pub(super) async fn request(
        &self,
        settings: &HttpSettings,
        request: Request<Full<Bytes>>,
    ) -> io::Result<ResponseFuture> {
        match self {
            Self::Plain(client) => Ok(client.request(request)),
            Self::Tls(client) => Ok(client.get_or_try_init(|| tls(settings)).await?.request(request)),
        }
    }
}

fn tcp(connect: Duration) -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEP_ALIVE));
    // Divided among the addresses of a name, so that one dead address does not use up the whole bound.
    tcp.set_connect_timeout(Some(connect));
    tcp
}

async fn tls(settings: &HttpSettings) -> io::Result<Client<Tls, Full<Bytes>>> {
    // Files are read: not on a thread that serves calls.
    let trust = tokio::task::spawn_blocking(|| {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let builder = ClientConfig::builder_with_provider(provider.into()).with_safe_default_protocol_versions();
        io::Result::Ok(builder.map_err(io::Error::other)?.with_native_roots()?.with_no_client_auth())
    });
    Ok(secure(settings, trust.await.map_err(io::Error::other)??))
}

/// Connections that trust whom `trust` trusts, and speak HTTP/2 with servers that offer it (ALPN).
fn secure(settings: &HttpSettings, trust: ClientConfig) -> Client<Tls, Full<Bytes>> {
    let mut tcp = tcp(settings.connect);
    tcp.enforce_http(false);
    let connector = HttpsConnectorBuilder::new().with_tls_config(trust);
    client(settings, connector.https_only().enable_all_versions().wrap_connector(tcp))
}

fn client<C>(settings: &HttpSettings, connector: C) -> Client<Bounded<C>, Full<Bytes>>
where
    Bounded<C>: Connect + Clone,
{
    let idle = usize::try_from(settings.max_connections).unwrap_or(usize::MAX);
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(settings.idle_timeout)
        .pool_max_idle_per_host(idle)
        // Every request carries its `host`, made once; the pool would format it anew for each.
        .set_host(false)
        .http1_max_buf_size(READ_BUFFER)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .build(Bounded { connector, limit: settings.connect })
}

/// A connector with a bound on the whole of connecting: hyper-util's own covers neither name look-up nor TLS.
#[derive(Clone)]
pub(super) struct Bounded<C> {
    connector: C,
    limit: Duration,
}

impl<C> Service<Uri> for Bounded<C>
where
    C: Service<Uri, Error: Into<BoxError>, Future: Send + 'static>,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = timeout(self.limit, self.connector.call(uri));
        Box::pin(async move {
            match connecting.await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_elapsed) => Err(ConnectTimedOut.into()),
            }
        })
    }
}
