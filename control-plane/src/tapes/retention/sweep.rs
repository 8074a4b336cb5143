//! Objects that the index has never heard of: bytes of a segment whose rows were not committed, and whose node did not come back.
//!
//! An object is looked at once it is a day old. What no row refers to is listed as discarded, or, if it is a message, as unused; either
//! way it stays for an hour, in which a node that comes back after all gets it back. What was not even written to its end goes at once.

use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt as _;

use super::{AT_ONCE, BREATH, MESSAGES_STAY, Passed, Retention, Unfinished, micros};
use crate::tapes::blobs::{MESSAGES, SEGMENTS};

/// Younger objects may be of segments that are on their way: these take minutes.
const OLD_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

impl Retention {
    /// Goes over all objects once. May be dropped at any point.
    ///
    /// # Errors
    /// When a database or the place for bytes does not answer.
    pub async fn sweep(&self) -> Result<Passed, Unfinished> {
        let Some(_turn) = self.index.turn().await? else { return Ok(Passed::Elsewhere) };
        for prefix in [SEGMENTS, MESSAGES] {
            let (mut listed, mut old) = (pin!(self.blobs.list(prefix)), Vec::new());
            while let Some(object) = listed.try_next().await? {
                if object.last_modified.timestamp_micros() < self.ago(OLD_AFTER) {
                    old.push((object.location.to_string(), object.size));
                }
                if old.len() >= AT_ONCE as usize {
                    self.look_at(&mut old).await?;
                }
            }
            self.look_at(&mut old).await?;
        }
        let unfinished = self.blobs.remove_unfinished(self.ago(OLD_AFTER)).await?;
        if unfinished > 0 {
            tracing::info!(unfinished, "files that were being written when a control plane died were removed");
        }
        Ok(Passed::Here)
    }

    async fn look_at(&self, objects: &mut Vec<(String, u64)>) -> Result<(), Unfinished> {
        let now = (self.clock)();
        self.index.discard_unknown(objects, now, now.saturating_add(micros(MESSAGES_STAY))).await?;
        objects.clear();
        tokio::time::sleep(BREATH).await;
        Ok(())
    }
}
