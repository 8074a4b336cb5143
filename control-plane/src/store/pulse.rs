//! Whether a database answers, and whether there is something new to look at.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use super::rows::millis;

/// How often a store looks at its database. It is what notices an outage while nobody asks, and a change by another replica
/// that no notification told of, which must be seen within two seconds.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Shared by the operations of a store and its tasks.
#[derive(Debug)]
pub(super) struct Pulse {
    changes: watch::Sender<u64>,
    /// Milliseconds since 1970; 0 while the database answers.
    silent_since: AtomicU64,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self { changes: watch::Sender::new(0), silent_since: AtomicU64::new(0) }
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Something may have changed.
    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn answered(&self) {
        // Nearly always there is nothing to write.
        if self.silent_since.load(Ordering::Relaxed) != 0 && self.silent_since.swap(0, Ordering::Relaxed) != 0 {
            tracing::info!("the database answers again");
        }
    }

    pub(super) fn failed(&self, reason: &str) {
        let now = u64::try_from(millis(SystemTime::now())).unwrap_or_default().max(1);
        if self.silent_since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            tracing::warn!(reason, "the database does not answer");
        }
    }

    pub(super) fn health(&self) -> Result<(), SystemTime> {
        match self.silent_since.load(Ordering::Relaxed) {
            0 => Ok(()),
            since => Err(UNIX_EPOCH + Duration::from_millis(since)),
        }
    }
}
