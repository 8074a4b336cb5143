//! The store of one control plane: one file.
//!
//! Commits are on disk when they are answered (WAL, `synchronous = FULL`). One connection writes, and in this process nothing ever
//! waits for a lock; a few read, from the state of the last commit.

use std::fs::{self, OpenOptions, Permissions};
use std::future::ready;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::migrate::{Source, migrate};
use super::pulse::Pulse;
use super::{OPERATION_TIMEOUT, StoreError};

#[allow(clippy::duplicate_mod, reason = "the statements are the same for both databases, and sqlx's types are not")]
#[path = "sql/mod.rs"]
mod sql;

pub use self::sql::SqlStore as SqliteStore;

type Database = sqlx::Sqlite;

/// Takes the write lock at once: a transaction that reads first and writes then can be refused in between.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// How long a lock of another process is waited for. Shorter than an operation, so that it ends with the reason.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Connections that read. Each has a thread and a page cache; what is read is small, and mostly cached above.
const READERS: u32 = 3;

/// Whoever reads the file holds the authority's key.
const FILE_MODE: u32 = 0o600;

/// Where the file was when it was opened. SQLite goes on with a file that was moved or deleted, and what it writes then is gone
/// with the process.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    path: Arc<Path>,
    file: FileId,
}

/// Device and number: no other file has both while this one is open.
type FileId = (u64, u64);

impl Place {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.into(), file: file_id(path)? })
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if file_id(&self.path).is_ok_and(|file| file == self.file) {
            return Ok(());
        }
        Err(format!(
            "{} was moved or deleted while in use: put it back, or restart to open another",
            self.path.display()
        ))
    }
}

fn file_id(path: &Path) -> io::Result<FileId> {
    let file = fs::metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// Never changed, only added to.
const MIGRATIONS: &[Source] = &[
    (1, "versions, nodes, tokens, audit", include_str!("../../migrations/sqlite/0001_versions_nodes_tokens_audit.sql")),
    (2, "streams of nodes", include_str!("../../migrations/sqlite/0002_streams_of_nodes.sql")),
    (3, "redaction keys", include_str!("../../migrations/sqlite/0003_redaction_keys.sql")),
    (4, "traffic of replicas", include_str!("../../migrations/sqlite/0004_traffic_of_replicas.sql")),
];

impl SqliteStore {
    /// Opens the database at `path`, and makes it if there is none. Its directory must exist.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] if the file cannot be opened, is damaged or of a newer schema, and [`StoreError::Unavailable`] if
    /// another process keeps it locked.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let at = |error: StoreError| match error {
            StoreError::Unavailable(reason) => StoreError::Unavailable(format!("{}: {reason}", path.display())),
            StoreError::Unusable(reason) => StoreError::Unusable(format!("{}: {reason}", path.display())),
            other => other,
        };
        let place = keep_private(path)
            .and_then(|()| Place::of(path))
            .map_err(|error| at(StoreError::Unusable(error.to_string())))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        let pool = |size| SqlitePoolOptions::new().max_connections(size).acquire_timeout(OPERATION_TIMEOUT);
        let writers = pool(1).connect_with(options.clone()).await.map_err(|error| at(refused(&error)))?;
        let mut connection = writers.acquire().await.map_err(|error| at(refused(&error)))?;
        migrate(&mut *connection, MIGRATIONS, refused).await.map_err(at)?;
        drop(connection);
        let access = sql::Access {
            writers,
            readers: pool(READERS).connect_lazy_with(options),
            pulse: Arc::new(Pulse::new()),
            place,
        };
        Self::start(access, ready(())).await.map_err(at)
    }
}

/// Before SQLite makes the file: it gives its other files (`-wal`, `-shm`) the same mode.
pub(crate) fn keep_private(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    }
    Ok(())
}

/// Primary result codes (<https://www.sqlite.org/rescode.html>), below the bits that extend them.
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const TOOBIG: i32 = 18;
    pub(super) const CONSTRAINT: i32 = 19;
    pub(super) const MISMATCH: i32 = 20;
    pub(super) const NOTADB: i32 = 26;
    pub(super) const PRIMARY: i32 = 0xff;
}

fn primary_code(error: &sqlx::Error) -> Option<i32> {
    Some(error.as_database_error()?.code()?.parse::<i32>().ok()? & code::PRIMARY)
}

/// Whether an error is about what was to be written, and not about the database.
pub(crate) fn is_of_content(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(code::TOOBIG | code::CONSTRAINT | code::MISMATCH))
}

/// What SQLite means by an error, and what to do.
pub(crate) fn words(error: &sqlx::Error) -> String {
    let cure = match primary_code(error) {
        Some(code::BUSY | code::LOCKED) => {
            return format!(
                "another process has kept it locked for {BUSY_TIMEOUT:?}: end that process, or its transaction"
            );
        }
        Some(code::CORRUPT | code::NOTADB) => {
            "the file is damaged, or no SQLite database: restore it from a backup, or move it away to start anew"
        }
        Some(code::FULL) => "the disk is full: make room",
        Some(code::READONLY) => "the file, its directory or its disk is read-only: make it writable",
        Some(code::IOERR) => "the disk failed: look at the system's log",
        _ => return error.to_string(),
    };
    format!("{cure} ({error})")
}

/// What an error says of the database as it is opened.
pub(crate) fn refused(error: &sqlx::Error) -> StoreError {
    let told = words(error);
    match primary_code(error) {
        Some(code::BUSY | code::LOCKED | code::FULL | code::IOERR) => StoreError::Unavailable(told),
        _ => StoreError::Unusable(told),
    }
}
