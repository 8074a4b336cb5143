//! Segments become rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::{Connection as _, query, query_as};

use super::super::super::{Committed, GapRow, SegmentRows, TapeRow};
use super::super::{BEGIN, Database, insert_frames, prepare};
use super::known::Standing;
use super::messages::{self, Reference};
use super::{Connection, Dictionary, Frame, known, names, shares, signed};

/// Numbers of words.
type Numbers<'a> = HashMap<&'a str, i64>;

/// A segment that is new, with its numbers.
struct New<'a> {
    rows: &'a SegmentRows,
    fleet: i64,
    source: i64,
    number: i64,
    /// The numbers of its words, by their place.
    words: Vec<i64>,
}

impl New<'_> {
    fn word(&self, place: Option<u32>) -> Option<i64> {
        self.words.get(usize::try_from(place?).ok()?).copied()
    }
}

pub(super) async fn commit(
    connection: &mut Connection,
    dictionary: &Dictionary,
    segments: &[SegmentRows],
) -> Result<Vec<Committed>, sqlx::Error> {
    let days: Vec<i64> = segments.iter().flat_map(|rows| [rows.first_at, rows.last_at]).collect();
    prepare(connection, &days).await?;
    let mut transaction = connection.begin_with(BEGIN).await?;
    let named = segments.iter().flat_map(|rows| [&rows.fleet, &rows.node].into_iter().chain(&rows.words));
    let numbers = dictionary.numbers(&mut transaction, named.map(String::as_str).collect::<BTreeSet<_>>()).await?;
    let (mut committed, mut new) = (vec![Committed::Again; segments.len()], Vec::new());
    // In one order everywhere, as words are.
    let mut order: Vec<usize> = (0..segments.len()).collect();
    order.sort_by_key(|index| {
        let rows = &segments[*index];
        (&rows.fleet, &rows.node, &rows.instance, rows.sequence)
    });
    for index in order {
        match enter(&mut transaction, &segments[index], &numbers).await? {
            Ok(entered) => {
                committed[index] = Committed::New;
                new.push(entered);
            }
            Err(other) => committed[index] = other,
        }
    }
    let tapes = tapes(&mut transaction, &new).await?;
    let frames: Vec<Frame<'_>> = new.iter().flat_map(|segment| frames(segment, &tapes)).collect();
    insert_frames(&mut transaction, &frames).await?;
    for segment in &new {
        rest(&mut transaction, segment).await?;
    }
    let mut references: Vec<Reference<'_>> = new.iter().flat_map(references).collect();
    references.sort_by_key(|reference| (reference.fleet, reference.hash, reference.segment));
    for reference in &references {
        messages::refer(&mut transaction, reference).await?;
    }
    transaction.commit().await?;
    dictionary.remember(&numbers);
    Ok(committed)
}

/// Notes a segment with its source; the reason if it is not new.
async fn enter<'a>(
    connection: &mut Connection,
    rows: &'a SegmentRows,
    numbers: &Numbers<'_>,
) -> Result<Result<New<'a>, Committed>, sqlx::Error> {
    let number = |word: &str| numbers.get(word).copied().ok_or(sqlx::Error::RowNotFound);
    let (fleet, node) = (number(&rows.fleet)?, number(&rows.node)?);
    // What changes nothing still takes the row, so that commits of one source wait for each other here.
    let (source,) = query_as::<Database, (i64,)>(
        "INSERT INTO sources (fleet, instance, node) VALUES ($1, $2, $3)
         ON CONFLICT (fleet, instance, node) DO UPDATE SET instance = excluded.instance RETURNING number",
    )
    .bind(fleet)
    .bind(&rows.instance)
    .bind(node)
    .fetch_one(&mut *connection)
    .await?;
    let standing = if known::was_removed(connection, source, rows.sequence).await? {
        Standing::Stored
    } else {
        known::standing(connection, source, rows.sequence, &rows.digest).await?
    };
    match standing {
        Standing::Stored => {
            discard_again(connection, source, rows).await?;
            return Ok(Err(Committed::Again));
        }
        Standing::Others if rows.unread.is_none() => return Ok(Err(Committed::Taken)),
        Standing::Others | Standing::Nothing => {}
    }
    let segment = insert_segment(connection, (source, standing), rows).await?;
    add_to_source(connection, source, rows).await?;
    let words = rows.words.iter().map(|word| number(word)).collect::<Result<_, _>>()?;
    Ok(Ok(New { rows, fleet, source, number: segment, words }))
}

/// Bytes that came with a segment that is here already are where its own are, unless it was deleted or written anew since.
async fn discard_again(connection: &mut Connection, source: i64, rows: &SegmentRows) -> Result<(), sqlx::Error> {
    query::<Database>(
        "INSERT INTO discarded (object, due) SELECT $1, 0
         WHERE NOT EXISTS (SELECT 1 FROM segments WHERE source = $2 AND sequence = $3 AND object = $1) ON CONFLICT DO NOTHING",
    )
    .bind(&rows.object)
    .bind(source)
    .bind(signed(rows.sequence))
    .execute(connection)
    .await?;
    Ok(())
}

