//! What is kept, and what is missing.

use sqlx::query_as;

use super::super::super::{Extent, Filter, FoundSource, GapRow, Position, Totals};
use super::super::Database;
use super::{Connection, dictionary, unsigned};

/// Sources that are told of, the latest first: a fleet of twenty nodes that start daily has so many in seven weeks.
const SOURCES_MAX: i64 = 1000;

/// Gaps of each source that are told of, the first ones.
const GAPS_MAX: i64 = 100;

/// Segments that end from `since` on and begin before a position.
pub(super) async fn extent(
    connection: &mut Connection,
    filter: &Filter,
    before: Option<Position>,
) -> Result<Extent, sqlx::Error> {
    let Some(fleet) = dictionary::look(connection, &filter.fleet).await? else { return Ok(Extent::default()) };
    let until = filter.until.unwrap_or(i64::MAX).min(before.map_or(i64::MAX, |before| before.at.saturating_add(1)));
    let (count, first, last) = query_as::<Database, (i64, Option<i64>, Option<i64>)>(
        "SELECT count(*), min(g.first_at), max(g.last_at) FROM segments g JOIN sources s ON s.number = g.source
         WHERE s.fleet = $1 AND g.last_at >= $2 AND g.first_at < $3",
    )
    .bind(fleet)
    .bind(filter.since.unwrap_or(i64::MIN))
    .bind(until)
    .fetch_one(connection)
    .await?;
    Ok(Extent { segments: unsigned(count), times: first.zip(last) })
}

pub(super) async fn totals(connection: &mut Connection, fleet: &str) -> Result<Totals, sqlx::Error> {
    let Some(fleet) = dictionary::look(connection, fleet).await? else { return Ok(Totals::default()) };
    let (tapes, messages, bytes) = query_as::<Database, (i64, i64, i64)>(
        "SELECT (SELECT count(*) FROM tapes WHERE fleet = $1), (SELECT count(*) FROM messages WHERE fleet = $1),
             (SELECT CAST(coalesce(sum(stored_bytes), 0) AS BIGINT) FROM messages WHERE fleet = $1)",
    )
    .bind(fleet)
    .fetch_one(connection)
    .await?;
    Ok(Totals { tapes: unsigned(tapes), messages: unsigned(messages), message_bytes: unsigned(bytes) })
}

/// As it is selected.
type SourceRow = (i64, String, String, i64, i64, i64, i64, i64, Option<i64>, Option<i64>, Option<i64>, Option<i64>);

pub(super) async fn sources(connection: &mut Connection, fleet: &str) -> Result<Vec<FoundSource>, sqlx::Error> {
    let Some(fleet) = dictionary::look(connection, fleet).await? else { return Ok(Vec::new()) };
    let rows: Vec<SourceRow> = query_as::<Database, _>(
        "SELECT s.number, w.word, s.instance, s.segments, s.frames, s.stored_bytes, s.plain_bytes, s.repeated, s.first_at,
             s.last_at, s.ended, (SELECT max(last_record) FROM (SELECT last_record FROM segments WHERE source = s.number
                 UNION ALL SELECT last_record FROM removed WHERE source = s.number) came)
         FROM sources s JOIN words w ON w.id = s.node WHERE s.fleet = $1 AND s.segments > 0
         ORDER BY s.last_at DESC, s.number DESC LIMIT $2",
    )
    .bind(fleet)
    .bind(SOURCES_MAX)
    .fetch_all(&mut *connection)
    .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let (number, node, instance, segments, frames, stored, plain, repeated, first_at, last_at, ended, last) = row;
        let mut gaps = told(connection, number).await?;
        gaps.extend(unshipped(connection, number).await?);
        gaps.sort_by_key(|gap| gap.after);
        found.push(FoundSource {
            node,
            instance,
            segments: unsigned(segments),
            frames: unsigned(frames),
            stored_bytes: unsigned(stored),
            plain_bytes: unsigned(plain),
            repeated: unsigned(repeated),
            first_at,
            last_at,
            ended: ended.map(unsigned),
            last_record: last.map_or(0, unsigned),
            gaps,
        });
    }
    Ok(found)
}

