//! A bound on what may be used at once, connections or children, with a bounded queue before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::{Stage, UpstreamError, UpstreamMetrics, Why};

/// How long a call waits for a slot. Longer than a healthy exchange, so that a burst passes; short enough that a client
/// of a saturated upstream learns of it while it still cares.
pub(crate) const QUEUE_WAIT: Duration = Duration::from_secs(1);

/// A fixed number of slots.
///
/// As many calls may wait as there are slots, each for [`QUEUE_WAIT`]; a call beyond either bound is refused as
/// overloaded and counted in [`UpstreamMetrics::overloaded`].
#[derive(Debug)]
pub(crate) struct Slots {
    upstream: Arc<str>,
    /// What a slot stands for, in the plural, for error texts.
    what: &'static str,
    permits: Semaphore,
    total: usize,
    waiting: AtomicUsize,
    in_use: Gauge,
    queue_wait: Histogram,
    overloaded: Counter,
}

/// One slot, free again when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
}

impl Slots {
    pub(crate) fn new(
        upstream: Arc<str>,
        what: &'static str,
        total: u32,
        in_use: Gauge,
        metrics: &UpstreamMetrics,
    ) -> Arc<Self> {
        let total = usize::try_from(total).map_or(Semaphore::MAX_PERMITS, |total| total.min(Semaphore::MAX_PERMITS));
        Arc::new(Self {
            upstream,
            what,
            permits: Semaphore::new(total),
            total,
            waiting: AtomicUsize::new(0),
            in_use,
            queue_wait: metrics.queue_wait.clone(),
            overloaded: metrics.overloaded.clone(),
        })
    }

    /// The upstream they belong to.
    pub(crate) fn upstream(&self) -> &str {
        &self.upstream
    }

    /// Slots, free and taken.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Slots taken.
    pub(crate) fn in_use(&self) -> usize {
        self.total.saturating_sub(self.permits.available_permits())
    }

    /// A slot if one is free this instant.
    pub(crate) fn try_take(self: &Arc<Self>) -> Option<Slot> {
        let permit = self.permits.try_acquire().ok()?;
        permit.forget();
        Some(self.taken())
    }

    /// A slot, after a bounded wait.
    pub(crate) async fn take(self: &Arc<Self>) -> Result<Slot, UpstreamError> {
        match self.try_take() {
            Some(slot) => Ok(slot),
            None => self.wait().await,
        }
    }

    /// Refuses everybody who waits or comes from now on.
    pub(crate) fn close(&self) {
        self.permits.close();
    }

    fn taken(self: &Arc<Self>) -> Slot {
        self.in_use.increment(1.0);
        Slot { slots: Arc::clone(self) }
    }

    async fn wait(self: &Arc<Self>) -> Result<Slot, UpstreamError> {
        let _waiting =
            Waiting::enter(&self.waiting, self.total).ok_or_else(|| self.refuse("and as many calls wait already"))?;
        let since = Instant::now();
        match timeout(QUEUE_WAIT, self.permits.acquire()).await {
            Ok(Ok(permit)) => {
                permit.forget();
                self.queue_wait.record(since.elapsed());
                Ok(self.taken())
            }
            Ok(Err(_closed)) => {
                Err(UpstreamError::unsent(&self.upstream, Stage::Queue, Why::Unreachable, "is shutting down"))
            }
            Err(_elapsed) => Err(self.refuse("and none came free in time")),
        }
    }

    fn refuse(&self, what_else: &str) -> UpstreamError {
        self.overloaded.increment(1);
        let detail = format!("all {} {} are in use {what_else}: try again later", self.total, self.what);
        UpstreamError::unsent(&self.upstream, Stage::Queue, Why::Overloaded, detail)
    }
}

impl Slot {
    /// The upstream it belongs to.
    pub(crate) fn upstream(&self) -> &str {
        self.slots.upstream()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.permits.add_permits(1);
        self.slots.in_use.decrement(1.0);
    }
}

/// A place in the queue, given back when dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize, bound: usize) -> Option<Self> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let place = Self(waiting);
        (before < bound).then_some(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use metrics::Gauge;
    use tokio::time::{Instant, timeout};

    use super::{QUEUE_WAIT, Slots};
    use crate::{Stage, UpstreamMetrics, Why};

    fn slots(total: u32) -> std::sync::Arc<Slots> {
        Slots::new("files".into(), "connections", total, Gauge::noop(), &UpstreamMetrics::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_one_second_for_a_slot_and_is_then_refused_as_overloaded() {
        let slots = slots(1);
        let held = slots.take().await.expect("free");
        let since = Instant::now();
        let refused = slots.take().await.expect_err("taken");
        assert_eq!(since.elapsed(), QUEUE_WAIT);
        assert_eq!((refused.stage, refused.why, refused.sent), (Stage::Queue, Why::Overloaded, false));
        drop(held);
        assert!(slots.take().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_calls_wait_than_there_are_slots() {
        let slots = slots(1);
        let _held = slots.take().await.expect("free");
        let first = slots.take();
        tokio::pin!(first);
        assert!(timeout(QUEUE_WAIT / 2, &mut first).await.is_err());
        let since = Instant::now();
        assert_eq!(slots.take().await.expect_err("queue full").why, Why::Overloaded);
        assert!(since.elapsed().is_zero());
    }

    #[tokio::test]
    async fn a_slot_is_free_again_when_its_wait_is_abandoned() {
        let slots = slots(1);
        let held = slots.take().await.expect("free");
        assert!(futures_util::FutureExt::now_or_never(slots.take()).is_none());
        drop(held);
        assert_eq!(slots.in_use(), 0);
        assert!(slots.try_take().is_some());
    }
}
