//! Judging a tape: everything that is wrong with it, each with its place.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use super::{MANIFEST, Selection, State, TapeError, TapeReader, TapeSegment};
use crate::blob;
use crate::line::LineError;
use crate::record::Record;
use crate::segment::{Contents, Found, FrameDamage, Scan, Summary};

/// Problems and gaps that are told one by one; beyond it they are counted. A tape with more is lost, and nobody reads
/// on.
pub const PROBLEMS_MAX: usize = 1_000;

/// One thing that is wrong with a tape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, within the tape's directory.
    pub file: String,
    /// Where in it: bytes of its plain text for a line, of the file itself for what cannot be unpacked.
    pub at: Option<Range<usize>>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(at) => write!(f, "{}, bytes {} to {}: {}", self.file, at.start, at.end, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

/// What was found on a tape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Segments that were read.
    pub segments: u64,
    /// Blobs that records refer to, and that are there.
    pub blobs: u64,
    /// What was read and lost.
    pub summary: Summary,
    /// What is wrong, in the order of the tape.
    pub problems: Vec<Problem>,
    /// What the recording itself says is missing: `seq` of the record, why, and how many frames if that is known.
    pub gaps: Vec<(u64, String, Option<u64>)>,
    /// Problems and gaps beyond [`PROBLEMS_MAX`].
    pub untold: u64,
}

impl Report {
    /// Whether the tape is as it was written. Gaps were there when it was written.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty() && self.untold == 0
    }

    fn tell(&mut self, file: &str, at: Option<Range<usize>>, what: impl fmt::Display) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { file: file.to_owned(), at, what: what.to_string() });
        } else {
            self.untold += 1;
        }
    }
}

/// Reads a whole tape and reports everything that is wrong with it. It blocks on the disk, for as long as reading
/// takes.
#[must_use]
pub fn validate(dir: &Path) -> Report {
    let mut report = Report::default();
    let tape = match TapeReader::open(dir) {
        Ok(tape) => tape,
        Err(error) => {
            report.tell(MANIFEST, None, what_of(error));
            return report;
        }
    };
    let manifest = tape.manifest();
    if manifest.state == State::Open {
        report.tell(MANIFEST, None, "the tape was never finished: it is being recorded, or its recorder died");
    }
    chain(&manifest.segments, &mut report);
    let mut hashes = BTreeSet::new();
    for (index, name) in tape.segment_names().iter().enumerate() {
        segment(&tape, name, manifest.segments.get(index), &mut report, &mut hashes);
    }
    report
}

/// Whether each segment names the one before it.
fn chain(segments: &[TapeSegment], report: &mut Report) {
    let mut before = None;
    for (index, segment) in segments.iter().enumerate() {
        if segment.n != index as u64 {
            report.tell(MANIFEST, None, format_args!("segment {index} is listed as number {}", segment.n));
        }
        if segment.prev_blake3 != before {
            report.tell(
                MANIFEST,
                None,
                format_args!("the chain is broken: segment {index} does not name the one before it"),
            );
        }
        before = Some(segment.blake3.clone());
    }
}

fn segment(
    tape: &TapeReader,
    name: &str,
    listed: Option<&TapeSegment>,
    report: &mut Report,
    hashes: &mut BTreeSet<String>,
) {
    let bytes = match tape.read(name) {
        Ok(bytes) => bytes,
        Err(error) => return report.tell(name, None, what_of(error)),
    };
    let is_other = |listed: &TapeSegment| listed.bytes != bytes.len() as u64 || listed.blake3 != blob::hash(&bytes);
    if listed.is_some_and(is_other) {
        report.tell(name, None, "it is not the file that was sealed: its length or its BLAKE3 is another");
    }
    let text = match tape.unpack(name, bytes) {
        Ok(text) => text,
        Err(error) => return report.tell(name, None, what_of(error)),
    };
    report.segments += 1;
    for FrameDamage { at, why, .. } in text.damage {
        report.tell(name, Some(at), format_args!("cannot be unpacked: {why}"));
    }
    let mut contents = Contents::default();
    let mut scan = Scan::after(std::mem::take(&mut report.summary), &text.plain);
    let dense = tape.manifest().selection == Selection::Everything;
    loop {
        let missing = scan.summary().missing;
        match scan.next() {
            None => break,
            Some(Err(refused)) => report.tell(name, None, refused),
            Some(Ok(Found::Corrupt { at, why })) => report.tell(name, Some(at), not_a_record(&why)),
            Some(Ok(Found::Torn { at, why })) => report.tell(name, Some(at), not_a_record(&why)),
            Some(Ok(Found::Record(line))) => {
                contents.add(&line.record, line.bytes.len());
                let missing = scan.summary().missing - missing;
                if dense && missing > 0 {
                    let what = format!("{missing} records before record {} are missing", line.record.seq);
                    report.tell(name, Some(line.at..line.at + line.bytes.len()), what);
                }
                record(tape, name, &line.record, report, hashes);
            }
        }
    }
    report.summary = scan.summary().clone();
    if listed.is_some_and(|listed| !listed.tells(&contents)) {
        report.tell(name, None, "it does not hold the records that the manifest lists");
    }
}

fn record(tape: &TapeReader, name: &str, record: &Record<'_>, report: &mut Report, hashes: &mut BTreeSet<String>) {
    if let Some(gap) = &record.gap {
        if report.gaps.len() < PROBLEMS_MAX {
            report.gaps.push((record.seq, gap.why.to_string(), gap.frames));
        } else {
            report.untold += 1;
        }
    }
    let is_new = record.blob.as_ref().is_none_or(|blob| hashes.insert(blob.hash.to_string()));
    if !is_new {
        return;
    }
    match tape.message(record) {
        Ok(_) => report.blobs += u64::from(record.blob.is_some()),
        Err(error) => report.tell(name, None, format_args!("the message of record {}: {error}", record.seq)),
    }
}

fn not_a_record(why: &LineError) -> String {
    format!("no record: {why}")
}

/// The text of an error without the file, which the problem names.
fn what_of(error: TapeError) -> String {
    match error {
        TapeError::Io { source, .. } => source.to_string(),
        TapeError::Unseal { source, .. } => source.to_string(),
        TapeError::Refused { source, .. } => source.to_string(),
        TapeError::Manifest { what, .. } => what,
        other => other.to_string(),
    }
}
