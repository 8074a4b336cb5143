//! An index in SQL: the statements.
//!
//! This module is compiled twice, as a child of `sqlite` and of `postgres`, as the store's is: both run the same text, and sqlx's
//! types differ. The parent says which `Database`, how a transaction begins (`BEGIN`), what an error means (`words`), how frames are
//! inserted, and what is made before they are (`prepare`).
//!
//! Commits of one source wait for each other at its row, which is the first that a commit touches; words, sources and tapes are touched
//! in their order, so that replicas wait for each other and do not lock each other out.

mod access;
mod commit;
mod dictionary;
mod discard;
mod frame;
mod keep;
mod known;
mod messages;
mod names;
mod remove;
mod resolve;
mod rewrite;
pub(super) mod search;
mod shares;
mod stats;
pub(super) mod tapes;
mod upkeep;
mod ways;
mod whole;

use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};

pub(super) use self::access::Access;
use self::dictionary::Dictionary;
pub(super) use self::frame::{Frame, INSERT_FRAMES};
use super::super::super::blobs::message_key;
use super::super::{
    Committed, Extent, Filter, FoundFrame, FoundSource, FoundTape, Hold, Holding, Index, KeptSegment, Known,
    OPERATION_TIMEOUT, Offered, Position, SegmentRows, Totals, Upkeep, What,
};
use super::Database;
use crate::store::StoreError;
use crate::store::lent::ask;

type Connection = <Database as sqlx::Database>::Connection;

/// An index in a SQL database.
#[derive(Debug)]
pub struct SqlIndex {
    access: Access,
    dictionary: Dictionary,
}

impl SqlIndex {
    /// An index over a database whose schema is up to date.
    pub(super) fn over(access: Access) -> Self {
        Self { access, dictionary: Dictionary::default() }
    }
}

#[async_trait]
impl Index for SqlIndex {
    async fn known(&self, offered: Offered<'_>) -> Result<Known, StoreError> {
        let looked = ask!(self.access, readers, known::known, offered)?;
        if looked.known == Known::Stored {
            ask!(self.access, writers, known::repeated, offered)?;
        }
        if !looked.unused.is_empty() {
            ask!(self.access, writers, messages::keep, offered.fleet, &looked.unused, now())?;
        }
        for hash in looked.discarded {
            let key = message_key(offered.fleet, &blake3::Hash::from_bytes(hash));
            self.take_back(key.as_ref(), now()).await?;
        }
        Ok(looked.known)
    }

    async fn commit(&self, segments: &[SegmentRows]) -> Result<Vec<Committed>, StoreError> {
        ask!(self.access, writers, commit::commit, &self.dictionary, segments)
    }

    async fn search(
        &self,
        filter: &Filter,
        what: What,
        before: Option<Position>,
        limit: u32,
    ) -> Result<Vec<FoundFrame>, StoreError> {
        ask!(self.access, readers, search::search, filter, what, before, limit)
    }

    async fn tapes(
        &self,
        filter: &Filter,
        before: Option<(i64, i64)>,
        limit: u32,
    ) -> Result<Vec<FoundTape>, StoreError> {
        ask!(self.access, readers, tapes::tapes, filter, before, limit)
    }

    async fn frames_of_tape(
        &self,
        filter: &Filter,
        tape: i64,
        after: (i64, u64),
        limit: u32,
    ) -> Result<Vec<FoundFrame>, StoreError> {
        ask!(self.access, readers, search::of_tape, filter, tape, after, limit)
    }

    async fn segments(&self, numbers: &[i64]) -> Result<Vec<KeptSegment>, StoreError> {
        ask!(self.access, readers, known::segments, numbers)
    }

    async fn segment_before(&self, segment: i64, seq: u64) -> Result<Option<i64>, StoreError> {
        ask!(self.access, readers, known::segment_before, segment, seq)
    }

    async fn extent(&self, filter: &Filter, before: Option<Position>) -> Result<Extent, StoreError> {
        ask!(self.access, readers, stats::extent, filter, before)
    }

    async fn totals(&self, fleet: &str) -> Result<Totals, StoreError> {
        ask!(self.access, readers, stats::totals, fleet)
    }

    async fn sources(&self, fleet: &str) -> Result<Vec<FoundSource>, StoreError> {
        ask!(self.access, readers, stats::sources, fleet)
    }

    async fn unknown(&self, fleet: &str, tapes: &[String]) -> Result<Vec<String>, StoreError> {
        ask!(self.access, readers, keep::unknown, fleet, tapes)
    }

    async fn hold(&self, fleet: &str, tapes: &[String], held: Hold) -> Result<Holding, StoreError> {
        ask!(self.access, writers, keep::hold, fleet, tapes, held)
    }

    async fn close(&self) {
        // A pool waits for its connections; those that do not answer are not waited for.
        let closed = async { tokio::join!(self.access.writers.close(), self.access.readers.close()) };
        let _ = timeout_at(Instant::now() + OPERATION_TIMEOUT, closed).await;
    }
}

/// Now, in microseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The largest number that is kept: databases add to numbers and subtract from them.
const NUMBER_MAX: i64 = 1 << 62;

/// A number as it is kept. What is larger is clamped: no number of ours comes near, and a node may send what it likes.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(NUMBER_MAX).min(NUMBER_MAX)
}

/// A number that was kept.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
