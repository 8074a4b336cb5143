//! A node's connection to its control plane, as gRPC has it.

use std::future::{Ready, ready};
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Error};

/// A line on which nothing comes is asked this often whether it is there; a proxy in between may have forgotten it.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);

/// What has not answered after this is gone.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A channel over one connection. It is never made anew: when it breaks, whoever uses it dials again.
///
/// # Errors
/// If the other end speaks no HTTP/2.
pub async fn line(connection: TlsStream<TcpStream>) -> Result<Channel, Error> {
    // The name is only what requests carry as `:authority`; where they go is decided.
    let endpoint = Endpoint::from_static("http://shadowcat-control-plane")
        .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    // Boxed: what it takes to begin must not be held by whoever waits for it.
    Box::pin(endpoint.connect_with_connector(Once(Some(TokioIo::new(connection))))).await
}

/// Hands out the one connection there is.
struct Once(Option<TokioIo<TlsStream<TcpStream>>>);

impl tower_service::Service<Uri> for Once {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}
