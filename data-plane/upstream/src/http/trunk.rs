//! One HTTP/2 connection, shared by as many exchanges as it has room for.
//!
//! It lives as long as somebody can use it: when the last handle to it is gone, a list's or an exchange's, hyper lets the
//! connection end.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connect::{KEEP_ALIVE, Socket};
use super::failure;
use super::link::{Unanswered, Untaken};

/// Exchanges on one connection, or fewer if the server says so. RFC 9113 (section 6.5.2) asks servers to allow no fewer, so
/// one that has not spoken yet is taken to allow them. More are not put on one whatever it says: they would all wait for the
/// same lost packet.
pub(super) const MAX_STREAMS: usize = 100;

/// The window of one stream: the same backpressure as a read buffer gives on HTTP/1.1, with room for the round trip of the
/// window update.
const STREAM_WINDOW: u32 = 256 * 1024;

/// The window of a connection has room for all that its streams may hold back, so that those which nobody reads never stop
/// the others. It adds nothing to what the streams' own windows let a server pile up.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;

type H2Connection = Connection<Socket, Full<Bytes>, TokioExecutor>;

/// A connection and what goes on on it.
pub(super) struct Trunk {
    sender: SendRequest<Full<Bytes>>,
    driver: Arc<Driver>,
    opened: Instant,
    usage: Mutex<Usage>,
}

/// What reads and writes the connection.
struct Driver {
    /// Absent once it has ended, so that hyper gives back the requests that still lie in it.
    connection: Mutex<Option<H2Connection>>,
    /// What the server allows, as far as it is known, or [`ENDED`]. A copy, because every call asks for it, and of every
    /// connection, while the connection itself is locked as long as it reads and writes.
    limit: AtomicUsize,
}

/// The limit of a connection that has ended.
const ENDED: usize = 0;

struct Usage {
    exchanges: usize,
    /// When one began or ended last.
    changed: Instant,
    /// When one was answered last.
    answered: Option<Instant>,
}

impl Trunk {
    /// A connection whose server is taken to allow `limit` exchanges until it says what it allows.
    pub(super) async fn over(socket: Socket, limit: usize) -> hyper::Result<Arc<Self>> {
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE)
            .initial_max_send_streams(limit)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(socket)
            .await?;
        let opened = Instant::now();
        let driver = Arc::new(Driver { limit: AtomicUsize::new(limit), connection: Mutex::new(Some(connection)) });
        let usage = Mutex::new(Usage { exchanges: 0, changed: opened, answered: None });
        Ok(Arc::new(Self { sender, driver, opened, usage }))
    }

    /// Drives the connection to its end. The future keeps no connection alive that nobody can use any more.
    pub(super) fn drive(&self) -> impl Future<Output = hyper::Result<()>> + use<> {
        let driver = Arc::clone(&self.driver);
        poll_fn(move |cx| driver.poll(cx))
    }

    /// How many exchanges it takes, unless it has ended. If the server changes its mind in the middle of a connection, that
    /// shows after the next request.
    pub(super) fn limit(&self) -> Option<usize> {
        Some(self.driver.limit.load(Ordering::Relaxed)).filter(|limit| *limit != ENDED)
    }

    pub(super) fn has_room(&self) -> bool {
        self.limit().is_some_and(|limit| self.exchanges() < limit)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.limit().is_none()
    }

    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    pub(super) fn exchanges(&self) -> usize {
        self.usage().exchanges
    }

    /// True if nothing has gone on on it for so long.
    pub(super) fn is_idle(&self, timeout: Duration) -> bool {
        let usage = self.usage();
        usage.exchanges == 0 && usage.changed.elapsed() >= timeout
    }

    /// Makes room for one exchange.
    pub(super) fn share(self: &Arc<Self>) -> Share {
        let mut usage = self.usage();
        usage.exchanges += 1;
        usage.changed = Instant::now();
        Share(Arc::clone(self))
    }

    /// True if the server has accepted the connection since, or answered on it.
    pub(super) fn was_heard_since(&self, then: Instant) -> bool {
        self.usage().answered.unwrap_or(self.opened) > then
    }

    /// The server has answered. At the first time it has said what it allows, as that is the first that a server says (RFC
    /// 9113, section 3.4), but the task that drives the connection learns it no sooner than with the next request.
    fn hear(&self) {
        let before = self.usage().answered.replace(Instant::now());
        if before.is_none() {
            self.driver.note_limit(self.driver.connection().as_ref());
        }
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Driver {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        let mut connection = self.connection();
        let ended = connection.as_mut().map_or(Poll::Ready(Ok(())), |connection| Pin::new(connection).poll(cx));
        if ended.is_ready() {
            *connection = None;
        }
        self.note_limit(connection.as_ref());
        ended
    }

    /// A server that allows nothing for a while (RFC 9113, section 6.5.2) is waited for by one exchange.
    fn note_limit(&self, connection: Option<&H2Connection>) {
        let allowed = connection.map(|connection| connection.current_max_send_streams().clamp(1, MAX_STREAMS));
        self.limit.store(allowed.unwrap_or(ENDED), Ordering::Relaxed);
    }

    fn connection(&self) -> MutexGuard<'_, Option<H2Connection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room of one exchange on a connection, given back when dropped.
pub(super) struct Share(Arc<Trunk>);

impl Share {
    pub(super) fn trunk(&self) -> &Arc<Trunk> {
        &self.0
    }

    pub(super) async fn send(
        &self,
        url: &Uri,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Unanswered> {
        // hyper takes a request whole, and what a server refuses it does not give back: the headers have to be there twice. The
        // copy shares its bytes with the original, and costs 0.7 µs with twelve headers.
        let untouched = request.clone();
        *request.uri_mut() = url.clone();
        let answered = self.0.sender.clone().try_send_request(request).await;
        let error = match answered {
            Ok(response) => {
                self.0.hear();
                return Ok(response);
            }
            Err(error) => error,
        };
        // hyper has never looked at what it does give back.
        let untaken = if error.message().is_some() { Some(Untaken::Gone) } else { failure::untaken(error.error()) };
        if untaken == Some(Untaken::Refused) {
            self.0.hear();
        }
        Err(match untaken {
            Some(why) => Unanswered::Untaken(Box::new(untouched), why, error.into_error()),
            None => Unanswered::Failed(error.into_error()),
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut usage = self.0.usage();
        usage.exchanges -= 1;
        usage.changed = Instant::now();
    }
}
