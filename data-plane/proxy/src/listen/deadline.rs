//! A socket that ends itself: hyper's protocol sniff and its HTTP/2 preface have no time-out of their own, and a peer that
//! stops reading would hold a stream's buffers for ever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::activity::{Activity, Phase};
use super::connection::Spoken;
use super::frames::Frames;

/// A complete request head (or HTTP/2 preface and first head) arrives within this time of its first byte, and the first one
/// within this time of the connection: what browsers and SDKs need, with room for a slow mobile link. (The beginning of a head
/// that came in one piece with the call before it is hidden in hyper's buffer: it has [`KEEP_ALIVE`] unless more of it comes.)
pub(crate) const HEAD_DEADLINE: Duration = Duration::from_secs(5);

/// An HTTP/1 connection without a call is kept this long: longer than the keep-alive of the common clients, so that it is they
/// who close and no request meets a closing socket.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(90);

/// A client that takes no byte for this long while we have some for it is disconnected; what it missed is in the event log.
pub(crate) const WRITE_STALL: Duration = Duration::from_secs(30);

/// A socket with the three deadlines above.
///
/// One timer serves all of them. It is never moved by traffic: it fires at most once per [`HEAD_DEADLINE`], looks at what holds
/// then, and is set again, so that a call costs two clock readings and no timer operation.
#[derive(Debug)]
pub(crate) struct DeadlineIo<S> {
    io: S,
    activity: Arc<Activity>,
    /// What a client of HTTP/2 has begun to say.
    frames: Option<Box<Frames>>,
    /// Heads that were complete when the phase below was entered.
    heads: u64,
    /// When that was.
    since: Instant,
    reading: Reading,
    blocked_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

/// What the bytes that arrive belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Head,
    Call,
    Nothing,
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Bytes,
    Nothing,
}

impl<S> DeadlineIo<S> {
    /// `since` is when the socket was accepted.
    pub(super) fn new(io: S, spoken: Spoken, activity: Arc<Activity>, since: Instant) -> Self {
        let timer = Box::pin(tokio::time::sleep_until(since + HEAD_DEADLINE));
        let frames = (spoken == Spoken::Http2).then(|| Box::new(Frames::new()));
        Self { io, activity, frames, heads: 0, since, reading: Reading::Head, blocked_since: None, timer }
    }

    /// Follows the connection's phase after a read.
    fn follow(&mut self, read: Read) {
        let heads = self.activity.heads();
        let head_done = heads != self.heads;
        let next = match (self.activity.phase(), self.reading) {
            (Phase::Fresh, _) => Reading::Head,
            (Phase::Busy, _) => Reading::Call,
            // Bytes between two HTTP/1 calls are a head, and stay one until its call begins.
            (Phase::Quiet, _) if read == Read::Bytes => Reading::Head,
            (Phase::Quiet, Reading::Head) if !head_done => Reading::Head,
            (Phase::QuietMultiplexed, _) if self.frames.as_ref().is_some_and(|frames| frames.within_a_head()) => {
                Reading::Head
            }
            (Phase::Quiet | Phase::QuietMultiplexed, _) => Reading::Nothing,
        };
        if next != self.reading || head_done {
            self.reading = next;
            self.heads = heads;
            self.since = Instant::now();
        }
    }

    /// The first deadline that can pass, if nothing changes.
    fn deadline(&self) -> Option<Instant> {
        let read = match self.reading {
            Reading::Head => Some(self.since + HEAD_DEADLINE),
            Reading::Nothing => Some(self.since + KEEP_ALIVE),
            Reading::Call => None,
        };
        let write = self.blocked_since.map(|since| since + WRITE_STALL);
        match (read, write) {
            (Some(read), Some(write)) => Some(read.min(write)),
            (read, write) => read.or(write),
        }
    }

