//! What each recording has of a segment.

use std::collections::BTreeMap;
use std::time::Duration;

use shadowcat_config::Retention;
use sqlx::{query, query_as};

use super::super::super::{KeptRecording, SegmentRows, Share};
use super::super::Database;
use super::{Connection, dictionary, signed, unsigned};

/// Fleets, and recordings of one, that are looked at: more than anybody configures.
const NAMES_MAX: usize = 10_000;

/// Shares out a segment that is new, by the number of frames. `word` says the number of a frame's recording.
pub(super) async fn insert(
    connection: &mut Connection,
    (fleet, segment): (i64, i64),
    rows: &SegmentRows,
    word: impl Fn(Option<u32>) -> Option<i64>,
) -> Result<(), sqlx::Error> {
    let mut shares: BTreeMap<i64, (u64, i64)> = BTreeMap::new();
    for frame in &rows.frames {
        let share = shares.entry(word(frame.recording).unwrap_or(0)).or_insert((0, frame.at));
        *share = (share.0 + 1, share.1.max(frame.at));
    }
    if shares.is_empty() {
        shares.insert(0, (0, rows.last_at));
    }
    let all = (rows.frames.len() as u64).max(1);
    for (recording, (frames, last_at)) in shares {
        let part = u128::from(rows.stored_bytes) * u128::from(frames.max(1)) / u128::from(all);
        query::<Database>(
            "INSERT INTO shares (segment, recording, fleet, last_at, frames, stored_bytes) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(segment)
        .bind(recording)
        .bind(fleet)
        .bind(last_at)
        .bind(signed(frames))
        .bind(signed(u64::try_from(part).unwrap_or(u64::MAX)))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Fleets, one after the other by the index: their number does not depend on what is kept.
pub(super) async fn fleets(connection: &mut Connection) -> Result<Vec<String>, sqlx::Error> {
    let (mut found, mut last) = (Vec::new(), i64::MIN);
    while found.len() < NAMES_MAX {
        let next = query_as::<Database, (i64, String)>(
            "SELECT h.fleet, w.word FROM shares h JOIN words w ON w.id = h.fleet WHERE h.held = 0 AND h.fleet > $1
             ORDER BY h.fleet LIMIT 1",
        );
        let Some((fleet, name)) = next.bind(last).fetch_optional(&mut *connection).await? else { break };
        found.push(name);
        last = fleet;
    }
    Ok(found)
}

/// A recording as it is selected: its number and name, and what was noted of it.
type RecordingRow = (i64, Option<String>, Option<i64>, Option<i64>);

pub(super) async fn recordings(connection: &mut Connection, fleet: &str) -> Result<Vec<KeptRecording>, sqlx::Error> {
    let Some(fleet) = dictionary::look(connection, fleet).await? else { return Ok(Vec::new()) };
    let (mut found, mut last) = (Vec::new(), -1_i64);
    while found.len() < NAMES_MAX {
        let next = query_as::<Database, RecordingRow>(
            "SELECT h.recording, w.word, r.keep, r.max_size FROM shares h LEFT JOIN words w ON w.id = h.recording
             LEFT JOIN retentions r ON r.fleet = h.fleet AND r.recording = h.recording
             WHERE h.held = 0 AND h.fleet = $1 AND h.recording > $2 ORDER BY h.recording LIMIT 1",
        );
        let next = next.bind(fleet).bind(last).fetch_optional(&mut *connection).await?;
        let Some((number, name, keep, max_size)) = next else { break };
        let said = keep
            .map(|keep| Retention { keep: Duration::from_micros(unsigned(keep)), max_size: max_size.map(unsigned) });
        found.push(KeptRecording { name: name.unwrap_or_default(), said, fleet, number });
        last = number;
    }
    Ok(found)
}

pub(super) async fn note_retention(
    connection: &mut Connection,
    of: &KeptRecording,
    said: Retention,
) -> Result<(), sqlx::Error> {
    query::<Database>(
        "INSERT INTO retentions (fleet, recording, keep, max_size) VALUES ($1, $2, $3, $4)
         ON CONFLICT (fleet, recording) DO UPDATE SET keep = excluded.keep, max_size = excluded.max_size",
    )
    .bind(of.fleet)
    .bind(of.number)
    .bind(i64::try_from(said.keep.as_micros()).unwrap_or(i64::MAX))
    .bind(said.max_size.map(signed))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn due(
    connection: &mut Connection,
    of: &KeptRecording,
    after: (i64, i64),
    before: i64,
    limit: u32,
) -> Result<Vec<Share>, sqlx::Error> {
    let found: Vec<(i64, i64, i64)> = query_as::<Database, _>(
        "SELECT segment, last_at, stored_bytes FROM shares WHERE held = 0 AND fleet = $1 AND recording = $2
             AND (last_at, segment) > ($3, $4) AND last_at < $5 ORDER BY last_at, segment LIMIT $6",
    )
    .bind(of.fleet)
    .bind(of.number)
    .bind(after.0)
    .bind(after.1)
    .bind(before)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    let share =
        |(segment, last_at, bytes)| Share { segment, recording: of.number, last_at, stored_bytes: unsigned(bytes) };
    Ok(found.into_iter().map(share).collect())
}

pub(super) async fn stored_bytes(connection: &mut Connection, of: &KeptRecording) -> Result<u64, sqlx::Error> {
    let (bytes,) = query_as::<Database, (i64,)>(
        "SELECT (SELECT CAST(coalesce(sum(stored_bytes), 0) AS BIGINT) FROM shares
                 WHERE held = 0 AND fleet = $1 AND recording = $2)
             + (SELECT CAST(coalesce(sum(stored_bytes), 0) AS BIGINT) FROM messages
                 WHERE unused_since IS NULL AND fleet = $1 AND recording = $2)",
    )
    .bind(of.fleet)
    .bind(of.number)
    .fetch_one(connection)
    .await?;
    Ok(unsigned(bytes))
}

/// Frames of a recording were removed from a segment; `left` says how many are still there, if all of them were meant.
pub(super) async fn subtract(
    connection: &mut Connection,
    (segment, recording): (i64, i64),
    frames: u64,
    left: Option<u64>,
) -> Result<(), sqlx::Error> {
    // All that is left of what was meant as a whole is on hold.
    if let Some(left) = left.filter(|left| *left > 0) {
        query::<Database>("UPDATE shares SET held = 1, frames = $3 WHERE segment = $1 AND recording = $2")
            .bind(segment)
            .bind(recording)
            .bind(signed(left))
            .execute(connection)
            .await?;
        return Ok(());
    }
    let gone = if left.is_some() { i64::MAX } else { signed(frames) };
    query::<Database>("DELETE FROM shares WHERE segment = $1 AND recording = $2 AND frames <= $3")
        .bind(segment)
        .bind(recording)
        .bind(gone)
        .execute(&mut *connection)
        .await?;
    query::<Database>(
        "UPDATE shares SET stored_bytes = stored_bytes * (frames - $3) / frames, frames = frames - $3
         WHERE segment = $1 AND recording = $2",
    )
    .bind(segment)
    .bind(recording)
    .bind(signed(frames))
    .execute(connection)
    .await?;
    Ok(())
}