/// What segments say is missing of their own instance.
async fn told(connection: &mut Connection, source: i64) -> Result<Vec<GapRow>, sqlx::Error> {
    let gaps: Vec<(i64, i64, Option<i64>, String, String)> = query_as::<Database, _>(
        "SELECT after, before, frames, why, detail FROM gaps WHERE source = $1 AND instance IS NULL AND from_segment IS NULL
         ORDER BY after LIMIT $2",
    )
    .bind(source)
    .bind(GAPS_MAX)
    .fetch_all(connection)
    .await?;
    let gap = |(after, before, frames, why, detail): (i64, i64, Option<i64>, String, String)| GapRow {
        after: unsigned(after),
        before: unsigned(before),
        frames: frames.map(unsigned),
        why,
        detail,
        ..GapRow::default()
    };
    Ok(gaps.into_iter().map(gap).collect())
}

/// Segments, or records between segments, that never came: the holes in their numbers prove it.
async fn unshipped(connection: &mut Connection, source: i64) -> Result<Vec<GapRow>, sqlx::Error> {
    // What was deleted is missed by nobody, and a hole is told where it borders on something that is here. The source begins behind a
    // segment 0, so that a hole at its beginning is one too. A twin stands where another segment does, and where the records of a segment
    // are (0) nobody may know.
    let holes: Vec<(i64, i64, i64, i64)> = query_as::<Database, _>(
        "SELECT sequence, last_record, next_sequence, next_record FROM (
             SELECT to_segment AS sequence, last_record, kept, lead(from_segment) OVER (ORDER BY from_segment) AS next_sequence,
                 lead(first_record) OVER (ORDER BY from_segment) AS next_record, lead(kept) OVER (ORDER BY from_segment) AS next_kept
             FROM (SELECT sequence AS from_segment, sequence AS to_segment, first_record, last_record, 1 AS kept
                       FROM segments WHERE source = $1 AND twin = 0
                   UNION ALL SELECT from_segment, to_segment, first_record, last_record, 0 FROM removed WHERE source = $1
                   UNION ALL SELECT 0, 0, 0, 0, 0) came) pairs
         WHERE next_sequence IS NOT NULL AND kept + next_kept > 0
             AND (next_sequence <> sequence + 1 OR (last_record > 0 AND next_record > 0 AND next_record <> last_record + 1))
         ORDER BY sequence LIMIT $2",
    )
    .bind(source)
    .bind(GAPS_MAX)
    .fetch_all(&mut *connection)
    .await?;
    let mut gaps = Vec::with_capacity(holes.len());
    for (sequence, last_record, next_sequence, next_record) in holes {
        let segments = (next_sequence > sequence + 1).then_some((sequence + 1, next_sequence - 1));
        let (why, detail) = match segments {
            Some((from, to)) => match reason(connection, source, (from, to)).await? {
                Some(told) => told,
                None => ("not_shipped".to_owned(), format!("segments {from} to {to} have not come")),
            },
            None => ("lost".to_owned(), "the segments on both sides say so".to_owned()),
        };
        let frames = next_record - last_record - 1;
        gaps.push(GapRow {
            after: unsigned(last_record),
            before: unsigned(next_record),
            // With heads and clocks among them: the most that is missing.
            frames: (last_record > 0 && next_record > 0).then_some(unsigned(frames)),
            why,
            detail,
            segments: segments.map(|(from, to)| (unsigned(from), unsigned(to))),
            ..GapRow::default()
        });
    }
    Ok(gaps)
}

/// What a later segment, perhaps of a later boot of the same node, says of segments that were dropped.
async fn reason(
    connection: &mut Connection,
    source: i64,
    segments: (i64, i64),
) -> Result<Option<(String, String)>, sqlx::Error> {
    query_as::<Database, (String, String)>(
        "SELECT g.why, g.detail FROM sources o JOIN sources s ON s.fleet = o.fleet AND s.node = o.node
         JOIN gaps g ON g.source = s.number
         WHERE o.number = $1 AND coalesce(g.instance, s.instance) = o.instance AND g.from_segment <= $3 AND g.to_segment >= $2
         LIMIT 1",
    )
    .bind(source)
    .bind(segments.0)
    .bind(segments.1)
    .fetch_optional(connection)
    .await
}