    /// Registers the timer for the current task; an error once a deadline has passed.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            self.follow(Read::Nothing);
            let now = Instant::now();
            let deadline = self.deadline();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the client took too long"));
            }
            // A head may begin right after this look, so the next one comes no later than a head's deadline.
            let look = now + HEAD_DEADLINE;
            self.timer.as_mut().reset(deadline.map_or(look, |deadline| deadline.min(look)));
        }
        Ok(())
    }

    /// Notes whether the peer takes what we write.
    fn written<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.blocked_since = None;
            return result;
        }
        self.blocked_since.get_or_insert_with(Instant::now);
        match self.poll_deadline(cx) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for DeadlineIo<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.io).poll_read(cx, buf) {
            Poll::Ready(result) => {
                let bytes = &buf.filled()[before..];
                if let Some(frames) = &mut self.frames {
                    frames.follow(bytes);
                }
                self.follow(if bytes.is_empty() { Read::Nothing } else { Read::Bytes });
                Poll::Ready(result)
            }
            Poll::Pending => {
                self.follow(Read::Nothing);
                match self.poll_deadline(cx) {
                    Ok(()) => Poll::Pending,
                    Err(error) => Poll::Ready(Err(error)),
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for DeadlineIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, data);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_flush(cx);
        self.written(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    fn socket() -> (DuplexStream, DeadlineIo<DuplexStream>, Arc<Activity>) {
        let (client, server) = duplex(16);
        let activity = Arc::new(Activity::default());
        (client, DeadlineIo::new(server, Spoken::Http1, Arc::clone(&activity), Instant::now()), activity)
    }

    async fn read_to_the_deadline(io: &mut DeadlineIo<DuplexStream>) -> Duration {
        let began = Instant::now();
        let mut buffer = [0; 64];
        loop {
            match io.read(&mut buffer).await {
                Ok(0) => panic!("the client is still there"),
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                    return began.elapsed();
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_closed_after_the_head_deadline() {
        let (_client, mut io, _) = socket();
        assert_eq!(read_to_the_deadline(&mut io).await, HEAD_DEADLINE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dripping_head_does_not_move_the_deadline() {
        let (mut client, mut io, _) = socket();
        let drip = async {
            loop {
                client.write_all(b"x").await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            () = drip => unreachable!("it drips for ever"),
            elapsed = read_to_the_deadline(&mut io) => assert_eq!(elapsed, HEAD_DEADLINE),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_resting_connection_is_kept_and_its_next_head_is_timed_again() {
        let (mut client, mut io, activity) = socket();
        client.write_all(b"head").await.unwrap();
        io.read_exact(&mut [0; 4]).await.unwrap();
        drop(activity.begin(http::Version::HTTP_11));
        let rest = tokio::time::timeout(KEEP_ALIVE - Duration::from_secs(1), io.read(&mut [0; 4])).await;
        assert!(rest.is_err(), "closed while it rested");
        client.write_all(b"ha").await.unwrap();
        assert_eq!(read_to_the_deadline(&mut io).await, HEAD_DEADLINE);
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_head_of_http2_is_timed_after_the_first_call_too() {
        let (mut client, server) = duplex(64);
        let activity = Arc::new(Activity::default());
        let mut io = DeadlineIo::new(server, Spoken::Http2, Arc::clone(&activity), Instant::now());
        client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        io.read_exact(&mut [0; 24]).await.unwrap();
        drop(activity.begin(http::Version::HTTP_2));
        let rest = tokio::time::timeout(HEAD_DEADLINE * 2, io.read(&mut [0; 4])).await;
        assert!(rest.is_err(), "closed while it rested");
        // A HEADERS frame that says it has 16 bytes, and has two.
        client.write_all(&[0, 0, 16, 1, 4, 0, 0, 0, 1, 0x82, 0x84]).await.unwrap();
        assert_eq!(read_to_the_deadline(&mut io).await, HEAD_DEADLINE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_may_take_its_time() {
        let (_client, mut io, activity) = socket();
        let _call = activity.begin(http::Version::HTTP_11);
        let waited = tokio::time::timeout(Duration::from_secs(3600), io.read(&mut [0; 4])).await;
        assert!(waited.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_disconnected() {
        let (_client, mut io, activity) = socket();
        let _call = activity.begin(http::Version::HTTP_11);
        let began = Instant::now();
        let error = io.write_all(&[0; 1024]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), WRITE_STALL);
    }
}
