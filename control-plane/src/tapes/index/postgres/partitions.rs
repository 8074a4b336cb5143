//! Days of frames: each has a partition, made before it is needed and dropped when nothing is left in it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use time::OffsetDateTime;

use super::{BEGIN, SCHEMA};

/// Microseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Partitions that are there before they are needed, so that no commit of traffic waits for one at midnight.
const DAYS_AHEAD: i64 = 2;

/// Older frames come from a clock that is wrong, or from a node that was away for long: they have no partition of their own.
const DAYS_BACK: i64 = 400;

/// A number that nothing else in the database locks: `tapes` in ASCII.
const PARTITIONS_LOCK: i64 = 0x74_61_70_65_73;

/// How long a partition's drop waits for those who use the table, who wait behind it meanwhile. Without the lock it is for the next time.
const DROP_LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '300ms'";

/// Makes the partitions for frames of these times, and of the next days.
pub(super) async fn prepare(connection: &mut PgConnection, times: &[i64]) -> Result<(), sqlx::Error> {
    let today = today();
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

/// Today, in days since 1970.
fn today() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_micros();
    i64::try_from(now).unwrap_or(i64::MAX) / DAY
}

/// Drops partitions of days that are over and of which nothing is left: how many.
pub(super) async fn drop_empty_partitions(connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let partitions: Vec<(String,)> = sqlx::query_as(
        "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = to_regclass($1) AND c.relname ~ '^frames_[0-9]{8}$' AND c.relname < $2 ORDER BY 1",
    )
    .bind(format!("{SCHEMA}.frames"))
    .bind(partition(today()))
    .fetch_all(&mut *connection)
    .await?;
    let mut dropped = 0;
    for (name,) in partitions {
        dropped += u64::from(drop_if_empty(connection, &name).await?);
    }
    Ok(dropped)
}

/// Looks without a lock first, because nearly every partition has rows, and then where nobody can add any.
async fn drop_if_empty(connection: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    if !is_empty(connection, name).await? {
        return Ok(false);
    }
    let mut transaction = connection.begin_with(BEGIN).await?;
    sqlx::raw_sql(DROP_LOCK_TIMEOUT).execute(&mut *transaction).await?;
    // The table before its partition, as whoever inserts takes them.
    let lock = "LOCK TABLE ONLY frames IN ACCESS EXCLUSIVE MODE";
    if let Err(error) = sqlx::raw_sql(lock).execute(&mut *transaction).await {
        tracing::debug!(%error, name, "a partition without rows stays for now");
        return transaction.rollback().await.map(|()| false);
    }
    let empty = is_empty(&mut transaction, name).await?;
    if empty {
        sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE {name}"))).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(empty)
}

async fn is_empty(connection: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    let look = AssertSqlSafe(format!("SELECT NOT EXISTS (SELECT 1 FROM {name})"));
    let (empty,): (bool,) = sqlx::query_as(look).fetch_one(connection).await?;
    Ok(empty)
}
