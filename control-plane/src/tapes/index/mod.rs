//! The index of tapes: which frames there are, in which segment each is, and what is missing.
//!
//! It is kept apart from versions and nodes, so that bulk writes never hold up a commit of a configuration: in a SQLite file of its
//! own, or in a schema of its own of the same Postgres. Both answer the same tests and run the same statements, in `sql`; what
//! differs is how they are opened and how many rows are written at once.
//!
//! Invariants:
//! - A segment is in it once, by node, instance, number and digest, with all its rows or none. Of those that share a number, the first
//!   one has frames.
//! - It is committed before a node is told that a segment is stored, and after the segment's bytes are.
//! - Every operation is bounded in time.
//!
//! Not here: bytes of messages ([`blobs`](super::blobs)), and how a record is read.

pub mod codes;
mod found;
pub(crate) mod pattern;
mod postgres;
mod rows;
mod sqlite;
mod upkeep;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::found::{Extent, Filter, FoundFrame, FoundSource, FoundTape, KeptSegment, Position, Totals, What};
pub use self::postgres::PostgresIndex;
pub use self::rows::{Committed, FrameRow, GapRow, Known, Offered, SegmentRows, TapeRow, Unread, Word};
pub use self::sqlite::SqliteIndex;
pub use self::upkeep::{KeptRecording, Removal, Removed, Rewriting, Rewritten, Share, Turn, Upkeep, Which, Why};
use crate::store::{StoreError, sqlite_file};

/// By when an operation has ended, connection included. A batch of rows takes a tenth of it.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);

/// The file beside the one of versions and nodes.
const INDEX_FILE: &str = "tapes.db";

/// Opens the index that belongs to the database that `url` names: a file beside it, or a schema in it.
///
/// # Errors
/// As [`store::open`](crate::store::open).
pub async fn open(url: &str) -> Result<Arc<dyn Index>, StoreError> {
    match sqlite_file(url) {
        Some(file) => {
            let directory = file.parent().unwrap_or(Path::new(""));
            Ok(Arc::new(Box::pin(SqliteIndex::open(directory.join(INDEX_FILE))).await?))
        }
        None => Ok(Arc::new(Box::pin(PostgresIndex::connect(url)).await?)),
    }
}

/// See the module. Errors are those of the store: [`StoreError::Unavailable`] when it does not answer, and
/// [`StoreError::Unkept`] when it will not have what it was given.
#[async_trait]
pub trait Index: Upkeep {
    /// What is known of a segment that a node offers, and of its messages. A segment that is stored is counted as having come again.
    async fn known(&self, offered: Offered<'_>) -> Result<Known, StoreError>;

    /// Commits segments, in one transaction.
    async fn commit(&self, segments: &[SegmentRows]) -> Result<Vec<Committed>, StoreError>;

    /// Up to `limit` frames before a position, the latest first.
    async fn search(
        &self,
        filter: &Filter,
        what: What,
        before: Option<Position>,
        limit: u32,
    ) -> Result<Vec<FoundFrame>, StoreError>;

    /// Up to `limit` tapes with a frame that fits, those first that began last: those before `before`, which is the beginning and the
    /// number of the last of the page before.
    async fn tapes(
        &self,
        filter: &Filter,
        before: Option<(i64, i64)>,
        limit: u32,
    ) -> Result<Vec<FoundTape>, StoreError>;

    /// Up to `limit` frames of a tape that fit, behind a place (source and seq), in the order of their recording.
    async fn frames_of_tape(
        &self,
        filter: &Filter,
        tape: i64,
        after: (i64, u64),
        limit: u32,
    ) -> Result<Vec<FoundFrame>, StoreError>;

    /// The segments of these numbers; those that are not there any more are left out.
    async fn segments(&self, numbers: &[i64]) -> Result<Vec<KeptSegment>, StoreError>;

    /// The segment with the record `seq` of what a segment's source has recorded, if it is one before that segment.
    async fn segment_before(&self, segment: i64, seq: u64) -> Result<Option<i64>, StoreError>;

    /// Segments of a fleet with records of the time that a filter says, before a position.
    async fn extent(&self, filter: &Filter, before: Option<Position>) -> Result<Extent, StoreError>;

    /// What is kept of a fleet.
    async fn totals(&self, fleet: &str) -> Result<Totals, StoreError>;

    /// What is kept and missing of each source of a fleet, the latest first.
    async fn sources(&self, fleet: &str) -> Result<Vec<FoundSource>, StoreError>;

    /// Which of these ids no tape has.
    async fn unknown(&self, fleet: &str, tapes: &[String]) -> Result<Vec<String>, StoreError>;

    /// Puts tapes on hold, or ends it: all of them, or none.
    async fn hold(&self, fleet: &str, tapes: &[String], held: Hold) -> Result<Holding, StoreError>;

    /// Ends the index's connections.
    async fn close(&self);
}

/// What came of a change of holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holding {
    /// The tapes whose hold has changed. That of the others was so before.
    Changed(Vec<String>),
    /// No tape has these ids, and nothing was changed.
    Unknown(Vec<String>),
}

/// Whether a tape may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It may not, by whomever.
    Held,
    /// It may.
    Released,
}
