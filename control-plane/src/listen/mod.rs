//! The gRPC port: connections are accepted, counted, secured and given their deadlines here, and then handed to tonic.
//!
//! tonic's own listener leaves the TLS handshake and the HTTP/2 preface without a time-out and counts nothing. One port serves
//! TLS and, to peers on the same machine alone, plain text: the first byte tells which.

mod connection;
mod console;
mod front;
mod rarely;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use rustls::ServerConfig;
use shadowcat_net::{Caps, Limits};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use connection::{Connection, Socket};
pub(crate) use console::Console;
pub(crate) use front::{Front, Services, health, reflection};

use self::rarely::Rarely;
use crate::observe::Metrics;

/// Connections of nodes and operators: ten times the largest fleet that was measured, and a bound on what a flood costs. A fleet
/// behind one router fits into those of one address.
pub(crate) const CONNECTIONS: Limits = Limits { all: 10_000, per_address: 1_000 };

/// After a failed `accept` (no file descriptor left, most often) the loop breathes before it asks again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Handshakes that compute at once: on two cores each of them ends within its deadline; the rest of a herd waits its turn.
const HANDSHAKES_MAX: usize = 50;

/// Connections that are ready and that tonic has not taken yet. It takes them without waiting for anything.
const READY_MAX: usize = 64;

/// A ping on an idle connection (HTTP/2, RFC 9113, 6.7): a node that is gone without a word is noticed within this and
/// [`KEEP_ALIVE_TIMEOUT`].
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);

/// A ping is answered within this time, or the connection is closed.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Calls at once on a connection: a node has two, a terminal a few.
const STREAMS_MAX: u32 = 64;

/// Headers of a call, decoded: a token and what gRPC adds.
const HEAD_BYTES_MAX: u32 = 16 * 1024;

/// What may be under way to us on one stream of a connection; a configuration comes in pieces of this.
const WINDOW_BYTES: u32 = 64 * 1024;

/// What may be under way to us on one connection.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// The bound gRPC port.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) caps: Arc<Caps>,
    pub(crate) metrics: Metrics,
    pub(crate) tasks: TaskTracker,
}

impl Listener {
    /// Serves until `stop`; then until calls have ended, or `cut` ends what is left.
    pub(crate) async fn serve(
        self,
        services: Front,
        stop: CancellationToken,
        cut: CancellationToken,
    ) -> Result<(), tonic::transport::Error> {
        let (ready, connections) = mpsc::channel(READY_MAX);
        let tasks = self.tasks.clone();
        tasks.spawn(self.accept(ready, stop.clone(), cut));
        tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEP_ALIVE_EVERY))
            .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
            .max_concurrent_streams(STREAMS_MAX)
            .http2_max_header_list_size(HEAD_BYTES_MAX)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .serve_with_incoming_shutdown(services, incoming(connections), stop.cancelled_owned())
            .await
    }

    async fn accept(self, ready: mpsc::Sender<Socket>, stop: CancellationToken, cut: CancellationToken) {
        let (handshakes, plain) = (Arc::new(Semaphore::new(HANDSHAKES_MAX)), Arc::new(Rarely::default()));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((socket, address)) => {
                    let opening = Opening {
                        tls: Arc::clone(&self.tls),
                        handshakes: Arc::clone(&handshakes),
                        plain: Arc::clone(&plain),
                        cut: cut.clone(),
                    };
                    self.admit(socket, address, opening, ready.clone());
                }
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, socket: TcpStream, address: SocketAddr, opening: Opening, ready: mpsc::Sender<Socket>) {
        let Some(permit) = self.caps.admit(address.ip()) else {
            tracing::debug!(%address, "connection refused: too many");
            return;
        };
        // Small messages must not wait for more to come (RFC 896 against interactive traffic).
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY not set");
        }
        let metrics = self.metrics.clone();
        self.tasks.spawn(async move {
            let cut = opening.cut.clone();
            let opened = tokio::select! {
                () = cut.cancelled() => return,
                opened = Box::pin(connection::open(socket, address, opening, permit)) => opened,
            };
            match opened {
                // Nobody takes it any more when the control plane stops.
                Ok(socket) => drop(ready.send(socket).await),
                Err(error) => {
                    metrics.connection_failed();
                    tracing::debug!(%address, %error, "connection ended before its first call");
                }
            }
        });
    }
}

/// What a connection needs on its way to its first call.
pub(crate) struct Opening {
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) handshakes: Arc<Semaphore>,
    /// Counts who is refused because it speaks plain text.
    pub(crate) plain: Arc<Rarely>,
    pub(crate) cut: CancellationToken,
}

fn incoming(mut connections: mpsc::Receiver<Socket>) -> impl Stream<Item = io::Result<Socket>> {
    stream::poll_fn(move |context| connections.poll_recv(context).map(|socket| socket.map(Ok)))
}
