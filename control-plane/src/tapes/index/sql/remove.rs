//! Frames are removed from a segment, and the segment with its last one.
//!
//! What a removal touches it takes in the order in which a commit does: the source, then tapes, then frames.

use std::collections::BTreeMap;

use sqlx::{Connection as _, QueryBuilder, query, query_as};

use super::super::super::codes::FAILURES_FROM;
use super::super::super::{Removal, Removed, Which, Why};
use super::super::{BEGIN, Database};
use super::{Connection, messages, shares, signed, unsigned, whole};

/// Places of one statement: SQLite binds 32 766 values at most.
const PLACES_AT_ONCE: usize = 1_000;

/// A segment from which something is removed.
pub(super) struct Segment {
    pub(super) number: i64,
    pub(super) source: i64,
    pub(super) fleet: i64,
    pub(super) sequence: i64,
    pub(super) records: (i64, i64),
    times: (i64, i64),
}

impl Segment {
    /// Takes the row of its source, for which commits of the same source wait.
    pub(super) async fn take(connection: &mut Connection, number: i64) -> Result<Option<Self>, sqlx::Error> {
        query::<Database>(
            "UPDATE sources SET instance = instance WHERE number = (SELECT source FROM segments WHERE number = $1)",
        )
        .bind(number)
        .execute(&mut *connection)
        .await?;
        let found = query_as::<Database, (i64, i64, i64, i64, i64, i64, i64)>(
            "SELECT g.source, s.fleet, g.sequence, g.first_record, g.last_record, g.first_at, g.last_at
             FROM segments g JOIN sources s ON s.number = g.source WHERE g.number = $1",
        );
        let found = found.bind(number).fetch_optional(connection).await?;
        Ok(found.map(|(source, fleet, sequence, first_record, last_record, first_at, last_at)| Self {
            number,
            source,
            fleet,
            sequence,
            records: (first_record, last_record),
            times: (first_at, last_at),
        }))
    }

    /// What finds its frames `f`.
    pub(super) fn push_frames(&self, statement: &mut QueryBuilder<Database>) {
        statement.push(" FROM frames AS f WHERE f.fleet = ").push_bind(self.fleet);
        statement.push(" AND f.at BETWEEN ").push_bind(self.times.0).push(" AND ").push_bind(self.times.1);
        statement.push(" AND f.source = ").push_bind(self.source).push(" AND f.segment = ").push_bind(self.number);
    }
}

/// A frame that was removed: its tape, recording, outcome and size.
type Gone = (Option<i64>, i64, Option<i64>, i64);

pub(super) async fn remove(connection: &mut Connection, removal: &Removal, now: i64) -> Result<Removed, sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    let Some(segment) = Segment::take(&mut transaction, removal.segment).await? else {
        return Ok(Removed::default());
    };
    let held = held_tapes(&mut transaction, &segment).await?;
    let gone = delete(&mut transaction, &segment, &removal.which, &held).await?;
    let mut removed = Removed {
        frames: gone.len() as u64,
        bytes: gone.iter().fold(0, |sum, (.., size)| sum + unsigned(*size)),
        ..Removed::default()
    };
    subtract_from_tapes(&mut transaction, &gone).await?;
    subtract_from_shares(&mut transaction, &segment, &removal.which, &gone).await?;
    let freed = messages::settle(&mut transaction, &segment, now).await?;
    if let Which::Recording(recording) = removal.which {
        removed.freed = freed.get(&recording).copied().unwrap_or_default();
    }
    forget_open_calls(&mut transaction, &segment).await?;
    if whole::is_empty(&mut transaction, &segment).await? {
        removed.segment = Some(whole::remove(&mut transaction, &segment, removal.why, now).await?);
    } else {
        subtract_from_segment(&mut transaction, &segment, removal.why, removed.frames).await?;
    }
    transaction.commit().await?;
    Ok(removed)
}

/// Takes the tapes that a segment has frames of, in the order of their ids: the numbers of those on hold.
async fn held_tapes(connection: &mut Connection, segment: &Segment) -> Result<Vec<i64>, sqlx::Error> {
    let mut select = QueryBuilder::<Database>::new("SELECT number FROM tapes WHERE number IN (SELECT DISTINCT f.tape");
    segment.push_frames(&mut select);
    select.push(") ORDER BY fleet, id");
    let tapes: Vec<(i64,)> = select.build_query_as().fetch_all(&mut *connection).await?;
    let mut held = Vec::new();
    for (tape,) in tapes {
        // What changes nothing still takes the row, so that a hold comes before this or after it.
        let taken = query_as::<Database, (i64,)>("UPDATE tapes SET held = held WHERE number = $1 RETURNING held");
        let taken = taken.bind(tape).fetch_optional(&mut *connection).await?;
        held.extend(taken.filter(|(held,)| *held != 0).map(|_| tape));
    }
    Ok(held)
}

/// Deletes the frames that are meant and not on hold.
async fn delete(
    connection: &mut Connection,
    segment: &Segment,
    which: &Which,
    held: &[i64],
) -> Result<Vec<Gone>, sqlx::Error> {
    let places: Vec<&[u64]> = match which {
        Which::Recording(_) => vec![&[]],
        Which::Places(places) => places.chunks(PLACES_AT_ONCE).collect(),
    };
    let mut gone = Vec::new();
    for places in places {
        let mut delete = QueryBuilder::<Database>::new("DELETE");
        segment.push_frames(&mut delete);
        match which {
            Which::Recording(recording) => {
                delete.push(" AND coalesce(f.recording, 0) = ").push_bind(*recording);
            }
            Which::Places(_) => push_listed(&mut delete, " AND f.seq IN (", places.iter().map(|place| signed(*place))),
        }
        if !held.is_empty() {
            push_listed(&mut delete, " AND (f.tape IS NULL OR f.tape NOT IN (", held.iter().copied());
            delete.push(")");
        }
        delete.push(" RETURNING tape, coalesce(recording, 0), CAST(outcome AS BIGINT), size");
        gone.extend(delete.build_query_as::<Gone>().persistent(false).fetch_all(&mut *connection).await?);
    }
    Ok(gone)
}

