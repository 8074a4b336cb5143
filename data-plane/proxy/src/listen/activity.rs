//! What a connection is doing, as its socket must know it to tell a slow client from an idle one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Shared by a connection's socket and the calls that run on it.
#[derive(Debug)]
pub(crate) struct Activity {
    number: u64,
    calls: AtomicU32,
    /// Complete heads so far.
    heads: AtomicU64,
    multiplexed: AtomicBool,
}

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No request head has arrived yet.
    Fresh,
    /// At least one call is under way.
    Busy,
    /// Between two HTTP/1 requests: the next byte starts a head.
    Quiet,
    /// HTTP/2 without a call: bytes may be pings, so they start nothing.
    QuietMultiplexed,
}

/// Connections of this process, so far.
static CONNECTIONS: AtomicU64 = AtomicU64::new(1);

impl Default for Activity {
    fn default() -> Self {
        let (calls, heads, multiplexed) = (AtomicU32::new(0), AtomicU64::new(0), AtomicBool::new(false));
        Self { number: CONNECTIONS.fetch_add(1, Ordering::Relaxed), calls, heads, multiplexed }
    }
}

impl Activity {
    /// Notes a complete request head; the connection is busy until the guard goes.
    pub(crate) fn begin(self: &Arc<Self>, version: http::Version) -> CallOnConnection {
        if version == http::Version::HTTP_2 {
            self.multiplexed.store(true, Ordering::Relaxed);
        }
        self.heads.fetch_add(1, Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
        CallOnConnection(Arc::clone(self))
    }

    /// Tells whether a head has been completed since the last look: a call may begin and end between two.
    pub(crate) fn heads(&self) -> u64 {
        self.heads.load(Ordering::Relaxed)
    }

    pub(crate) fn phase(&self) -> Phase {
        if self.heads() == 0 {
            Phase::Fresh
        } else if self.calls.load(Ordering::Relaxed) > 0 {
            Phase::Busy
        } else if self.multiplexed.load(Ordering::Relaxed) {
            Phase::QuietMultiplexed
        } else {
            Phase::Quiet
        }
    }
}

/// Held by a call from its head to the last byte of its answer.
#[derive(Debug)]
pub(crate) struct CallOnConnection(Arc<Activity>);

impl CallOnConnection {
    /// The connection's number within the process, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.0.number
    }
}

impl Drop for CallOnConnection {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}
