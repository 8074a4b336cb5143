//! How a gateway stops: nobody is refused and nothing is cut while there is time.
//!
//! Three moments, each of which waits for the one before: *announced* (readiness says no, answers carry `Connection: close`, streams
//! that belong to no call are told to reconnect), *door closed* (no new connection; the open ones finish what they have), *time is up*.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// How long a drain may take, from its announcement to the moment at which what is left is cut: what the default termination
/// grace of Kubernetes (30 s) leaves when what the calls left behind (2 s), held sessions (1 s) and children (at most 7 s) have had
/// their time.
pub const GRACE: Duration = Duration::from_secs(20);

/// The door stays open this long after the announcement, so that load balancers that poll readiness each second have
/// turned away before a connection could be refused.
pub const LAME_DUCK: Duration = Duration::from_secs(2);

/// Clients of streams that end with the drain are told to come back after a time in this range, in milliseconds: soon, but not
/// all in the same instant.
const RECONNECT_AFTER_MS: std::ops::RangeInclusive<u64> = 250..=1500;

/// The state of a drain; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    announced: CancellationToken,
    closed: CancellationToken,
    over: CancellationToken,
    calls: TaskTracker,
    grace: Arc<OnceLock<Duration>>,
}

/// Held by every call from its head to the last byte of its answer: a drain waits for it.
#[derive(Debug)]
pub struct DrainGuard(#[expect(dead_code, reason = "whoever holds it is alive")] TaskTrackerToken);

impl Drain {
    /// A call that a drain must wait for.
    #[must_use]
    pub fn guard(&self) -> DrainGuard {
        DrainGuard(self.calls.token())
    }

    /// True once the gateway has begun to stop.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        self.announced.is_cancelled()
    }

    /// Resolves when the gateway begins to stop.
    pub async fn announced(&self) {
        self.announced.cancelled().await;
    }

    /// The announcement as a token that its owner may also cancel for itself.
    pub(crate) fn announcement(&self) -> CancellationToken {
        self.announced.child_token()
    }

    /// How long the drain that was announced may take.
    pub(crate) fn grace(&self) -> Duration {
        self.grace.get().copied().unwrap_or(GRACE)
    }

    /// When a client whose stream ends with the drain is to come back.
    pub(crate) fn reconnect_after() -> Duration {
        Duration::from_millis(fastrand::u64(RECONNECT_AFTER_MS))
    }

    /// Cancelled when no client is let in any more.
    pub(crate) fn door(&self) -> CancellationToken {
        self.closed.clone()
    }

    /// Cancelled when what is left is cut.
    pub(crate) fn end(&self) -> CancellationToken {
        self.over.clone()
    }

    /// Resolves when what is left is cut.
    pub async fn time_is_up(&self) {
        self.over.cancelled().await;
    }

    /// Goes through the three moments and returns when every call has ended and its answer has left through its connection, or
    /// when `grace` has passed; true if none was cut.
    pub async fn run(&self, lame_duck: Duration, grace: Duration, connections: &TaskTracker) -> bool {
        let deadline = Instant::now() + grace;
        self.grace.get_or_init(|| grace);
        self.announced.cancel();
        tokio::time::sleep(lame_duck.min(grace)).await;
        self.closed.cancel();
        self.calls.close();
        connections.close();
        let all = async { tokio::join!(self.calls.wait(), connections.wait()) };
        let finished = tokio::time::timeout_at(deadline, all).await.is_ok() || self.calls.is_empty();
        self.over.cancel();
        finished
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_drain_waits_for_calls_and_for_no_longer() {
        let drain = Drain::default();
        let (guard, no_connections) = (drain.guard(), TaskTracker::new());
        let running = tokio::join!(drain.run(LAME_DUCK, GRACE, &no_connections), async {
            drain.announced().await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            drop(guard);
        });
        assert!(running.0, "the call was cut");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_does_not_end_is_cut_when_the_grace_is_over() {
        let drain = Drain::default();
        let (_guard, no_connections) = (drain.guard(), TaskTracker::new());
        let began = Instant::now();
        assert!(!drain.run(LAME_DUCK, GRACE, &no_connections).await);
        assert_eq!(began.elapsed(), GRACE);
    }
}
