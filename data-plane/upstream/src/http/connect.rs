//! Making a connection: TCP, and TLS only where it is needed, within one bound.

use std::io;
use std::time::Duration;

use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tower_service::Service;

use super::failure::{self, ConnectTimedOut};
use super::settings::{HttpSettings, Security};
use crate::UpstreamError;

/// TCP keep-alive, and HTTP/2 pings: silent streams may live for hours, and a peer that vanished is noticed only by asking.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// A connected socket, secured or not.
pub(super) type Socket = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Connects to one endpoint.
pub(super) enum Connector {
    Plain(HttpConnector),
    /// Made at the first request: reading the system's root certificates takes milliseconds and megabytes.
    Tls(OnceCell<HttpsConnector<HttpConnector>>),
}

/// What was agreed on with a server (ALPN); without TLS it is always HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    Http1,
    Http2,
}

impl Connector {
    pub(super) fn new(settings: &HttpSettings, security: Security) -> Self {
        match security {
            Security::Plain => Self::Plain(tcp(settings.connect)),
            Security::Tls => Self::Tls(OnceCell::new()),
        }
    }

    /// A connector that trusts other roots than the system's.
    #[cfg(test)]
    pub(super) fn trusting(settings: &HttpSettings, trust: ClientConfig) -> Self {
        Self::Tls(OnceCell::new_with(Some(tls(settings, trust))))
    }

    /// A new connection, within `settings.connect` for name look-up, TCP and TLS together.
    pub(super) async fn connect(&self, settings: &HttpSettings) -> Result<(Socket, Spoken), UpstreamError> {
        let name = &settings.name;
        let connecting = timeout(settings.connect, self.open(settings));
        match connecting.await {
            Ok(connected) => connected,
            Err(_elapsed) => Err(failure::of_connect(name, &ConnectTimedOut)),
        }
    }

    async fn open(&self, settings: &HttpSettings) -> Result<(Socket, Spoken), UpstreamError> {
        let (name, url) = (&settings.name, settings.url.clone());
        let socket = match self {
            Self::Plain(tcp) => {
                let tcp = tcp.clone().call(url).await.map_err(|error| failure::of_connect(name, &error))?;
                MaybeHttpsStream::Http(tcp)
            }
            Self::Tls(tls) => {
                let made = tls.get_or_try_init(|| trusting_the_system(settings)).await;
                let mut tls = made.map_err(|error| failure::of_roots(name, &error))?.clone();
                tls.call(url).await.map_err(|error| failure::of_connect(name, &*error))?
            }
        };
        let spoken = if socket.connected().is_negotiated_h2() { Spoken::Http2 } else { Spoken::Http1 };
        Ok((socket, spoken))
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

async fn trusting_the_system(settings: &HttpSettings) -> io::Result<HttpsConnector<HttpConnector>> {
    // Files are read: not on a thread that serves calls.
    let trust = tokio::task::spawn_blocking(|| {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let builder = ClientConfig::builder_with_provider(provider.into()).with_safe_default_protocol_versions();
        io::Result::Ok(builder.map_err(io::Error::other)?.with_native_roots()?.with_no_client_auth())
    });
    Ok(tls(settings, trust.await.map_err(io::Error::other)??))
}

/// Connections that trust whom `trust` trusts, and speak HTTP/2 with servers that offer it (ALPN).
fn tls(settings: &HttpSettings, trust: ClientConfig) -> HttpsConnector<HttpConnector> {
    let mut tcp = tcp(settings.connect);
    tcp.enforce_http(false);
    HttpsConnectorBuilder::new().with_tls_config(trust).https_only().enable_all_versions().wrap_connector(tcp)
}
