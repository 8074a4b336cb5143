//! Clients of HTTP/2 that do not read one of their streams.
//!
//! On HTTP/1 such a client stops the socket, and the socket notices. On HTTP/2 the socket goes on for the other streams, while
//! this one waits for room that the client does not give, and its body is asked for nothing: so it is here, where hyper runs
//! streams, that the wait is timed.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::time::{Sleep, sleep};
use tokio_util::task::TaskTracker;

use super::deadline::WRITE_STALL;
use crate::stream::GatewayBody;

/// hyper takes a frame once its client has room for one byte, and asks for the next when the whole of it has left. A frame of
/// this size is both what a stream holds for its client beside its window, and what a client has to read within
/// [`WRITE_STALL`].
const PIECE_BYTES_MAX: usize = 16 * 1024;

/// What a body said when it was asked for a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Frame,
    Wait,
}

thread_local! {
    /// What the body that was polled last on this thread said: the future that hyper makes of a stream hides its body.
    static SAID: Cell<Option<Said>> = const { Cell::new(None) };
}

/// A body on HTTP/2: in pieces whose progress can be seen.
#[derive(Debug)]
pub(super) struct Pieces {
    body: GatewayBody,
    /// What is left of the frame that the body gave last.
    left: Bytes,
}

impl Pieces {
    pub(super) fn of(body: GatewayBody) -> Self {
        Self { body, left: Bytes::new() }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, <Self as Body>::Error>>> {
        if self.left.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose()?.map(Frame::into_data) {
                Some(Ok(data)) => self.left = data,
                Some(Err(trailers)) => return Poll::Ready(Some(Ok(trailers))),
                None => return Poll::Ready(None),
            }
        }
        let piece = self.left.split_to(self.left.len().min(PIECE_BYTES_MAX));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = <GatewayBody as Body>::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = self.poll_piece(cx);
        SAID.set(Some(if frame.is_ready() { Said::Frame } else { Said::Wait }));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.body.size_hint().exact();
        rest.map_or_else(SizeHint::default, |rest| SizeHint::with_exact(rest + self.left.len() as u64))
    }
}

/// Runs streams, and resets one whose client has not taken a piece within [`WRITE_STALL`].
#[derive(Debug, Clone)]
pub(super) struct Streams(pub(super) TaskTracker);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        self.0.spawn(Stream { stream: Box::pin(stream), stalled: None });
    }
}

struct Stream<F> {
    stream: Pin<Box<F>>,
    /// Runs from the piece that hyper could not write.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        SAID.set(None);
        if self.stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match SAID.take() {
            Some(Said::Frame) => self.stalled = Some(Box::pin(sleep(WRITE_STALL))),
            Some(Said::Wait) => self.stalled = None,
            None => {}
        }
        let Some(stalled) = &mut self.stalled else { return Poll::Pending };
        // Its end drops the stream, which resets it; what the client missed is in the event log.
        stalled.as_mut().poll(cx)
    }
}
