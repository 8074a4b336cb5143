//! The first room of a call: connections are accepted, counted, secured and given their deadlines here.
//!
//! The loop is our own because the usual builders leave the protocol sniff, the HTTP/2 preface and the TLS handshake without a
//! time-out, and count nothing. What a request says is not this module's business.

mod activity;
mod connection;
mod deadline;
mod frames;
mod stall;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use activity::CallOnConnection;
use connection::Leaving;
use shadowcat_net::{Caps, Limits};
pub use tls::TlsError;
pub(crate) use tls::acceptor;

use crate::drain::Drain;
use crate::stream::GatewayBody;

/// Connections of clients. One costs about 12 KiB idle, so all of them cost 120 MB.
pub(crate) const CLIENTS: Limits = Limits { all: 10_000, per_address: 200 };

/// Connections of operators. They have their own, so that an overload can be watched while it lasts.
pub(crate) const OPERATORS: Limits = Limits { all: 100, per_address: 20 };

/// After a failed `accept` (no file descriptor left, most often) the loop breathes before it asks again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A silent connection is asked after this whether its peer is still there, and given up when it has not answered for as long
/// again.
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(60);

/// What answers requests. One per listener.
pub(crate) trait Service: Send + Sync + 'static {
    /// Answers one request; failures are answers too. `call` keeps its connection busy until the answer's last byte.
    fn call(
        &self,
        call: CallOnConnection,
        request: http::Request<Incoming>,
    ) -> impl Future<Output = http::Response<GatewayBody>> + Send;
}

/// A bound socket.
pub(crate) struct Listener {
    socket: TcpListener,
    tls: Option<tokio_rustls::TlsAcceptor>,
    caps: Arc<Caps>,
    /// Those that serve connections.
    tasks: TaskTracker,
}

impl Listener {
    pub(crate) async fn bind(
        address: SocketAddr,
        tls: Option<tokio_rustls::TlsAcceptor>,
        caps: Arc<Caps>,
        tasks: TaskTracker,
    ) -> io::Result<Self> {
        Ok(Self { socket: TcpListener::bind(address).await?, tls, caps, tasks })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until the door is closed, then returns; connections finish what they have, in the tasks it was bound with.
    pub(crate) async fn run<S: Service>(self, service: Arc<S>, door: CancellationToken, drain: Drain) {
        loop {
            let accepted = tokio::select! {
                () = door.cancelled() => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((socket, address)) => {
                    let streams = self.tasks.clone();
                    let leaving = Leaving { door: door.child_token(), drain: drain.clone(), streams };
                    self.admit(socket, address, &service, leaving);
                }
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit<S: Service>(&self, socket: TcpStream, address: SocketAddr, service: &Arc<S>, leaving: Leaving) {
        let Some(permit) = self.caps.admit(address.ip()) else {
            tracing::debug!(%address, "connection refused: too many");
            return;
        };
        // Small messages must not wait for more to come (RFC 896 against interactive traffic).
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY not set");
        }
        if let Err(error) = ask_whether_alive(&socket) {
            tracing::debug!(%error, "TCP keep-alive not set");
        }
        let (service, tls) = (Arc::clone(service), self.tls.clone());
        self.tasks.spawn(async move {
            let ended = match tls {
                None => connection::plain(socket, service, leaving).await,
                // Boxed: what a handshake holds must not be held by every connection without one.
                Some(tls) => Box::pin(connection::secured(socket, &tls, service, leaving)).await,
            };
            if let Err(error) = ended {
                tracing::debug!(%address, %error, "connection ended");
            }
            drop(permit);
        });
    }
}

/// A client that vanished without a word would hold its stream for ever: TCP asks it.
fn ask_whether_alive(socket: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, TCP_KEEP_ALIVE)?;
    sockopt::set_tcp_keepintvl(socket, TCP_KEEP_ALIVE / 4)?;
    sockopt::set_tcp_keepcnt(socket, 4)?;
    Ok(())
}
