//! Tells Redis of sessions in use, behind the calls that use them.

use tokio::sync::mpsc;

use super::{Shared, keys, scripts};
use crate::SessionId;

/// Notes of use on their way to Redis. When it is full, a note is dropped, counted by `touches_deferred`, and the session's
/// next use makes another; each session makes at most one per touch interval.
pub(super) const QUEUE: usize = 4_096;

/// Notes in one round trip, which are one script: a hundred microseconds of Redis's time.
const BATCH: usize = 64;

/// A session was used.
#[derive(Debug)]
pub(super) struct Touch {
    pub(super) id: SessionId,
    /// How long it lives from now, in milliseconds.
    pub(super) ttl: u64,
}

impl Shared {
    /// Tells Redis for as long as it is polled.
    pub(super) async fn tell_of_uses(&self, mut queue: mpsc::Receiver<Touch>) {
        let mut batch = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            self.touch(&batch).await;
            batch.clear();
        }
    }

    async fn touch(&self, batch: &[Touch]) {
        let records: Vec<_> = batch.iter().map(|touch| keys::session(&touch.id)).collect();
        let mut script = scripts::TOUCH.call(records.iter().map(String::as_str));
        for touch in batch {
            script.arg(touch.id.to_string()).arg(touch.ttl);
        }
        match self.link.ask::<Vec<bool>>(&script).await {
            Ok(alive) => {
                for (touch, _) in batch.iter().zip(alive).filter(|(_, alive)| !alive) {
                    self.cache.invalidate(&touch.id);
                }
            }
            Err(error) => {
                tracing::debug!(%error, sessions = batch.len(), "Redis not told of use: the next use tries again");
                for touch in batch {
                    self.cache.touch_failed(&touch.id);
                }
            }
        }
    }
}
