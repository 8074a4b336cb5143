//! Gathering what one read of an upstream brought, so that it can go on in one write.
//!
//! Chunks come one at a time: fifty small SSE events that arrived in one segment would become fifty writes. A body that
//! drives its own connection is polled until it has no more. One that another task feeds (an HTTP/2 stream, a child's
//! answers) holds few frames at once: there a burst takes a frame, yields once so that the feeder can hand over the next
//! one, and goes on while frames keep coming.
//!
//! What it costs in latency: a yield puts this task behind those that are ready to run, no further; it never waits for
//! the network. If a yield brought nothing the burst ends, so a lone event is delayed by one turn of the scheduler. A
//! stream that never pauses is cut off at [`MAX_BYTES`] or [`MAX_TIME`], whichever comes first.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::UpstreamError;

/// As much as one write to a client may usefully carry: the read buffer of an upstream connection.
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// The longest that the first event of a burst waits for the others. Below what a person or a model notices, and above
/// fifty turns of a busy scheduler.
pub(super) const MAX_TIME: Duration = Duration::from_millis(1);

/// The burst being gathered.
#[derive(Debug, Default)]
pub(super) struct Burst {
    bytes: usize,
    /// A frame came since the last yield.
    fresh: bool,
    /// When the first yield was taken.
    since: Option<Instant>,
    /// What ended the body after frames that go out first.
    failure: Option<UpstreamError>,
}

impl Burst {
    pub(super) fn push(&mut self, frame: Bytes, out: &mut Vec<Bytes>) {
        if frame.is_empty() {
            return;
        }
        self.bytes += frame.len();
        self.fresh = true;
        out.push(frame);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= MAX_BYTES
    }

    /// True if another turn may bring more: the last one did, and there is time left.
    pub(super) fn may_yield(&mut self) -> bool {
        if !std::mem::take(&mut self.fresh) {
            return false;
        }
        match self.since {
            None => {
                self.since = Some(Instant::now());
                true
            }
            Some(since) => since.elapsed() < MAX_TIME,
        }
    }

    /// Ends the burst, and the body with `failure` after it.
    pub(super) fn fail_after(&mut self, failure: UpstreamError) {
        self.failure = Some(failure);
    }

    pub(super) fn take_failure(&mut self) -> Option<UpstreamError> {
        self.failure.take()
    }

    pub(super) fn finish(&mut self) {
        self.bytes = 0;
        self.fresh = false;
        self.since = None;
    }
}
