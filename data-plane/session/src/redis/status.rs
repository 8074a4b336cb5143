//! Whether the link to Redis is there: asked by everybody, without waiting.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use tokio::sync::Notify;

use crate::StoreError;
use crate::clock::{millis, now};

/// A link that is there.
#[derive(Debug)]
pub(super) struct Up {
    pub(super) connection: MultiplexedConnection,
    /// Which one: what was cached under one generation is not kept honest by the next.
    pub(super) generation: u64,
}

/// The state of the link. Only the link's task makes it come; anybody who sees it break makes it go.
#[derive(Debug)]
pub(super) struct Status {
    up: ArcSwapOption<Up>,
    /// Of the link that is there, or was there last; 0 before the first.
    generation: AtomicU64,
    /// Unix time in milliseconds; 0 while the link is there.
    away_since: AtomicU64,
    grace: Duration,
    /// Why it is away. Held by whoever makes the link come or go, so that one does not overtake the other.
    reason: Mutex<String>,
    lost: Notify,
}

impl Status {
    /// Away, and never seen before. `grace`: how long what was cached is trusted without a link.
    pub(super) fn new(grace: Duration) -> Self {
        Self {
            up: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            away_since: AtomicU64::new(now()),
            grace,
            reason: Mutex::new("not connected yet".to_owned()),
            lost: Notify::new(),
        }
    }

    /// The link, or why there is none.
    pub(super) fn up(&self) -> Result<Arc<Up>, StoreError> {
        self.up.load_full().ok_or_else(|| StoreError::Unavailable(self.why_away()))
    }

    pub(super) fn is_up(&self) -> bool {
        self.away_since.load(Ordering::Acquire) == 0
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether something cached under a generation may be served: nothing was missed since, or the outage is short yet.
    pub(super) fn trusts(&self, generation: u64, now: u64) -> bool {
        generation == self.generation()
            && match self.away_since.load(Ordering::Acquire) {
                0 => true,
                since => now.saturating_sub(since) < millis(self.grace),
            }
    }

    /// The link is there.
    pub(super) fn came(&self, up: Up) {
        let _reason = self.reason();
        self.generation.store(up.generation, Ordering::Release);
        self.away_since.store(0, Ordering::Release);
        self.up.store(Some(Arc::new(up)));
    }

    /// The link of a generation is gone. Of several who notice, the first counts.
    pub(super) fn went(&self, generation: u64, why: &str) {
        let mut reason = self.reason();
        if self.up.load().as_ref().is_none_or(|up| up.generation != generation) {
            return;
        }
        why.clone_into(&mut reason);
        self.away_since.store(now(), Ordering::Release);
        self.up.store(None);
        self.lost.notify_one();
    }

    /// An attempt to bring the link back failed.
    pub(super) fn still_away(&self, why: &str) {
        why.clone_into(&mut self.reason());
    }

    /// Returns once a link has gone since the last call.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }

    /// One sentence for `/health` and for whoever asked for what only Redis knows.
    pub(super) fn why_away(&self) -> String {
        let seconds = now().saturating_sub(self.away_since.load(Ordering::Acquire)) / 1_000;
        format!("Redis has been away for {seconds} s ({})", self.reason())
    }

    fn reason(&self) -> MutexGuard<'_, String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
