//! One connection, from its first byte to the point where HTTP/2 begins.
//!
//! Until there is a first call one deadline runs, and no more than fits the kernel's buffers is held; from then on HTTP/2's pings
//! tell whether the peer is there.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use shadowcat_net::Permit;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::Request;
use tonic::transport::server::Connected;

use super::Opening;
use crate::authority::NodeIdentity;

/// By when there is a first call: the client's hello, its part of the handshake, the preface and a head take a second or two on the
/// slowest line. One deadline for all of them, so that nobody who sends a byte at a time is held for longer than who sends none.
const BEGIN_DEADLINE: Duration = Duration::from_secs(5);

/// A connection waits this long for its turn to make a handshake: what a herd of 5 000 nodes takes on two cores.
const TURN_DEADLINE: Duration = Duration::from_secs(15);

/// The first byte of a TLS connection: a record of the type "handshake" (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// How an HTTP/2 connection begins (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) address: SocketAddr,
    /// From the certificate it showed; absent if it showed none.
    pub(crate) identity: Option<NodeIdentity>,
    /// A call has come on it.
    used: Arc<AtomicBool>,
}

impl Connection {
    /// The connection that a call came on.
    pub(crate) fn of<T>(request: &Request<T>) -> Self {
        Self::at(request.extensions())
    }

    /// The same, before a call is one of gRPC.
    pub(crate) fn at(extensions: &http::Extensions) -> Self {
        // Every call comes on a `Socket`, which tonic asks for this.
        extensions.get::<Self>().cloned().unwrap_or_else(|| Self::new(([0, 0, 0, 0], 0).into(), None))
    }

    fn new(address: SocketAddr, identity: Option<NodeIdentity>) -> Self {
        Self { address, identity, used: Arc::default() }
    }

    /// Notes a call: what has made one is no silent connection any more, and pings tell whether it is there.
    pub(crate) fn note_call(extensions: &http::Extensions) {
        if let Some(connection) = extensions.get::<Self>() {
            connection.used.store(true, Ordering::Relaxed);
        }
    }
}

/// Takes a connection to where HTTP/2 begins.
pub(crate) async fn open(
    socket: TcpStream,
    address: SocketAddr,
    opening: Opening,
    permit: Permit,
) -> io::Result<Socket> {
    let mut first = [0];
    let mut due = Instant::now() + BEGIN_DEADLINE;
    if timeout_at(due, socket.peek(&mut first)).await?? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let (wire, identity) = match first[0] {
        TLS_HANDSHAKE => secured(socket, &opening, &mut due).await?,
        _ if address.ip().to_canonical().is_loopback() => (Wire::Plain(socket), None),
        _ => {
            if let Some(count) = opening.plain.count() {
                tracing::warn!(%address, count, "plain text is served on this machine alone: connect with https://");
            }
            return Err(io::Error::other("plain text from another machine"));
        }
    };
    let cut = Box::pin(opening.cut.cancelled_owned());
    let connection = Connection::new(address, identity);
    let first_call = Some(Box::pin(sleep_until(due)));
    let mut socket =
        Socket { wire, connection, begin: *PREFACE, given: PREFACE.len(), first_call, cut, _permit: permit };
    let mut begin = [0; PREFACE.len()];
    timeout_at(due, socket.read_exact(&mut begin)).await??;
    if begin != *PREFACE {
        return Err(io::Error::other("this port speaks gRPC, which begins with HTTP/2"));
    }
    // hyper reads it again.
    socket.given = 0;
    Ok(socket)
}