/// The number of a segment that is new.
async fn insert_segment(
    connection: &mut Connection,
    (source, standing): (i64, Standing),
    rows: &SegmentRows,
) -> Result<i64, sqlx::Error> {
    let (number,) = query_as::<Database, (i64,)>(
        "INSERT INTO segments (source, sequence, first_record, last_record, frames, stored_bytes, plain_bytes, lost_bytes,
             first_at, last_at, object, digest, twin)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING number",
    )
    .bind(source)
    .bind(signed(rows.sequence))
    .bind(signed(rows.first_record))
    .bind(signed(rows.last_record))
    .bind(signed(rows.frames.len() as u64))
    .bind(signed(rows.stored_bytes))
    .bind(signed(rows.plain_bytes))
    .bind(signed(rows.lost_bytes))
    .bind(rows.first_at)
    .bind(rows.last_at)
    .bind(&rows.object)
    .bind(rows.digest.as_slice())
    .bind(i64::from(standing == Standing::Others))
    .fetch_one(connection)
    .await?;
    Ok(number)
}

/// Both databases compare two values with another function, so the smaller and the larger are chosen by `CASE`.
async fn add_to_source(connection: &mut Connection, source: i64, rows: &SegmentRows) -> Result<(), sqlx::Error> {
    query::<Database>(
        "UPDATE sources SET segments = segments + 1, frames = frames + $2, stored_bytes = stored_bytes + $3,
             plain_bytes = plain_bytes + $4, first_at = CASE WHEN first_at <= $5 THEN first_at ELSE $5 END,
             last_at = CASE WHEN last_at >= $6 THEN last_at ELSE $6 END, ended = coalesce($7, ended) WHERE number = $1",
    )
    .bind(source)
    .bind(signed(rows.frames.len() as u64))
    .bind(signed(rows.stored_bytes))
    .bind(signed(rows.plain_bytes))
    .bind(rows.first_at)
    .bind(rows.last_at)
    .bind(rows.ended.map(signed))
    .execute(connection)
    .await?;
    Ok(())
}

/// A tape of a batch: whose fleet, and its id.
type TapeKey<'a> = (i64, &'a str);

/// What a batch has of a tape: its sum, the sources it came from, and the words of the first segment that knew them.
#[derive(Default)]
struct Sum {
    row: TapeRow,
    sources: BTreeSet<i64>,
    route: Option<i64>,
    principal: Option<i64>,
}

/// Adds what the segments have of tapes: their numbers.
async fn tapes<'a>(
    connection: &mut Connection,
    segments: &'a [New<'a>],
) -> Result<HashMap<TapeKey<'a>, i64>, sqlx::Error> {
    let mut sums: BTreeMap<TapeKey<'_>, Sum> = BTreeMap::new();
    for segment in segments {
        for tape in &segment.rows.tapes {
            let sum = sums.entry((segment.fleet, &tape.id)).or_default();
            add(sum, tape);
            sum.sources.insert(segment.source);
            sum.route = sum.route.or_else(|| segment.word(tape.route));
            sum.principal = sum.principal.or_else(|| segment.word(tape.principal));
        }
    }
    let mut numbers = HashMap::with_capacity(sums.len());
    for (key, sum) in sums {
        let number = upsert_tape(connection, key, &sum).await?;
        for source in sum.sources {
            query::<Database>("INSERT INTO tape_sources (tape, source) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(number)
                .bind(source)
                .execute(&mut *connection)
                .await?;
        }
        numbers.insert(key, number);
    }
    Ok(numbers)
}

fn add(sum: &mut Sum, tape: &TapeRow) {
    let row = &mut sum.row;
    (row.first_at, row.last_at) = if row.frames == 0 {
        (tape.first_at, tape.last_at)
    } else {
        (row.first_at.min(tape.first_at), row.last_at.max(tape.last_at))
    };
    row.frames += tape.frames;
    row.calls += tape.calls;
    row.errors += tape.errors;
    row.bytes = row.bytes.saturating_add(tape.bytes);
    if row.session.is_none() {
        row.session.clone_from(&tape.session);
    }
}

