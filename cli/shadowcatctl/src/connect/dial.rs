//! A connection as bytes: TCP, and TLS where it leaves the machine. tonic makes HTTP/2 of it.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use shadowcat_net::{as_stranger, secure};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tower_service::Service;

use super::address::Security;
use super::{Server, Target};

/// A connection of either kind.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Why there is no connection, with the cure.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("no connection to {server}: {why}; look whether the control plane runs there, or give another --server")]
    Unreachable { server: String, why: String },
    #[error("no TLS with {server}: {why}; look whether --ca is the fingerprint of this control plane's authority")]
    Untrusted { server: String, why: String },
}

/// Opens connections to one server, one whenever tonic finds that it has none.
#[derive(Debug, Clone)]
pub(super) struct Dialer {
    server: Server,
    tls: Option<Arc<ClientConfig>>,
}

impl Dialer {
    /// A dialer, or why there cannot be one for this target.
    pub(super) fn new(target: &Target) -> Result<Self, String> {
        let server = target.server.clone();
        let tls = match (server.security, target.ca) {
            (Security::Loopback, _) => None,
            (Security::Tls, Some(authority)) => Some(as_stranger(authority).map_err(|why| why.to_string())?),
            (Security::Tls, None) => {
                return Err(format!(
                    "{server}: nothing tells that it is the right one; give its authority's fingerprint with --ca, the part \
                     after the dot of a join token"
                ));
            }
        };
        Ok(Self { server, tls: tls.map(Arc::new) })
    }

    async fn dial(self) -> Result<Box<dyn Wire>, DialError> {
        let stream = self
            .tcp()
            .await
            .map_err(|why| DialError::Unreachable { server: self.server.to_string(), why: why.to_string() })?;
        let Some(tls) = self.tls else { return Ok(Box::new(stream)) };
        let stream = secure(stream, tls).await;
        let untrusted = |why| DialError::Untrusted { server: self.server.to_string(), why };
        Ok(Box::new(stream.map_err(|why| untrusted(why.to_string()))?))
    }

    async fn tcp(&self) -> std::io::Result<TcpStream> {
        let found = lookup_host((self.server.host.as_str(), self.server.port)).await?;
        // `localhost` is a name like any other to a resolver: only what really is this machine gets the token in plain text.
        let allowed = |address: &SocketAddr| self.server.security == Security::Tls || address.ip().is_loopback();
        let mut failure = std::io::Error::other("the name has no address");
        for address in found.filter(allowed) {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(why) => failure = why,
            }
        }
        Err(failure)
    }
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<Box<dyn Wire>>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    /// The URI is tonic's; where to go is the dialer's own.
    fn call(&mut self, _: Uri) -> Self::Future {
        let dialer = self.clone();
        Box::pin(async move { dialer.dial().await.map(TokioIo::new) })
    }
}