/// The time in which a client waits for its turn is not its own: it moves `due`.
async fn secured(socket: TcpStream, opening: &Opening, due: &mut Instant) -> io::Result<(Wire, Option<NodeIdentity>)> {
    // Its turn comes only to a client that has said hello, so that silent ones do not hold up the others.
    let hello = timeout_at(*due, LazyConfigAcceptor::new(rustls::server::Acceptor::default(), socket)).await??;
    let queued = Instant::now();
    let turn = timeout_at(queued + TURN_DEADLINE, opening.handshakes.acquire()).await?;
    let _turn = turn.map_err(io::Error::other)?;
    *due += queued.elapsed();
    let handshake = hello.into_stream(opening.tls.clone());
    let socket = timeout_at(*due, handshake).await??;
    let identity = match socket.get_ref().1.peer_certificates().and_then(<[_]>::first) {
        Some(leaf) => Some(NodeIdentity::from_der(leaf).map_err(io::Error::other)?),
        None => None,
    };
    Ok((Wire::Tls(Box::new(socket)), identity))
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection as tonic gets it: it begins with the preface, and ends when the control plane has no more time.
pub(crate) struct Socket {
    wire: Wire,
    connection: Connection,
    begin: [u8; PREFACE.len()],
    /// How much of `begin` was given to the reader.
    given: usize,
    /// By when there is a first call; absent once there was one.
    first_call: Option<Pin<Box<Sleep>>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    _permit: Permit,
}

impl Connected for Socket {
    type ConnectInfo = Connection;

    fn connect_info(&self) -> Connection {
        self.connection.clone()
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if self.given < self.begin.len() {
            let count = buf.remaining().min(self.begin.len() - self.given);
            buf.put_slice(&self.begin[self.given..self.given + count]);
            self.given += count;
            return Poll::Ready(Ok(()));
        }
        if self.first_call_is_overdue(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        match &mut self.wire {
            Wire::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Wire::Tls(socket) => Pin::new(socket).poll_read(cx, buf),
        }
    }
}

impl Socket {
    /// Registers the deadline of the first call for the current task.
    fn first_call_is_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = &mut self.first_call else { return false };
        let overdue = deadline.as_mut().poll(cx).is_ready();
        let used = self.connection.used.load(Ordering::Relaxed);
        if used {
            self.first_call = None;
        }
        overdue && !used
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.wire {
            Wire::Plain(socket) => Pin::new(socket).poll_write(cx, data),
            Wire::Tls(socket) => Pin::new(socket).poll_write(cx, data),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.wire {
            Wire::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Wire::Tls(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.wire {
            Wire::Plain(socket) => socket.is_write_vectored(),
            Wire::Tls(socket) => socket.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Wire::Tls(socket) => Pin::new(socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Wire::Tls(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;
    use tokio::sync::Semaphore;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use shadowcat_net::{Caps, Limits};

    fn opening() -> Opening {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Opening {
            tls: Arc::new(tls),
            handshakes: Arc::new(Semaphore::new(1)),
            plain: Arc::default(),
            cut: CancellationToken::new(),
        }
    }

    /// Opens a connection whose client is said to be at `address`, and says `begin`.
    async fn opened(address: &str, begin: &[u8]) -> (TcpStream, io::Result<Socket>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.write_all(begin).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        let address: SocketAddr = address.parse().unwrap();
        let permit = Caps::new(Limits { all: 1, per_address: 1 }, metrics::Gauge::noop(), metrics::Counter::noop())
            .admit(address.ip())
            .unwrap();
        (client, open(socket, address, opening(), permit).await)
    }

    #[tokio::test]
    async fn plain_text_is_served_to_this_machine_alone() {
        for here in ["127.0.0.1:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
            assert!(opened(here, PREFACE).await.1.is_ok(), "{here}");
        }
        for elsewhere in ["192.0.2.1:9", "[2001:db8::1]:9", "0.0.0.0:9"] {
            let refused = opened(elsewhere, PREFACE).await.1.err().unwrap();
            assert!(refused.to_string().contains("another machine"), "{elsewhere}: {refused}");
        }
    }

    #[tokio::test]
    async fn what_was_read_to_tell_the_protocol_is_read_again() {
        let (mut client, socket) = opened("127.0.0.1:9", PREFACE).await;
        client.write_all(b"frames").await.unwrap();
        let mut begin = [0; PREFACE.len() + 6];
        socket.unwrap().read_exact(&mut begin).await.unwrap();
        assert_eq!(begin, *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nframes");
    }

    #[tokio::test]
    async fn a_connection_without_a_call_ends_and_one_that_had_a_call_stays() {
        for used in [false, true] {
            let (_client, socket) = opened("127.0.0.1:9", PREFACE).await;
            let mut socket = socket.unwrap();
            socket.connection.used.store(used, Ordering::Relaxed);
            socket.first_call = Some(Box::pin(sleep_until(Instant::now())));
            socket.read_exact(&mut [0; PREFACE.len()]).await.unwrap();
            let read = tokio::time::timeout(Duration::from_millis(50), socket.read_u8()).await;
            assert_eq!(read.is_err(), used, "{read:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_ends_when_there_is_no_more_time() {
        let (_client, socket) = opened("127.0.0.1:9", PREFACE).await;
        let mut socket = socket.unwrap();
        let cut = CancellationToken::new();
        socket.cut = Box::pin(cut.clone().cancelled_owned());
        socket.read_exact(&mut [0; PREFACE.len()]).await.unwrap();
        cut.cancel();
        assert_eq!(socket.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
