//! Objects that no row refers to, and messages on their way there.
//!
//! Keys of segments are never used twice. Keys of messages are their hashes, and may be: a message that no segment refers to stays for a
//! while, in which a node that offers it anew is told that it is here, and that begins the while anew. Once it is discarded, nobody
//! is told anything of it until its object is gone.

use sqlx::{Connection as _, query, query_as};

use super::super::super::super::blobs::{message_key, message_of};
use super::super::{BEGIN, Database};
use super::remove::Segment;
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

/// A segment refers to these messages, which are in order, no more.
pub(super) async fn let_go_of_messages(
    connection: &mut Connection,
    segment: &Segment,
    hashes: impl Iterator<Item = Vec<u8>>,
    now: i64,
) -> Result<(), sqlx::Error> {
    for hash in hashes {
        // The row first: of two who let go of a message, the later one sees that nobody else holds it.
        query::<Database>("UPDATE messages SET stored_bytes = stored_bytes WHERE fleet = $1 AND hash = $2")
            .bind(segment.fleet)
            .bind(&hash)
            .execute(&mut *connection)
            .await?;
        query::<Database>("DELETE FROM message_uses WHERE fleet = $1 AND hash = $2 AND segment = $3")
            .bind(segment.fleet)
            .bind(&hash)
            .bind(segment.number)
            .execute(&mut *connection)
            .await?;
        query::<Database>(
            "UPDATE messages SET unused_since = $3 WHERE fleet = $1 AND hash = $2
             AND NOT EXISTS (SELECT 1 FROM message_uses u WHERE u.fleet = $1 AND u.hash = $2)",
        )
        .bind(segment.fleet)
        .bind(&hash)
        .bind(now)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Messages that were offered anew while no segment refers to them stay for another while.
pub(super) async fn keep_messages(
    connection: &mut Connection,
    fleet: &str,
    hashes: &[[u8; 32]],
    now: i64,
) -> Result<(), sqlx::Error> {
    for hash in hashes {
        query::<Database>(
            "UPDATE messages SET unused_since = $3
             WHERE fleet = (SELECT id FROM words WHERE word = $1) AND hash = $2 AND unused_since IS NOT NULL",
        )
        .bind(fleet)
        .bind(hash.as_slice())
        .bind(now)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// A message that nobody seems to use: its fleet with its name, and its hash.
type Unused = (i64, String, Vec<u8>);

pub(super) async fn messages(
    connection: &mut Connection,
    before: i64,
    now: i64,
    limit: u32,
) -> Result<u64, sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    let unused: Vec<Unused> = query_as::<Database, _>(
        "SELECT m.fleet, w.word, m.hash FROM messages m JOIN words w ON w.id = m.fleet
         WHERE m.unused_since IS NOT NULL AND m.unused_since < $1 ORDER BY m.unused_since LIMIT $2",
    )
    .bind(before)
    .bind(i64::from(limit))
    .fetch_all(&mut *transaction)
    .await?;
    for (number, fleet, hash) in &unused {
        // A segment that came meanwhile has said nothing of it.
        query::<Database>(
            "UPDATE messages SET unused_since = NULL WHERE fleet = $1 AND hash = $2
             AND EXISTS (SELECT 1 FROM message_uses u WHERE u.fleet = $1 AND u.hash = $2)",
        )
        .bind(number)
        .bind(hash)
        .execute(&mut *transaction)
        .await?;
        let gone = query::<Database>(
            "DELETE FROM messages WHERE fleet = $1 AND hash = $2 AND unused_since IS NOT NULL AND unused_since < $3
             AND NOT EXISTS (SELECT 1 FROM message_uses u WHERE u.fleet = $1 AND u.hash = $2)",
        );
        let gone = gone.bind(number).bind(hash).bind(before).execute(&mut *transaction).await?.rows_affected();
        if let (true, Ok(hash)) = (gone > 0, <[u8; 32]>::try_from(hash.as_slice())) {
            discard(&mut transaction, message_key(fleet, &blake3::Hash::from_bytes(hash)).as_ref(), now).await?;
        }
    }
    transaction.commit().await?;
    Ok(unused.len() as u64)
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