async fn upsert_tape(connection: &mut Connection, key: TapeKey<'_>, sum: &Sum) -> Result<i64, sqlx::Error> {
    let (row, (fleet, id)) = (&sum.row, key);
    let (number,) = query_as::<Database, (i64,)>(
        "INSERT INTO tapes (fleet, id, began, first_at, last_at, frames, calls, errors, bytes, route, session, principal)
         VALUES ($1, $2, $3, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (fleet, id) DO UPDATE SET
             first_at = CASE WHEN tapes.first_at <= excluded.first_at THEN tapes.first_at ELSE excluded.first_at END,
             last_at = CASE WHEN tapes.last_at >= excluded.last_at THEN tapes.last_at ELSE excluded.last_at END,
             frames = tapes.frames + excluded.frames, calls = tapes.calls + excluded.calls,
             errors = tapes.errors + excluded.errors, bytes = tapes.bytes + excluded.bytes,
             route = coalesce(tapes.route, excluded.route), session = coalesce(tapes.session, excluded.session),
             principal = coalesce(tapes.principal, excluded.principal)
         RETURNING number",
    )
    .bind(fleet)
    .bind(id)
    .bind(row.first_at)
    .bind(row.last_at)
    .bind(signed(row.frames))
    .bind(signed(row.calls))
    .bind(signed(row.errors))
    .bind(signed(row.bytes))
    .bind(sum.route)
    .bind(row.session.as_deref())
    .bind(sum.principal)
    .fetch_one(connection)
    .await?;
    Ok(number)
}

fn frames<'a>(segment: &'a New<'a>, tapes: &HashMap<TapeKey<'_>, i64>) -> Vec<Frame<'a>> {
    let numbers: Vec<Option<i64>> =
        segment.rows.tapes.iter().map(|tape| tapes.get(&(segment.fleet, tape.id.as_str())).copied()).collect();
    let tape = |place: Option<u32>| *numbers.get(usize::try_from(place?).ok()?)?;
    let frame = |row| Frame {
        row,
        fleet: segment.fleet,
        source: segment.source,
        segment: segment.number,
        tape: tape(row.tape),
        method: segment.word(row.method),
        name: segment.word(row.name),
        route: segment.word(row.route),
        upstream: segment.word(row.upstream),
        endpoint: segment.word(row.endpoint),
        principal: segment.word(row.principal),
        era: segment.word(row.era),
        recording: segment.word(row.recording),
    };
    segment.rows.frames.iter().map(frame).collect()
}

/// What a segment has beside frames, and is little.
async fn rest(connection: &mut Connection, segment: &New<'_>) -> Result<(), sqlx::Error> {
    // It may have been listed since it was written: what a control plane leaves behind that dies between bytes and rows.
    query::<Database>("DELETE FROM discarded WHERE object = $1")
        .bind(&segment.rows.object)
        .execute(&mut *connection)
        .await?;
    names::used(connection, segment.number, &segment.words).await?;
    let of = (segment.fleet, segment.number);
    shares::insert(connection, of, segment.rows, |place| segment.word(place)).await?;
    for (request, at) in &segment.rows.unanswered {
        meet(connection, segment, *request, Half::Request(*at)).await?;
    }
    for request in &segment.rows.answered {
        meet(connection, segment, *request, Half::Answer).await?;
    }
    for gap in &segment.rows.gaps {
        insert_gap(connection, segment, gap).await?;
    }
    Ok(())
}

/// The messages that a segment refers to. Where no frame tells whose one is, it is the first recording's.
fn references<'a>(segment: &'a New<'a>) -> Vec<Reference<'a>> {
    let recording = |word| segment.word(word).unwrap_or(0);
    let first = segment.rows.frames.iter().map(|frame| recording(frame.recording)).min().unwrap_or(0);
    let mut uses: BTreeMap<&[u8; 32], BTreeSet<i64>> = BTreeMap::new();
    for (hash, word) in &segment.rows.uses {
        uses.entry(hash).or_default().insert(recording(*word));
    }
    let reference = |(hash, stored_bytes): &'a ([u8; 32], u64)| Reference {
        fleet: (segment.fleet, &segment.rows.fleet),
        hash,
        stored_bytes: *stored_bytes,
        segment: segment.number,
        recordings: uses.get(hash).cloned().unwrap_or_else(|| BTreeSet::from([first])),
    };
    segment.rows.messages.iter().map(reference).collect()
}

/// Which half of a call has come.
#[derive(Clone, Copy)]
enum Half {
    /// The request, at this time.
    Request(i64),
    Answer,
}

/// Request and answer come in any order, because segments do: the one that comes first waits, the other takes it away.
async fn meet(connection: &mut Connection, segment: &New<'_>, request: u64, half: Half) -> Result<(), sqlx::Error> {
    let (answered, at) = match half {
        Half::Request(at) => (0_i64, at),
        Half::Answer => (1, 0),
    };
    let met = query::<Database>("DELETE FROM open_calls WHERE source = $1 AND seq = $2 AND answered = $3")
        .bind(segment.source)
        .bind(signed(request))
        .bind(1 - answered)
        .execute(&mut *connection)
        .await?;
    if met.rows_affected() > 0 {
        return Ok(());
    }
    let wait = query::<Database>(
        "INSERT INTO open_calls (source, seq, fleet, at, answered) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    );
    wait.bind(segment.source)
        .bind(signed(request))
        .bind(segment.fleet)
        .bind(at)
        .bind(answered)
        .execute(connection)
        .await?;
    Ok(())
}

async fn insert_gap(connection: &mut Connection, segment: &New<'_>, gap: &GapRow) -> Result<(), sqlx::Error> {
    let (from, to) = gap.segments.unzip();
    query::<Database>(
        "INSERT INTO gaps (source, after, before, frames, why, detail, instance, from_segment, to_segment, said_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(segment.source)
    .bind(signed(gap.after))
    .bind(signed(gap.before))
    .bind(gap.frames.map(signed))
    .bind(&gap.why)
    .bind(&gap.detail)
    .bind(gap.instance.as_deref())
    .bind(from.map(signed))
    .bind(to.map(signed))
    .bind(segment.number)
    .execute(connection)
    .await?;
    Ok(())
}
