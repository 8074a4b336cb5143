//! The body of an upstream's answer: one concrete type, so that nothing is boxed on the way of a call.

mod burst;
mod frames;
mod idle;
#[cfg(test)]
mod tests;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

pub use self::frames::{FrameSender, SendError};
pub(crate) use self::idle::Idle;

use self::burst::Burst;
use self::frames::Frames;
use crate::UpstreamError;
use crate::http::Answer;

/// What an upstream answers with, as it arrives. Dropping it ends the exchange.
pub struct UpstreamBody {
    source: Source,
    burst: Burst,
}

enum Source {
    Http(Answer),
    Full(Bytes),
    Frames(Frames),
}

impl UpstreamBody {
    /// A body that is there already; empty bytes are an empty body.
    #[must_use]
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::from(Source::Full(bytes.into()))
    }

    /// An empty body.
    #[must_use]
    pub fn empty() -> Self {
        Self::full(Bytes::new())
    }

    /// A body fed frame by frame, that holds at most `capacity` of them (at least one); a sender waits beyond.
    #[must_use]
    pub fn channel(capacity: usize) -> (FrameSender, Self) {
        Self::frames("".into(), capacity.max(1), Idle::never())
    }

    /// [`channel`](Self::channel) with a bound on silence.
    pub(crate) fn frames(upstream: Arc<str>, capacity: usize, idle: Idle) -> (FrameSender, Self) {
        let (sender, frames) = Frames::new(upstream, capacity, idle);
        (sender, Self::from(Source::Frames(frames)))
    }

    /// Keeps `lease` until a channel body is dropped; other bodies need none.
    pub(crate) fn hold(&mut self, lease: impl Send + Sync + 'static) {
        if let Source::Frames(frames) = &mut self.source {
            frames.hold(Box::new(lease));
        }
    }

    pub(crate) fn http(answer: Answer) -> Self {
        Self::from(Source::Http(answer))
    }

    /// Lets the body be silent for `limit` at most, if its own bound is not shorter. A stream that belongs to no request may be
    /// silent for ever all the same.
    pub fn limit_silence(&mut self, limit: Duration) {
        match &mut self.source {
            Source::Http(answer) => answer.idle_mut().shorten(limit),
            Source::Frames(frames) => frames.idle_mut().shorten(limit),
            Source::Full(_) => {}
        }
    }

    /// Gathers into `out` what arrives in one go, up to 64 KiB or one millisecond, so that it can be written in one go.
    /// The module `body::burst` says what that costs in latency.
    ///
    /// `Ready(Some(Ok(())))` means that `out` holds at least one chunk more than before the burst began. While it is
    /// pending, `out` may already hold chunks: poll again with the same vector. Trailers are skipped.
    pub fn poll_burst(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut Vec<Bytes>,
    ) -> Poll<Option<Result<(), UpstreamError>>> {
        let this = self.get_mut();
        if let Some(failure) = this.burst.take_failure() {
            return Poll::Ready(Some(Err(failure)));
        }
        let whole = loop {
            match this.poll_source(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        this.burst.push(data, out);
                    }
                    if this.burst.is_full() {
                        break true;
                    }
                }
                Poll::Ready(Some(Err(failure))) if this.burst.is_empty() => {
                    return Poll::Ready(Some(Err(failure)));
                }
                Poll::Ready(Some(Err(failure))) => {
                    this.burst.fail_after(failure);
                    break true;
                }
                Poll::Ready(None) if this.burst.is_empty() => return Poll::Ready(None),
                Poll::Ready(None) => break true,
                Poll::Pending if this.has_no_feeder() => break !this.burst.is_empty(),
                Poll::Pending => break !this.burst.is_empty() && !this.burst.may_yield(),
            }
        };
        if whole {
            this.burst.finish();
            return Poll::Ready(Some(Ok(())));
        }
        if !this.burst.is_empty() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// True if nobody else has to run before more frames can come.
    fn has_no_feeder(&self) -> bool {
        match &self.source {
            Source::Http(answer) => answer.drives_its_connection(),
            Source::Full(_) => true,
            Source::Frames(_) => false,
        }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        match &mut self.source {
            Source::Http(answer) => answer.poll_frame(cx),
            Source::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Source::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Source::Frames(frames) => Poll::Ready(ready!(frames.poll(cx)).map(|frame| frame.map(Frame::data))),
        }
    }
}

impl From<Source> for UpstreamBody {
    fn from(source: Source) -> Self {
        Self { source, burst: Burst::default() }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        self.get_mut().poll_source(cx)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Http(answer) => answer.is_end_stream(),
            Source::Full(bytes) => bytes.is_empty(),
            Source::Frames(frames) => frames.is_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Http(answer) => answer.size_hint(),
            Source::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Frames(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::Http(_) => "http",
            Source::Full(_) => "full",
            Source::Frames(_) => "frames",
        };
        f.debug_struct("UpstreamBody").field("source", &source).finish_non_exhaustive()
    }
}
