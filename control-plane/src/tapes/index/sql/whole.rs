//! A segment of which nothing is left goes: its rows, and its object is discarded.

use sqlx::{query, query_as};

use super::super::super::Why;
use super::super::Database;
use super::remove::Segment;
use super::{Connection, discard, names, unsigned};

/// Whether no recording has anything of a segment.
pub(super) async fn is_empty(connection: &mut Connection, segment: &Segment) -> Result<bool, sqlx::Error> {
    let left = query_as::<Database, (i64,)>("SELECT segment FROM shares WHERE segment = $1 LIMIT 1");
    Ok(left.bind(segment.number).fetch_optional(connection).await?.is_none())
}

/// Removes it: its fleet, and its bytes as they were stored.
pub(super) async fn remove(
    connection: &mut Connection,
    segment: &Segment,
    why: Why,
    now: i64,
) -> Result<(String, u64), sqlx::Error> {
    names::let_go(connection, segment).await?;
    // What it says of other segments goes with its source.
    query::<Database>("DELETE FROM gaps WHERE said_by = $1 AND from_segment IS NULL")
        .bind(segment.number)
        .execute(&mut *connection)
        .await?;
    let (frames, stored, plain, object, twin) = query_as::<Database, (i64, i64, i64, String, i64)>(
        "DELETE FROM segments WHERE number = $1 RETURNING frames, stored_bytes, plain_bytes, object, twin",
    )
    .bind(segment.number)
    .fetch_one(&mut *connection)
    .await?;
    discard::discard(connection, &object, now).await?;
    // The number of a twin, and the calls at its places, are those of another segment.
    if twin == 0 {
        query::<Database>("DELETE FROM open_calls WHERE source = $1 AND seq BETWEEN $2 AND $3")
            .bind(segment.source)
            .bind(segment.records.0)
            .bind(segment.records.1)
            .execute(&mut *connection)
            .await?;
        note(connection, segment, why).await?;
    }
    subtract_from_source(connection, segment, (frames, stored, plain)).await?;
    let (fleet,) = query_as::<Database, (String,)>("SELECT word FROM words WHERE id = $1")
        .bind(segment.fleet)
        .fetch_one(connection)
        .await?;
    Ok((fleet, unsigned(stored)))
}

/// Notes that it was there, together with its neighbours that went for the same reason.
async fn note(connection: &mut Connection, segment: &Segment, why: Why) -> Result<(), sqlx::Error> {
    let (mut sequences, mut records) = ((segment.sequence, segment.sequence), segment.records);
    let before = query_as::<Database, (i64, i64)>(
        "DELETE FROM removed WHERE source = $1 AND to_segment = $2 AND why = $3 RETURNING from_segment, first_record",
    );
    let before = before.bind(segment.source).bind(segment.sequence - 1).bind(why.as_str());
    if let Some((from, first)) = before.fetch_optional(&mut *connection).await? {
        (sequences.0, records.0) = (from, first);
    }
    let after = query_as::<Database, (i64, i64)>(
        "DELETE FROM removed WHERE source = $1 AND from_segment = $2 AND why = $3 RETURNING to_segment, last_record",
    );
    let after = after.bind(segment.source).bind(segment.sequence.saturating_add(1)).bind(why.as_str());
    if let Some((to, last)) = after.fetch_optional(&mut *connection).await? {
        (sequences.1, records.1) = (to, last);
    }
    query::<Database>(
        "INSERT INTO removed (source, from_segment, to_segment, first_record, last_record, why) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(segment.source)
    .bind(sequences.0)
    .bind(sequences.1)
    .bind(records.0)
    .bind(records.1)
    .bind(why.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// What a source loses: frames, stored bytes and plain bytes. Of one that has nothing left, nobody asks what is missing.
async fn subtract_from_source(
    connection: &mut Connection,
    segment: &Segment,
    (frames, stored, plain): (i64, i64, i64),
) -> Result<(), sqlx::Error> {
    let (left,) = query_as::<Database, (i64,)>(
        "UPDATE sources SET segments = segments - 1, frames = frames - $2, stored_bytes = stored_bytes - $3,
             plain_bytes = plain_bytes - $4,
             first_at = (SELECT first_at FROM segments WHERE source = $1 ORDER BY sequence LIMIT 1),
             last_at = (SELECT last_at FROM segments WHERE source = $1 ORDER BY sequence DESC LIMIT 1)
         WHERE number = $1 RETURNING segments",
    )
    .bind(segment.source)
    .bind(frames)
    .bind(stored)
    .bind(plain)
    .fetch_one(&mut *connection)
    .await?;
    if left == 0 {
        for statement in ["DELETE FROM gaps WHERE source = $1", "DELETE FROM open_calls WHERE source = $1"] {
            query::<Database>(statement).bind(segment.source).execute(&mut *connection).await?;
        }
    }
    Ok(())
}
