//! One HTTP/2 connection, shared by as many exchanges as it has room for.
//!
//! It lives as long as somebody can use it: when the last handle to it is gone, a list's or an exchange's, hyper lets the
//! connection end.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connect::{KEEP_ALIVE, Socket};
use super::failure;
use super::link::Unanswered;

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

type Driver = Connection<Socket, Full<Bytes>, TokioExecutor>;

/// A connection and what goes on on it.
pub(super) struct Trunk {
    sender: SendRequest<Full<Bytes>>,
    /// Absent once it has ended, so that hyper gives back the requests that still lie in it. Behind a lock, because besides
    /// the task that drives it calls ask it what the server allows.
    driver: Arc<Mutex<Option<Driver>>>,
    pub(super) opened: Instant,
    usage: Mutex<Usage>,
}

struct Usage {
    exchanges: usize,
    /// When one began or ended last.
    changed: Instant,
}

impl Trunk {
    /// A connection whose server is taken to allow `limit` exchanges until it says what it allows.
    pub(super) async fn over(socket: Socket, limit: usize) -> hyper::Result<Arc<Self>> {
        let (sender, driver) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE)
            .initial_max_send_streams(limit)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(socket)
            .await?;
        let opened = Instant::now();
        let usage = Mutex::new(Usage { exchanges: 0, changed: opened });
        Ok(Arc::new(Self { sender, driver: Arc::new(Mutex::new(Some(driver))), opened, usage }))
    }

    /// Drives the connection to its end. The future keeps no connection alive that nobody can use any more.
    pub(super) fn drive(&self) -> impl Future<Output = hyper::Result<()>> + use<> {
        let driver = Arc::clone(&self.driver);
        poll_fn(move |cx| {
            let mut driver = driver.lock().unwrap_or_else(PoisonError::into_inner);
            let ended = driver.as_mut().map_or(Poll::Ready(Ok(())), |driver| Pin::new(driver).poll(cx));
            if ended.is_ready() {
                *driver = None;
            }
            ended
        })
    }

    /// How many exchanges it takes, unless it has ended. A server that allows none for a while (RFC 9113, section 6.5.2) is
    /// waited for by one.
    pub(super) fn limit(&self) -> Option<usize> {
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        Some(driver.as_ref()?.current_max_send_streams().clamp(1, MAX_STREAMS))
    }

    pub(super) fn has_room(&self) -> bool {
        self.limit().is_some_and(|limit| self.usage().exchanges < limit)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.sender.is_closed()
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

    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room of one exchange on a connection, given back when dropped.
pub(super) struct Share(Arc<Trunk>);

impl Share {
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Unanswered> {
        // hyper gives back only what it never looked at; what a server refuses is gone. The copy shares the body.
        let untouched = request.clone();
        let answered = self.0.sender.clone().try_send_request(request).await;
        answered.map_err(|error| {
            if error.message().is_some() || failure::is_not_taken(error.error()) {
                return Unanswered::NotTaken(Box::new(untouched), error.into_error());
            }
            Unanswered::Failed(error.into_error())
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
