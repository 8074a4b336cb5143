//! The databases that an index of recorded traffic can be in, and what it takes there.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use shadowcat_tests::Postgres;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tempfile::TempDir;

/// The index beside the control plane's own file.
const SQLITE_FILES: [&str; 2] = ["tapes.db", "tapes.db-wal"];

/// Objects in the control plane's directory.
const OBJECTS: &str = "tapes";

/// Every table of the index, with its indexes.
const POSTGRES_BYTES: &str = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class \
     WHERE relnamespace = 'shadowcat_tapes'::regnamespace AND relkind = 'r'";

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Database {
    /// In the control plane's own directory
    Sqlite,
    /// One as it comes, beside the control plane
    Postgres,
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "Postgres",
        })
    }
}

/// A database with nothing in it. It ends with this value.
pub(super) struct Place {
    /// Before the files, so that it ends before they do.
    postgres: Option<Postgres>,
    _files: TempDir,
}

impl Place {
    pub(super) async fn new(database: Database) -> anyhow::Result<Self> {
        let files = tempfile::tempdir()?;
        let postgres = match database {
            Database::Sqlite => None,
            Database::Postgres => Some(Postgres::durable(files.path()).await),
        };
        Ok(Self { postgres, _files: files })
    }

    /// As a control plane is told; `None` for its own file.
    pub(super) fn url(&self) -> Option<String> {
        self.postgres.as_ref().map(Postgres::url)
    }

    /// Bytes that the index takes. `files` is the control plane's directory.
    pub(super) async fn index_bytes(&self, files: &Path) -> anyhow::Result<u64> {
        let Some(postgres) = &self.postgres else {
            let lengths = SQLITE_FILES.iter().map(|name| Ok(fs::metadata(files.join(name))?.len()));
            return lengths.sum::<std::io::Result<u64>>().context("the index");
        };
        let mut connection = Box::pin(PgConnection::connect(&postgres.url())).await?;
        let bytes: i64 = sqlx::query_scalar(POSTGRES_BYTES).fetch_one(&mut connection).await?;
        Ok(u64::try_from(bytes)?)
    }
}

/// Bytes of what is kept in the control plane's directory beside its database.
pub(super) fn object_bytes(files: &Path) -> anyhow::Result<u64> {
    below(&files.join(OBJECTS)).context("the objects")
}

fn below(directory: &Path) -> std::io::Result<u64> {
    fs::read_dir(directory)?
        .map(|entry| {
            let entry = entry?;
            if entry.file_type()?.is_dir() { below(&entry.path()) } else { Ok(entry.metadata()?.len()) }
        })
        .sum()
}
