//! Clients of HTTP/2 that do not read one of their streams.
//!
//! On HTTP/1 such a client stops the socket, and the socket notices. On HTTP/2 the socket goes on for the other streams, while
//! this one waits for room that the client does not give, and its body is asked for nothing: so it is here, where hyper runs
//! streams, that the wait is timed.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::Executor;
use hyper_util::rt::TokioExecutor;
use tokio::time::{Sleep, sleep};

use super::deadline::WRITE_STALL;

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

/// Every body notes its frames here.
pub(crate) fn note<T>(frame: &Poll<T>) {
    SAID.set(Some(if frame.is_ready() { Said::Frame } else { Said::Wait }));
}

/// Runs streams, and resets one whose client has taken nothing for [`WRITE_STALL`] while there was something.
#[derive(Debug, Clone)]
pub(super) struct Streams;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        TokioExecutor::new().execute(Stream { stream: Box::pin(stream), stalled: None });
    }
}

struct Stream<F> {
    stream: Pin<Box<F>>,
    /// Runs from the frame that hyper could not write.
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
