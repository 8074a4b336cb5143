//! The index of several replicas: a schema of its own in the database of versions and nodes.
//!
//! Frames are partitioned by day, so that what is old goes with its partition. A partition is made with the first frame of its day,
//! and those of the next days ahead.

use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Postgres};
use tokio::time::timeout;

use self::partitions::{drop_empty_partitions, prepare};
use self::sql::Frame;
use super::{OPERATION_TIMEOUT, Turn};
use crate::store::StoreError;
use crate::store::migrate::{Source, migrate};
use crate::store::postgres::{MIGRATION_TIMEOUT, is_of_content, refused, took_too_long, words};

mod partitions;
#[allow(clippy::duplicate_mod, reason = "the statements are the same for both databases, and sqlx's types are not")]
#[path = "sql/mod.rs"]
mod sql;

pub use self::sql::SqlIndex as PostgresIndex;

type Database = Postgres;

const BEGIN: &str = "BEGIN";

/// Holds a message while a segment comes to refer to it, together with others who do so and with whoever changes its row: commits that
/// follow each other without a pause would keep those waiting for ever.
const HOLD_MESSAGE: &str = "SELECT stored_bytes FROM messages WHERE fleet = $1 AND hash = $2 FOR KEY SHARE";

/// Takes messages, which are `m`, to discard them, but for those that a commit holds or somebody changes.
const TAKE_MESSAGES: &str = " FOR UPDATE OF m SKIP LOCKED";

/// A commit holds words, together with others who do so.
const HOLD_WORDS: &str = " FOR KEY SHARE";

/// Takes words that are let go of, one after the other in their order.
const TAKE_WORDS: &str = " FOR NO KEY UPDATE";

/// Takes a word to forget it, unless a commit holds it.
const FORGET_WORD: &str = "SELECT id FROM words WHERE id = $1 FOR UPDATE SKIP LOCKED";

/// Where the tables are, apart from those of versions and nodes.
const SCHEMA: &str = "shadowcat_tapes";

const CREATE_SCHEMA: &str = "CREATE SCHEMA IF NOT EXISTS shadowcat_tapes";

/// Connections of a replica for tapes: one writes, the others search. With those of its store there is room for seven replicas.
const CONNECTIONS: u32 = 4;

/// Enforced by Postgres. Shorter than an operation, so that it ends with the reason.
const STATEMENT_TIMEOUT: &str = "9s";

/// Enforced by Postgres: the locks of a replica that froze within a commit are let go.
const IDLE_IN_TRANSACTION_TIMEOUT: &str = "15s";

/// A number that nothing else in the database locks: `forget` in ASCII. Whoever has it deletes.
const TURN_LOCK: i64 = 0x66_6f_72_67_65_74;

/// Never changed, only added to.
const MIGRATIONS: &[Source] = &[
    (1, "segments, frames, tapes", include_str!("../../../migrations/tapes-postgres/0001_segments_frames_tapes.sql")),
    (2, "what was deleted", include_str!("../../../migrations/tapes-postgres/0002_what_was_deleted.sql")),
];

impl PostgresIndex {
    /// Connects to the database that `url` names, and brings the schema up to date.
    ///
    /// # Errors
    /// As those of the store in Postgres.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)
            // Not the URL itself: there may be a password in it.
            .map_err(|error| StoreError::Unusable(format!("its URL cannot be read: {}", words(&error))))?
            .application_name("shadowcat-control-plane-tapes")
            .options([("search_path", SCHEMA)]);
        bring_up_to_date(&options).await?;
        let bounded = options.options([
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(OPERATION_TIMEOUT)
            .connect_lazy_with(bounded);
        Ok(Self::over(sql::Access { writers: pool.clone(), readers: pool, place: Place }))
    }
}

/// A server that has lost its files says so itself.
#[derive(Debug, Clone)]
pub(super) struct Place;

impl Place {
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "the other database has something to check")]
    pub(super) fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

