//! Records as rows.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use shadowcat_tape::record::{Direction, Kind, Record, Stage};

use super::super::index::codes::{self, FAILURES_FROM};
use super::super::index::{FrameRow, SegmentRows, TapeRow, Word};

/// A text of a record, in bytes: longer ones are cut. URIs of resources are the longest that are looked for.
const TEXT_BYTES_MAX: usize = 1024;

/// Of a session's id, as records have it.
pub(crate) const SESSION_CHARS: usize = 8;

/// Hexadecimal digits of a trace.
const TRACE_DIGITS: usize = 32;

/// Rows while a segment is read.
#[derive(Default)]
pub(super) struct Rows {
    words: Vec<String>,
    known: HashMap<String, u32>,
    tapes: Vec<TapeRow>,
    tapes_known: HashMap<String, u32>,
    frames: Vec<FrameRow>,
    uses: BTreeSet<([u8; 32], Word)>,
    /// Requests, and when they were made.
    unanswered: HashMap<u64, i64>,
    answered: Vec<u64>,
    /// Requests whose answer has been read, for one that is answered twice.
    met: HashSet<u64>,
}

impl Rows {
    /// Adds a record, if it tells of traffic.
    pub(super) fn add(&mut self, record: &Record<'_>, at: i64, place: u64) {
        let Some(kind) = codes::kind(record.k) else { return };
        // The same message a second time, as it was sent on: the call ended with what was received.
        let is_copy = record.of.is_some() || record.stage == Some(Stage::Tx) && record.out.is_none();
        let outcome = record.out.filter(|_| record.of.is_none()).map(codes::outcome);
        let mut row = FrameRow {
            at,
            seq: record.seq,
            place,
            kind,
            direction: record.dir.and_then(codes::direction),
            method: self.word(record.m.as_deref()),
            name: self.word(record.name.as_deref()),
            outcome,
            code: record.code,
            latency: record.lat,
            // A node's word: sums of it are kept for tapes that other nodes share.
            size: record.sz.unwrap_or(0).min(u32::MAX.into()),
            route: self.word(record.route.as_deref()),
            upstream: self.word(record.upstream.as_deref()),
            endpoint: self.word(record.endpoint.as_deref()),
            session: record.session.as_deref().map(session),
            principal: self.word(record.principal.as_deref()),
            trace: record.tp.as_deref().and_then(trace),
            era: self.word(record.era.as_deref()),
            version: record.version,
            // What opens an operation, or stands alone, is one by itself.
            operation: record.op.or(record.re).or(Some(record.seq)),
            recording: self.word(record.recording.as_deref()),
            ..FrameRow::default()
        };
        row.tape = record.tape.as_deref().filter(|tape| !tape.is_empty()).map(|tape| self.tape(tape, &row));
        if let Some(hash) = record.blob.as_ref().and_then(|blob| blake3::Hash::from_hex(blob.hash.as_bytes()).ok()) {
            self.uses.insert((*hash.as_bytes(), row.recording));
        }
        if !is_copy {
            self.follow(record, at);
        }
        self.frames.push(row);
    }

    /// How many tell of traffic.
    pub(super) fn frames(&self) -> usize {
        self.frames.len()
    }

    /// The first and the last time of what was read.
    pub(super) fn extent(&self) -> Option<(i64, i64)> {
        let times = || self.frames.iter().map(|frame| frame.at);
        times().min().zip(times().max())
    }

    /// Puts the rows where they belong.
    pub(super) fn into_rows(self, rows: &mut SegmentRows) {
        rows.words = self.words;
        rows.tapes = self.tapes;
        rows.frames = self.frames;
        rows.uses = self.uses;
        rows.unanswered = self.unanswered.into_iter().collect();
        rows.unanswered.sort_unstable();
        rows.answered = self.answered;
    }

    fn word(&mut self, text: Option<&str>) -> Word {
        let text = cut(text.filter(|text| !text.is_empty())?);
        if let Some(place) = self.known.get(text.as_ref()) {
            return Some(*place);
        }
        let place = u32::try_from(self.words.len()).ok()?;
        self.words.push(text.clone().into_owned());
        self.known.insert(text.into_owned(), place);
        Some(place)
    }

    /// Adds a frame to its tape.
    fn tape(&mut self, id: &str, row: &FrameRow) -> u32 {
        let id = cut(id);
        let place = match self.tapes_known.get(id.as_ref()) {
            Some(place) => *place,
            None => {
                let place = u32::try_from(self.tapes.len()).unwrap_or(u32::MAX);
                let (first_at, last_at) = (row.at, row.at);
                self.tapes.push(TapeRow { id: id.clone().into_owned(), first_at, last_at, ..TapeRow::default() });
                self.tapes_known.insert(id.into_owned(), place);
                place
            }
        };
        let tape = &mut self.tapes[place as usize];
        (tape.first_at, tape.last_at) = (tape.first_at.min(row.at), tape.last_at.max(row.at));
        tape.frames += 1;
        tape.calls += u64::from(row.outcome.is_some());
        tape.errors += u64::from(row.outcome.is_some_and(|outcome| outcome >= FAILURES_FROM));
        tape.bytes = tape.bytes.saturating_add(row.size);
        tape.route = tape.route.or(row.route);
        tape.principal = tape.principal.or(row.principal);
        if tape.session.is_none() {
            tape.session.clone_from(&row.session);
        }
        place
    }

    /// Notes a request of a client that waits for its answer, and an answer to one.
    fn follow(&mut self, record: &Record<'_>, at: i64) {
        if let Some(request) = record.re {
            if record.out.is_some() && self.met.insert(request) && self.unanswered.remove(&request).is_none() {
                self.answered.push(request);
            }
        } else if record.k == Kind::Msg
            && record.dir == Some(Direction::C2s)
            && record.id.is_some()
            && record.m.is_some()
            && record.out.is_none()
        {
            self.unanswered.insert(record.seq, at);
        }
    }
}

/// The first [`TEXT_BYTES_MAX`] of a text, with spaces for control characters: a terminal obeys some, and Postgres keeps no NUL.
pub(crate) fn cut(text: &str) -> Cow<'_, str> {
    let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    if text.chars().any(char::is_control) {
        Cow::Owned(text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// The beginning of a session's id.
pub(crate) fn session(id: &str) -> String {
    cut(&id[..id.floor_char_boundary(SESSION_CHARS)]).into_owned()
}

/// A trace as 16 bytes.
pub(crate) fn trace(digits: &str) -> Option<[u8; 16]> {
    if digits.len() != TRACE_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
}
