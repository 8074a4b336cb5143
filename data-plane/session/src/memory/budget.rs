//! What all event logs together may hold, and which of them goes first.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::lock;
use crate::clock::now;
use crate::limits::MAX_LOG_BYTES;
use crate::{SessionId, StoreMetrics, StreamId};

/// The books over all logs' bytes, and the queue of ended streams. A stream is in the queue exactly while it is ended and its
/// session holds it.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: AtomicUsize,
    queue: Mutex<Queue>,
    pub(super) metrics: StoreMetrics,
}

/// A place in the queue of ended streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// A stream whose writer stopped.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) session: SessionId,
    pub(super) stream: StreamId,
    at: u64,
}

/// In the order in which they ended.
#[derive(Debug, Default)]
struct Queue {
    next: u64,
    streams: BTreeMap<u64, Ended>,
}

impl Budget {
    pub(super) fn new(metrics: StoreMetrics) -> Self {
        Self { bytes: AtomicUsize::new(0), queue: Mutex::default(), metrics }
    }

    pub(super) fn charge(&self, bytes: usize) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.metrics.log_bytes.set((before + bytes) as f64);
    }

    pub(super) fn refund(&self, bytes: usize) {
        let before = self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.metrics.log_bytes.set((before - bytes) as f64);
    }

    /// Bytes held beyond the bound.
    pub(super) fn excess(&self) -> usize {
        self.bytes.load(Ordering::Relaxed).saturating_sub(MAX_LOG_BYTES)
    }

    /// Queues a stream that ended now.
    pub(super) fn enqueue(&self, session: SessionId, stream: StreamId) -> Ticket {
        let mut queue = lock(&self.queue);
        let ticket = queue.next;
        queue.next += 1;
        queue.streams.insert(ticket, Ended { session, stream, at: now() });
        Ticket(ticket)
    }

    /// Takes a stream out that is no longer ended, or no longer there.
    pub(super) fn withdraw(&self, ticket: Ticket) {
        lock(&self.queue).streams.remove(&ticket.0);
    }

    /// The stream that ended first, out of turn: the budget is exceeded.
    pub(super) fn take_oldest(&self) -> Option<Ended> {
        let (_, ended) = lock(&self.queue).streams.pop_first()?;
        self.metrics.log_streams_forgotten.increment(1);
        Some(ended)
    }

    /// The stream that ended first, if that was before `time` (Unix time in milliseconds).
    pub(super) fn take_ended_before(&self, time: u64) -> Option<Ended> {
        let mut queue = lock(&self.queue);
        let first = queue.streams.first_entry()?;
        (first.get().at < time).then(|| first.remove())
    }
}
