//! The index of one control plane: one file.
//!
//! A commit is on disk when it is answered (WAL, `synchronous = FULL`). One connection writes; a few read, from the state of the
//! last commit.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use self::sql::Frame;
use super::{OPERATION_TIMEOUT, Turn};
use crate::store::migrate::{Source, migrate};
use crate::store::sqlite::{BUSY_TIMEOUT, is_of_content, keep_private, refused, words};
use crate::store::{StoreError, sqlite};

#[allow(clippy::duplicate_mod, reason = "the statements are the same for both databases, and sqlx's types are not")]
#[path = "sql/mod.rs"]
mod sql;
#[cfg(test)]
mod tests;

pub use self::sql::SqlIndex as SqliteIndex;

type Database = Sqlite;

/// Takes the write lock at once: a transaction that reads first and writes then can be refused in between.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// Holds a message while a segment comes to refer to it. Nobody else writes meanwhile.
const HOLD_MESSAGE: &str = "SELECT stored_bytes FROM messages WHERE fleet = $1 AND hash = $2";

/// Takes messages to discard them. Nobody else writes meanwhile.
const TAKE_MESSAGES: &str = "";

/// A commit holds words. Nobody else writes meanwhile.
const HOLD_WORDS: &str = "";

/// Takes words that are let go of. Nobody else writes meanwhile.
const TAKE_WORDS: &str = "";

/// Takes a word to forget it.
const FORGET_WORD: &str = "SELECT id FROM words WHERE id = $1";

/// Connections that read: a search or two, and a look.
const READERS: u32 = 4;

/// Rows of one statement. Beyond some tens it costs more memory and saves no time; SQLite binds 32 766 values at most.
const ROWS_AT_ONCE: usize = 64;

/// Page cache of the connection that writes, in KiB (negative, as SQLite wants it): the leaves of six indexes that rows of a
/// minute touch.
const CACHE: &str = "-65536";

/// Pages of the log before they are copied into the file: 32 MiB, so that one copy serves many commits.
const CHECKPOINT_PAGES: &str = "8192";

/// Never changed, only added to.
const MIGRATIONS: &[Source] = &[
    (1, "segments, frames, tapes", include_str!("../../../migrations/tapes-sqlite/0001_segments_frames_tapes.sql")),
    (2, "what was deleted", include_str!("../../../migrations/tapes-sqlite/0002_what_was_deleted.sql")),
];

impl SqliteIndex {
    /// Opens the index at `path`, and makes it if there is none. Its directory must exist.
    ///
    /// # Errors
    /// As those of the store in SQLite.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Ok(Self::over(Self::access(path.as_ref()).await?))
    }

    async fn access(path: &Path) -> Result<sql::Access, StoreError> {
        let at = |error: StoreError| match error {
            StoreError::Unavailable(reason) => StoreError::Unavailable(format!("{}: {reason}", path.display())),
            StoreError::Unusable(reason) => StoreError::Unusable(format!("{}: {reason}", path.display())),
            other => other,
        };
        let place = keep_private(path)
            .and_then(|()| sqlite::Place::of(path))
            .map_err(|error| at(StoreError::Unusable(error.to_string())))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = |size| SqlitePoolOptions::new().max_connections(size).acquire_timeout(OPERATION_TIMEOUT);
        let writing = options.clone().pragma("cache_size", CACHE).pragma("wal_autocheckpoint", CHECKPOINT_PAGES);
        let writers = pool(1).connect_with(writing).await.map_err(|error| at(refused(&error)))?;
        let mut connection = writers.acquire().await.map_err(|error| at(refused(&error)))?;
        migrate(&mut *connection, MIGRATIONS, refused).await.map_err(at)?;
        drop(connection);
        Ok(sql::Access { writers, readers: pool(READERS).connect_lazy_with(options), place })
    }
}

/// Whether the file is still where it was.
pub(super) type Place = sqlite::Place;

/// Nothing is to be made ahead.
#[allow(clippy::unused_async, reason = "the other database has something to make")]
async fn prepare(_: &mut SqliteConnection, _: &[i64]) -> Result<(), sqlx::Error> {
    Ok(())
}

/// Nobody else has the file.
#[allow(clippy::unused_async, reason = "the other database has somebody to ask")]
async fn take_turn(_: &sqlx::Pool<Sqlite>) -> Result<Option<Turn>, sqlx::Error> {
    Ok(Some(Turn::default()))
}

/// What takes too long is interrupted by whoever waits for it.
fn took_too_long(_: &sqlx::Error) -> bool {
    false
}

/// There are no partitions.
#[allow(clippy::unused_async, reason = "the other database has some")]
async fn drop_empty_partitions(_: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    Ok(0)
}

/// How a search says by which index it goes. Nobody measures the tables for SQLite, and without measures it takes an index that
/// answers more of a question for the dearer one.
fn way(index: Option<&'static str>) -> String {
    index.map_or_else(|| " NOT INDEXED".to_owned(), |index| format!(" INDEXED BY {index}"))
}

/// Inserts frames. One that is there already, because two segments claim its place, stays as it is.
async fn insert_frames(connection: &mut SqliteConnection, frames: &[Frame<'_>]) -> Result<(), sqlx::Error> {
    for frames in frames.chunks(ROWS_AT_ONCE) {
        let mut insert = QueryBuilder::<Sqlite>::new(sql::INSERT_FRAMES);
        insert.push_values(frames, |mut row, frame| {
            let Frame { row: kept, .. } = frame;
            row.push_bind(frame.fleet).push_bind(kept.at).push_bind(frame.source).push_bind(frame.seq());
            row.push_bind(frame.segment).push_bind(frame.place()).push_bind(frame.tape).push_bind(kept.kind);
            row.push_bind(kept.direction).push_bind(frame.method).push_bind(frame.name).push_bind(kept.outcome);
            row.push_bind(kept.code).push_bind(frame.latency()).push_bind(frame.size()).push_bind(frame.route);
            row.push_bind(frame.upstream).push_bind(frame.endpoint).push_bind(kept.session.as_deref());
            row.push_bind(frame.principal).push_bind(kept.trace.as_ref().map(<[u8; 16]>::as_slice));
            row.push_bind(frame.era).push_bind(frame.version()).push_bind(frame.operation());
            row.push_bind(frame.recording);
        });
        insert.push(" ON CONFLICT DO NOTHING");
        insert.build().execute(&mut *connection).await?;
    }
    Ok(())
}
