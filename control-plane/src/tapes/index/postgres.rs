//! The index of several replicas: a schema of its own in the database of versions and nodes.
//!
//! Frames are partitioned by day, so that what is old goes with its partition. A partition is made with the first frame of its day,
//! and those of the next days ahead.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Postgres};
use time::OffsetDateTime;
use tokio::time::timeout;

use self::sql::Frame;
use super::OPERATION_TIMEOUT;
use crate::store::StoreError;
use crate::store::migrate::{Source, migrate};
use crate::store::postgres::{MIGRATION_TIMEOUT, is_of_content, refused, words};

#[allow(clippy::duplicate_mod, reason = "the statements are the same for both databases, and sqlx's types are not")]
#[path = "sql/mod.rs"]
mod sql;

pub use self::sql::SqlIndex as PostgresIndex;

type Database = Postgres;

const BEGIN: &str = "BEGIN";

/// Where the tables are, apart from those of versions and nodes.
const SCHEMA: &str = "shadowcat_tapes";

const CREATE_SCHEMA: &str = "CREATE SCHEMA IF NOT EXISTS shadowcat_tapes";

/// Connections of a replica for tapes: one writes, the others search. With those of its store there is room for seven replicas.
const CONNECTIONS: u32 = 4;

/// Enforced by Postgres. Shorter than an operation, so that it ends with the reason.
const STATEMENT_TIMEOUT: &str = "9s";

/// Enforced by Postgres: the locks of a replica that froze within a commit are let go.
const IDLE_IN_TRANSACTION_TIMEOUT: &str = "15s";

/// Microseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Partitions that are there before they are needed, so that no commit of traffic waits for one at midnight.
const DAYS_AHEAD: i64 = 2;

/// Older frames come from a clock that is wrong, or from a node that was away for long: they have no partition of their own.
const DAYS_BACK: i64 = 400;

/// A number that nothing else in the database locks: `tapes` in ASCII.
const PARTITIONS_LOCK: i64 = 0x74_61_70_65_73;

/// Never changed, only added to.
const MIGRATIONS: &[Source] = &[(
    1,
    "segments, frames, tapes",
    include_str!("../../../migrations/tapes-postgres/0001_segments_frames_tapes.sql"),
)];

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

/// Makes the partitions for frames of these times, and of the next days.
async fn prepare(connection: &mut PgConnection, times: &[i64]) -> Result<(), sqlx::Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_micros();
    let today = i64::try_from(now).unwrap_or(i64::MAX) / DAY;
    let wanted = times.iter().map(|at| at.div_euclid(DAY)).chain(today..=today + DAYS_AHEAD);
    let wanted: std::collections::BTreeSet<i64> =
        wanted.filter(|day| (today - DAYS_BACK..=today + DAYS_AHEAD).contains(day)).collect();
    for day in wanted {
        let name = partition(day);
        // Frames that came before their day was made stay where they are, and those of the day go with them.
        let (needless,): (bool,) = sqlx::query_as(
            "SELECT to_regclass($1) IS NOT NULL OR EXISTS (SELECT 1 FROM frames_of_no_day WHERE at >= $2 AND at < $3)",
        )
        .bind(format!("{SCHEMA}.{name}"))
        .bind(day * DAY)
        .bind((day + 1) * DAY)
        .fetch_one(&mut *connection)
        .await?;
        if needless {
            continue;
        }
        // One statement and so one transaction, which one replica at a time is in.
        let create = format!(
            "SELECT pg_advisory_xact_lock({PARTITIONS_LOCK}); CREATE TABLE IF NOT EXISTS {name} PARTITION OF frames FOR VALUES FROM ({}) TO ({})",
            day * DAY,
            (day + 1) * DAY
        );
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The partition of a day since 1970.
fn partition(day: i64) -> String {
    let date = OffsetDateTime::from_unix_timestamp(day * DAY / 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
    format!("frames_{:04}{:02}{:02}", date.year(), u8::from(date.month()), date.day())
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
