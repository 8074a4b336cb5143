//! The first room of a call: connections are accepted, counted, secured and given their deadlines here.
//!
//! The loop is our own because the usual builders leave the protocol sniff, the HTTP/2 preface and the TLS handshake without a
//! time-out, and count nothing. What a request says is not this module's business.

mod activity;
mod caps;
mod deadline;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

pub(crate) use activity::{Activity, CallOnConnection};
pub(crate) use caps::Caps;
pub use tls::TlsError;
pub(crate) use tls::acceptor;

use crate::drain::Drain;
use crate::stream::GatewayBody;
use deadline::{DeadlineIo, HEAD_DEADLINE};

/// An HTTP/1 connection's read buffer, and what it holds for a client that does not read. It grows from 8 KiB only when
/// needed; a request head that does not fit is answered with 431.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// A request head of HTTP/2, decoded: room for every header of MCP and a large cookie.
const HEAD_BYTES_MAX: u32 = 16 * 1024;

/// As many streams as Envoy's edge guide allows on one connection.
const HTTP2_STREAMS_MAX: u32 = 100;

/// An HTTP/2 peer that is gone without a word is noticed within twice this.
const HTTP2_PING: Duration = Duration::from_secs(20);

/// After a failed `accept` (no file descriptor left, most often) the loop breathes before it asks again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
}

impl Listener {
    pub(crate) async fn bind(
        address: SocketAddr,
        tls: Option<tokio_rustls::TlsAcceptor>,
        caps: Arc<Caps>,
    ) -> io::Result<Self> {
        Ok(Self { socket: TcpListener::bind(address).await?, tls, caps })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until the drain closes the door, then returns; connections go on in tasks that the drain counts.
    pub(crate) async fn run<S: Service>(self, service: Arc<S>, drain: Drain) {
        loop {
            let accepted = tokio::select! {
                () = drain.door_closed() => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((socket, address)) => self.admit(socket, address, &service, &drain),
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit<S: Service>(&self, socket: TcpStream, address: SocketAddr, service: &Arc<S>, drain: &Drain) {
        let Some(permit) = self.caps.admit(address.ip()) else {
            tracing::debug!(%address, "connection refused: too many");
            return;
        };
        // Small messages must not wait for more to come (RFC 896 against interactive traffic).
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY not set");
        }
        let (service, drain, tls) = (Arc::clone(service), drain.clone(), self.tls.clone());
        self.caps.tasks().spawn(async move {
            match tls {
                None => serve(socket, address, service, drain).await,
                Some(tls) => match tokio::time::timeout(HEAD_DEADLINE, tls.accept(socket)).await {
                    Ok(Ok(secured)) => serve(secured, address, service, drain).await,
                    Ok(Err(error)) => tracing::debug!(%address, %error, "TLS handshake failed"),
                    Err(_) => tracing::debug!(%address, "TLS handshake took too long"),
                },
            }
            drop(permit);
        });
    }
}

/// Serves one connection to its end, or until the drain has asked it to finish and it has.
async fn serve<S, Io>(socket: Io, address: SocketAddr, service: Arc<S>, drain: Drain)
where
    S: Service,
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::default());
    let io = TokioIo::new(DeadlineIo::new(socket, Arc::clone(&activity)));
    let builder = builder();
    let answer = service_fn(move |request: http::Request<Incoming>| {
        let call = activity.begin(request.version());
        let service = Arc::clone(&service);
        async move { Ok::<_, std::convert::Infallible>(service.call(call, request).await) }
    });
    let connection = builder.serve_connection(io, answer);
    tokio::pin!(connection);
    let door = drain.door();
    let finished = tokio::select! {
        biased;
        finished = connection.as_mut() => finished,
        () = door.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                finished = connection.as_mut() => finished,
                () = drain.time_is_up() => return,
            }
        }
    };
    if let Err(error) = finished {
        tracing::debug!(%address, %error, "connection ended");
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // Our own socket times heads; hyper's timer would also close connections that merely rest.
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HTTP2_PING)
        .keep_alive_timeout(HTTP2_PING)
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX);
    builder
}
