//! The store of several replicas.
//!
//! A trigger notifies [`CHANNEL`] when a transaction that appends a version, or lets a node join or go, commits. A notification
//! that is lost costs a second: every replica looks as well.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use tokio::time::{sleep, timeout};

use super::migrate::{Source, migrate};
use super::pulse::{LOOK_EVERY, Pulse};
use super::{OPERATION_TIMEOUT, StoreError};

#[allow(clippy::duplicate_mod, reason = "the statements are the same for both databases, and sqlx's types are not")]
#[path = "sql/mod.rs"]
mod sql;

pub use self::sql::SqlStore as PostgresStore;

type Database = sqlx::Postgres;

const BEGIN: &str = "BEGIN";

/// A server that has lost its files says so itself.
#[derive(Debug, Clone)]
struct Place;

impl Place {
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "that of SQLite has something to look at")]
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// As the migrations name it.
const CHANNEL: &str = "shadowcat_changes";

/// Connections of a replica for its operations; one more listens. With Postgres' own limit of 100 there is room for ten replicas.
const CONNECTIONS: u32 = 8;

/// Enforced by Postgres. Shorter than an operation, so that it ends with the reason.
const STATEMENT_TIMEOUT: &str = "1500ms";

/// Enforced by Postgres: the locks of a replica that froze within a commit are let go.
const IDLE_IN_TRANSACTION_TIMEOUT: &str = "5s";

/// For a schema to be brought up to date, or for another replica to have done so.
pub(crate) const MIGRATION_TIMEOUT: Duration = Duration::from_secs(60);

/// SQLSTATE: the server is a standby, or was made read-only.
const READ_ONLY: &str = "25006";

/// SQLSTATE: a statement took longer than [`STATEMENT_TIMEOUT`].
const CANCELED: &str = "57014";

/// Never changed, only added to.
const MIGRATIONS: &[Source] = &[
    (
        1,
        "versions, nodes, tokens, audit",
        include_str!("../../migrations/postgres/0001_versions_nodes_tokens_audit.sql"),
    ),
    (2, "streams of nodes", include_str!("../../migrations/postgres/0002_streams_of_nodes.sql")),
    (3, "redaction keys", include_str!("../../migrations/postgres/0003_redaction_keys.sql")),
    (4, "traffic of replicas", include_str!("../../migrations/postgres/0004_traffic_of_replicas.sql")),
];

impl PostgresStore {
    /// Connects to the database that `url` names, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] if the URL is none, or the database is of a newer schema, and [`StoreError::Unavailable`] if it
    /// does not answer or lets nobody in.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)
            // Not the URL itself: there may be a password in it.
            .map_err(|error| StoreError::Unusable(format!("its URL cannot be read: {}", words(&error))))?
            .application_name("shadowcat-control-plane");
        prepare(&options).await?;
        let bounded = options.options([
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(OPERATION_TIMEOUT)
            .connect_lazy_with(bounded.clone());
        let pulse = Arc::new(Pulse::new());
        let access = sql::Access { writers: pool.clone(), readers: pool, pulse: Arc::clone(&pulse), place: Place };
        Box::pin(Self::start(access, listen(bounded, pulse))).await
    }
}

/// Over a connection of its own: a migration may take its time.
async fn prepare(options: &PgConnectOptions) -> Result<(), StoreError> {
    let connecting = timeout(OPERATION_TIMEOUT, options.connect()).await;
    let mut connection = connecting
        .map_err(|_| StoreError::Unavailable(format!("no connection within {OPERATION_TIMEOUT:?}")))?
        .map_err(|error| refused(&error))?;
    timeout(MIGRATION_TIMEOUT, migrate(&mut connection, MIGRATIONS, refused)).await.map_err(|_| {
        StoreError::Unavailable(format!("its schema was not up to date within {MIGRATION_TIMEOUT:?}"))
    })??;
    // A courtesy: the server learns of it from the socket too.
    let _ = timeout(OPERATION_TIMEOUT, connection.close()).await;
    Ok(())
}

/// Tells of notifications, and of every time that some may have been missed. Never ends.
async fn listen(options: PgConnectOptions, pulse: Arc<Pulse>) {
    loop {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(OPERATION_TIMEOUT)
            .connect_lazy_with(options.clone());
        // Looking goes on meanwhile, and says what is wrong.
        if let Err(error) = listen_over(&pool, &pulse).await {
            tracing::debug!(error = words(&error), "not listening to the database");
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn listen_over(pool: &sqlx::PgPool, pulse: &Pulse) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        pulse.changed();
        // Nothing at all stands for a connection that was lost and has been made again.
        listener.try_recv().await?;
    }
}

/// Whether an error is about what was to be written, and not about the database: data exceptions and violated constraints
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
pub(crate) fn is_of_content(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

/// Whether a statement took longer than it may.
pub(crate) fn took_too_long(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == CANCELED)
}

/// What Postgres means by an error, and what to do.
pub(crate) fn words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::PoolTimedOut => {
            format!("no connection within {OPERATION_TIMEOUT:?}: does it run, and does it take as many connections?")
        }
        sqlx::Error::Database(told) => match told.code().as_deref() {
            Some(READ_ONLY) => format!("it is read-only, as a standby is: name the primary ({})", told.message()),
            Some(CANCELED) => format!("no answer within {STATEMENT_TIMEOUT}: is a lock held? ({})", told.message()),
            _ => told.message().to_owned(),
        },
        other => other.to_string(),
    }
}

pub(crate) fn refused(error: &sqlx::Error) -> StoreError {
    StoreError::Unavailable(words(error))
}
