//! Objects that no row refers to.
//!
//! Keys of segments are never used twice. Keys of messages are their hashes, and may be: see [`messages`](super::messages).

use sqlx::{Connection as _, query, query_as};

use super::super::super::super::blobs::message_of;
use super::super::{BEGIN, Database};
use super::{Connection, signed};

/// Until its row is committed, an object that was taken back must not be due: ten minutes, in microseconds.
const TAKEN_BACK_WITHIN: i64 = 10 * 60 * 1_000_000;

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

/// Takes an object off the list, if that is long before it is due. False if it is too late.
pub(super) async fn take_back(connection: &mut Connection, object: &str, now: i64) -> Result<bool, sqlx::Error> {
    let taken = query::<Database>("DELETE FROM discarded WHERE object = $1 AND due > $2");
    let taken = taken.bind(object).bind(now.saturating_add(TAKEN_BACK_WITHIN)).execute(connection).await?;
    Ok(taken.rows_affected() > 0)
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

pub(super) async fn forget(connection: &mut Connection, objects: &[String]) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    for object in objects {
        query::<Database>("DELETE FROM discarded WHERE object = $1").bind(object).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}