fn push_listed(statement: &mut QueryBuilder<Database>, before: &str, numbers: impl Iterator<Item = i64>) {
    let mut listed = statement.push(before).separated(", ");
    for number in numbers {
        listed.push_bind(number);
    }
    statement.push(")");
}

/// What tapes lose: frames, calls, errors and bytes. One of which nothing is left goes, unless it is on hold.
async fn subtract_from_tapes(connection: &mut Connection, gone: &[Gone]) -> Result<(), sqlx::Error> {
    let mut sums: BTreeMap<i64, (i64, i64, i64, i64)> = BTreeMap::new();
    for (tape, _, outcome, size) in gone {
        let Some(tape) = tape else { continue };
        let sum = sums.entry(*tape).or_default();
        let failed = outcome.is_some_and(|outcome| outcome >= i64::from(FAILURES_FROM));
        sum.0 += 1;
        sum.1 += i64::from(outcome.is_some());
        sum.2 += i64::from(failed);
        sum.3 = sum.3.saturating_add(*size);
    }
    for (tape, (frames, calls, errors, bytes)) in sums {
        let emptied = query::<Database>(
            "DELETE FROM tapes WHERE number = $1 AND held = 0 AND NOT EXISTS (SELECT 1 FROM frames WHERE tape = $1)",
        );
        if emptied.bind(tape).execute(&mut *connection).await?.rows_affected() > 0 {
            query::<Database>("DELETE FROM tape_sources WHERE tape = $1").bind(tape).execute(&mut *connection).await?;
            continue;
        }
        // Its times are those of the first and the last frame of each boot, whose clock goes forward; its caller is one of who is left.
        query::<Database>(
            "UPDATE tapes SET frames = frames - $2, calls = calls - $3, errors = errors - $4, bytes = bytes - $5,
                 first_at = coalesce((SELECT min((SELECT f.at FROM frames f WHERE f.tape = $1 AND f.source = u.source
                     ORDER BY f.seq LIMIT 1)) FROM tape_sources u WHERE u.tape = $1), first_at),
                 last_at = coalesce((SELECT max((SELECT f.at FROM frames f WHERE f.tape = $1 AND f.source = u.source
                     ORDER BY f.seq DESC LIMIT 1)) FROM tape_sources u WHERE u.tape = $1), last_at),
                 principal = CASE WHEN principal IS NULL THEN NULL ELSE (SELECT f.principal FROM frames f
                     WHERE f.tape = $1 AND f.principal IS NOT NULL ORDER BY f.source, f.seq LIMIT 1) END
             WHERE number = $1",
        )
        .bind(tape)
        .bind(frames)
        .bind(calls)
        .bind(errors)
        .bind(bytes)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn subtract_from_shares(
    connection: &mut Connection,
    segment: &Segment,
    which: &Which,
    gone: &[Gone],
) -> Result<(), sqlx::Error> {
    if let Which::Recording(recording) = which {
        let mut select = QueryBuilder::<Database>::new("SELECT count(*)");
        segment.push_frames(&mut select);
        select.push(" AND coalesce(f.recording, 0) = ").push_bind(*recording);
        let (left,): (i64,) = select.build_query_as().fetch_one(&mut *connection).await?;
        return shares::subtract(connection, (segment.number, *recording), gone.len() as u64, Some(unsigned(left)))
            .await;
    }
    let mut sums: BTreeMap<i64, u64> = BTreeMap::new();
    for (_, recording, ..) in gone {
        *sums.entry(*recording).or_default() += 1;
    }
    for (recording, frames) in sums {
        shares::subtract(connection, (segment.number, recording), frames, None).await?;
    }
    Ok(())
}

/// Requests without an answer that are not there any more.
async fn forget_open_calls(connection: &mut Connection, segment: &Segment) -> Result<(), sqlx::Error> {
    query::<Database>(
        "DELETE FROM open_calls WHERE source = $1 AND seq BETWEEN $2 AND $3 AND answered = 0
         AND NOT EXISTS (SELECT 1 FROM frames f WHERE f.fleet = open_calls.fleet AND f.at = open_calls.at
             AND f.source = open_calls.source AND f.seq = open_calls.seq)",
    )
    .bind(segment.source)
    .bind(segment.records.0)
    .bind(segment.records.1)
    .execute(connection)
    .await?;
    Ok(())
}

/// An object is written anew when more than half of its frames are gone, or any was removed by order.
async fn subtract_from_segment(
    connection: &mut Connection,
    segment: &Segment,
    why: Why,
    frames: u64,
) -> Result<(), sqlx::Error> {
    let ordered = i64::from(why == Why::Order && frames > 0);
    query::<Database>(
        "UPDATE segments SET frames = frames - $2, gone = gone + $2,
             rewrite = CASE WHEN $3 = 1 OR gone + $2 > frames - $2 THEN 1 ELSE rewrite END WHERE number = $1",
    )
    .bind(segment.number)
    .bind(signed(frames))
    .bind(ordered)
    .execute(&mut *connection)
    .await?;
    query::<Database>("UPDATE sources SET frames = frames - $2 WHERE number = $1")
        .bind(segment.source)
        .bind(signed(frames))
        .execute(connection)
        .await?;
    Ok(())
}