async fn bring_up_to_date(options: &PgConnectOptions) -> Result<(), StoreError> {
    let silent = |_| StoreError::Unavailable(format!("no connection within {OPERATION_TIMEOUT:?}"));
    let mut connection =
        timeout(OPERATION_TIMEOUT, options.connect()).await.map_err(silent)?.map_err(|error| refused(&error))?;
    let updated = async {
        // Of two replicas that start at once the slower one is refused here, and finds the schema there.
        if sqlx::raw_sql(CREATE_SCHEMA).execute(&mut connection).await.is_err() {
            sqlx::raw_sql(CREATE_SCHEMA).execute(&mut connection).await.map_err(|error| refused(&error))?;
        }
        migrate(&mut connection, MIGRATIONS, refused).await?;
        prepare(&mut connection, &[]).await.map_err(|error| refused(&error))
    };
    timeout(MIGRATION_TIMEOUT, updated).await.map_err(|_| {
        StoreError::Unavailable(format!("the schema of tapes was not up to date within {MIGRATION_TIMEOUT:?}"))
    })??;
    // A courtesy: the server learns of it from the socket too.
    let _ = timeout(OPERATION_TIMEOUT, connection.close()).await;
    Ok(())
}

/// The turn of one replica, for as long as its connection lives: one of its own, because those of a pool serve everybody.
async fn take_turn(pool: &sqlx::Pool<Postgres>) -> Result<Option<Turn>, sqlx::Error> {
    let mut connection = pool.connect_options().connect().await?;
    let (taken,): (bool,) =
        sqlx::query_as("SELECT pg_try_advisory_lock($1)").bind(TURN_LOCK).fetch_one(&mut connection).await?;
    Ok(taken.then(|| Turn::held_by(connection)))
}

/// Postgres measures its tables, and chooses by that.
fn way(_: Option<&'static str>) -> &'static str {
    ""
}

/// Inserts frames, column by column. One that is there already, because two segments claim its place, stays as it is.
async fn insert_frames(connection: &mut PgConnection, frames: &[Frame<'_>]) -> Result<(), sqlx::Error> {
    fn column<'a, 'b, T>(frames: &'a [Frame<'b>], of: impl Fn(&'a Frame<'b>) -> T) -> Vec<T> {
        frames.iter().map(of).collect()
    }
    let statement = AssertSqlSafe(format!(
        "{} SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
            $8::smallint[], $9::smallint[], $10::bigint[], $11::bigint[], $12::smallint[], $13::bigint[], $14::bigint[],
            $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::text[], $20::bigint[], $21::bytea[], $22::bigint[],
            $23::bigint[], $24::bigint[], $25::bigint[]) ON CONFLICT DO NOTHING",
        sql::INSERT_FRAMES
    ));
    sqlx::query(statement)
        .bind(column(frames, |frame| frame.fleet))
        .bind(column(frames, |frame| frame.row.at))
        .bind(column(frames, |frame| frame.source))
        .bind(column(frames, Frame::seq))
        .bind(column(frames, |frame| frame.segment))
        .bind(column(frames, Frame::place))
        .bind(column(frames, |frame| frame.tape))
        .bind(column(frames, |frame| frame.row.kind))
        .bind(column(frames, |frame| frame.row.direction))
        .bind(column(frames, |frame| frame.method))
        .bind(column(frames, |frame| frame.name))
        .bind(column(frames, |frame| frame.row.outcome))
        .bind(column(frames, |frame| frame.row.code))
        .bind(column(frames, Frame::latency))
        .bind(column(frames, Frame::size))
        .bind(column(frames, |frame| frame.route))
        .bind(column(frames, |frame| frame.upstream))
        .bind(column(frames, |frame| frame.endpoint))
        .bind(column(frames, |frame| frame.row.session.clone()))
        .bind(column(frames, |frame| frame.principal))
        .bind(column(frames, |frame| frame.row.trace.map(Vec::from)))
        .bind(column(frames, |frame| frame.era))
        .bind(column(frames, Frame::version))
        .bind(column(frames, Frame::operation))
        .bind(column(frames, |frame| frame.recording))
        .execute(connection)
        .await?;
    Ok(())
}
