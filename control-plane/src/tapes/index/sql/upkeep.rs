//! What the index does to forget, each within the time that an operation has.

use async_trait::async_trait;
use shadowcat_config::Retention;
use tokio::time::timeout;

use super::super::super::{
    KeptRecording, OPERATION_TIMEOUT, Removal, Removed, Rewriting, Rewritten, Share, Turn, Upkeep,
};
use super::super::{drop_empty_partitions, take_turn, words};
use super::{SqlIndex, discard, keep, messages, names, remove, rewrite, shares};
use crate::store::StoreError;
use crate::store::lent::{ask, no_answer};

#[async_trait]
impl Upkeep for SqlIndex {
    async fn turn(&self) -> Result<Option<Turn>, StoreError> {
        match timeout(OPERATION_TIMEOUT, take_turn(&self.access.writers)).await {
            Ok(taken) => taken.map_err(|error| StoreError::Unavailable(words(&error))),
            Err(_) => Err(StoreError::Unavailable(no_answer(OPERATION_TIMEOUT))),
        }
    }

    async fn fleets_kept(&self) -> Result<Vec<String>, StoreError> {
        ask!(self.access, readers, shares::fleets)
    }

    async fn recordings_kept(&self, fleet: &str) -> Result<Vec<KeptRecording>, StoreError> {
        ask!(self.access, readers, shares::recordings, fleet)
    }

    async fn note_retention(&self, of: &KeptRecording, said: Retention) -> Result<(), StoreError> {
        ask!(self.access, writers, shares::note_retention, of, said)
    }

    async fn shares(
        &self,
        of: &KeptRecording,
        after: (i64, i64),
        before: i64,
        limit: u32,
    ) -> Result<Vec<Share>, StoreError> {
        ask!(self.access, readers, shares::due, of, after, before, limit)
    }

    async fn stored_bytes(&self, of: &KeptRecording) -> Result<u64, StoreError> {
        ask!(self.access, readers, shares::stored_bytes, of)
    }

    async fn remove(&self, removal: &Removal, now: i64) -> Result<Removed, StoreError> {
        ask!(self.access, writers, remove::remove, removal, now)
    }

    async fn held(&self, fleet: &str) -> Result<Vec<String>, StoreError> {
        ask!(self.access, readers, keep::held, fleet)
    }

    async fn to_rewrite(&self, after: i64, limit: u32) -> Result<Vec<i64>, StoreError> {
        ask!(self.access, readers, rewrite::to_rewrite, after, limit)
    }

    async fn rewriting(&self, segment: i64) -> Result<Option<Rewriting>, StoreError> {
        ask!(self.access, readers, rewrite::rewriting, segment)
    }

    async fn discard(&self, object: &str, due: i64) -> Result<(), StoreError> {
        ask!(self.access, writers, discard::discard, object, due)
    }

    async fn discard_unknown(&self, objects: &[(String, u64)], now: i64, due: i64) -> Result<(), StoreError> {
        ask!(self.access, writers, discard::unknown, objects, now, due)
    }

    async fn take_back(&self, object: &str, now: i64) -> Result<(), StoreError> {
        if !ask!(self.access, readers, discard::is_listed, object)? {
            return Ok(());
        }
        if ask!(self.access, writers, discard::take_back, object, now)? {
            return Ok(());
        }
        Err(StoreError::NotNow(words(&discard::leaving(object))))
    }

    async fn rewritten(&self, rewritten: &Rewritten, now: i64) -> Result<bool, StoreError> {
        ask!(self.access, writers, rewrite::rewritten, rewritten, now)
    }

    async fn discard_messages(&self, before: i64, now: i64, limit: u32) -> Result<u64, StoreError> {
        ask!(self.access, writers, messages::discard_unused, before, now, limit)
    }

    async fn discarded(&self, now: i64, limit: u32) -> Result<Vec<String>, StoreError> {
        ask!(self.access, readers, discard::due, now, limit)
    }

    async fn take_discarded(&self, objects: &[String], now: i64) -> Result<Vec<String>, StoreError> {
        ask!(self.access, writers, discard::take, objects, now)
    }

    async fn forget(&self, objects: &[String]) -> Result<(), StoreError> {
        ask!(self.access, writers, discard::forget, objects)
    }

    async fn forget_words(&self, after: i64, limit: u32) -> Result<Option<i64>, StoreError> {
        ask!(self.access, writers, names::forget, after, limit)
    }

    async fn drop_empty_days(&self) -> Result<u64, StoreError> {
        ask!(self.access, writers, drop_empty_partitions)
    }
}
