//! Objects that no row refers to.
//!
//! Keys of segments are never used twice. Keys of messages are their hashes, and may be: see [`messages`](super::messages).
//!
//! Whoever deletes takes an object before, and whoever wants it again takes it off the list, unless it is taken. A deletion that was not
//! answered may still be under way; what cannot be deleted is taken again and again, and wanted again in between.

use std::io;

use sqlx::{Connection as _, QueryBuilder, query, query_as};

use super::super::super::super::blobs::message_of;
use super::super::{BEGIN, Database};
use super::{Connection, signed};

/// By when the deletion of an object that was taken has ended, answered or not, by whichever replica's clock: five minutes, in
/// microseconds. Whoever deletes begins within a minute.
const DELETED_WITHIN: i64 = 5 * 60 * 1_000_000;

/// When an object that was taken is due again, if it is still listed then: ten minutes, in microseconds. Half of them it can be wanted.
const DUE_AGAIN: i64 = 10 * 60 * 1_000_000;

pub(super) async fn discard(connection: &mut Connection, object: &str, due: i64) -> Result<(), sqlx::Error> {
    query::<Database>("INSERT INTO discarded (object, due) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(object)
        .bind(due)
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether an object is about to go.
pub(super) async fn is_listed(connection: &mut Connection, object: &str) -> Result<bool, sqlx::Error> {
    let listed = query_as::<Database, (i64,)>("SELECT due FROM discarded WHERE object = $1");
    Ok(listed.bind(object).fetch_optional(connection).await?.is_some())
}

/// Takes an object off the list that is going to be written again, if nobody is at deleting it. False if somebody is.
pub(super) async fn take_back(connection: &mut Connection, object: &str, now: i64) -> Result<bool, sqlx::Error> {
    let back = query::<Database>("DELETE FROM discarded WHERE object = $1 AND (taken IS NULL OR taken < $2)");
    let back = back.bind(object).bind(now.saturating_sub(DELETED_WITHIN)).execute(connection).await?;
    Ok(back.rows_affected() > 0)
}

/// Takes an object off the list that is there as it was, because nobody has begun to delete it.
///
/// # Errors
/// One that [`is_leaving`], if somebody has.
pub(super) async fn keep(connection: &mut Connection, object: &str) -> Result<(), sqlx::Error> {
    if !is_listed(connection, object).await? {
        return Ok(());
    }
    let back = query::<Database>("DELETE FROM discarded WHERE object = $1 AND taken IS NULL");
    if back.bind(object).execute(connection).await?.rows_affected() > 0 { Ok(()) } else { Err(leaving(object)) }
}

/// An object is being deleted.
pub(super) fn leaving(object: &str) -> sqlx::Error {
    let told = format!("{object} is being deleted, and is wanted after that");
    sqlx::Error::Io(io::Error::new(io::ErrorKind::ResourceBusy, told))
}

/// Whether an error says that an object is being deleted. No connection fails so.
pub(super) fn is_leaving(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::ResourceBusy)
}

/// Objects, with their bytes, that are there: those that no row refers to are discarded from `due` on, messages once they are unused.
pub(super) async fn unknown(
    connection: &mut Connection,
    objects: &[(String, u64)],
    now: i64,
    due: i64,
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    for (object, bytes) in objects {
        let statement = match message_of(object) {
            Some((fleet, hash)) => query::<Database>(
                "INSERT INTO messages (fleet, hash, stored_bytes, unused_since)
                 SELECT w.id, $2, $3, $4 FROM words w WHERE w.word = $1
                     AND NOT EXISTS (SELECT 1 FROM discarded d WHERE d.object = $5) ON CONFLICT DO NOTHING",
            )
            .bind(fleet)
            .bind(hash.as_bytes().to_vec())
            .bind(signed(*bytes))
            .bind(now)
            .bind(object),
            None => query::<Database>(
                "INSERT INTO discarded (object, due) SELECT $1, $2
                 WHERE NOT EXISTS (SELECT 1 FROM segments WHERE object = $1) ON CONFLICT DO NOTHING",
            )
            .bind(object)
            .bind(due),
        };
        statement.execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

pub(super) async fn due(connection: &mut Connection, now: i64, limit: u32) -> Result<Vec<String>, sqlx::Error> {
    let due = query_as::<Database, (String,)>("SELECT object FROM discarded WHERE due <= $1 ORDER BY due LIMIT $2");
    let due: Vec<(String,)> = due.bind(now).bind(i64::from(limit)).fetch_all(connection).await?;
    Ok(due.into_iter().map(|(object,)| object).collect())
}

/// Takes objects that are due, to delete them: those that nobody has taken back, or taken, since.
pub(super) async fn take(
    connection: &mut Connection,
    objects: &[String],
    now: i64,
) -> Result<Vec<String>, sqlx::Error> {
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    let mut update = QueryBuilder::<Database>::new("UPDATE discarded SET taken = ");
    update.push_bind(now).push(", due = ").push_bind(now.saturating_add(DUE_AGAIN));
    update.push(" WHERE due <= ").push_bind(now).push(" AND object IN (");
    let mut listed = update.separated(", ");
    for object in objects {
        listed.push_bind(object);
    }
    update.push(") RETURNING object");
    let taken: Vec<(String,)> = update.build_query_as().persistent(false).fetch_all(connection).await?;
    Ok(taken.into_iter().map(|(object,)| object).collect())
}

pub(super) async fn forget(connection: &mut Connection, objects: &[String]) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    for object in objects {
        query::<Database>("DELETE FROM discarded WHERE object = $1").bind(object).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}
