//! Reading lines one after the other, damage included.
//!
//! A bad line with nothing valid after it is *torn*: the end of what was being written when the writer died. A bad line
//! with a good one behind it is *corruption*: it was whole once.

use std::ops::Range;

use memchr::memchr;

use super::critical::{accept, accept_unreadable};
use super::{Refused, Summary};
use crate::line::{LineError, decode};
use crate::record::Record;

/// One record and where it stands.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    /// The record.
    pub record: Record<'a>,
    /// Its line, with the line feed if it has one.
    pub bytes: &'a [u8],
    /// Plain bytes before it.
    pub at: usize,
}

/// What stands at one place of the plain text.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are records, and none is kept")]
pub enum Found<'a> {
    /// A record.
    Record(Line<'a>),
    /// Something that is no record, before the next record.
    Corrupt {
        /// Where it is.
        at: Range<usize>,
        /// What is wrong with its first line.
        why: LineError,
    },
    /// Something that is no record, up to the end.
    Torn {
        /// Where it is.
        at: Range<usize>,
        /// What is wrong with its first line.
        why: LineError,
    },
}

/// The records of a plain text, in the order in which they stand, and every damage between them.
///
/// It ends with the first [`Refused`]: what follows such a head may mean anything.
#[derive(Debug)]
pub struct Scan<'a> {
    plain: &'a [u8],
    at: usize,
    /// A good line that was read to know what a bad one before it is.
    pending: Option<Line<'a>>,
    summary: Summary,
}

impl<'a> Scan<'a> {
    /// Reads these lines.
    #[must_use]
    pub fn new(plain: &'a [u8]) -> Self {
        Self { plain, at: 0, pending: None, summary: Summary::default() }
    }

    /// Reads these lines as what follows others: holes between the two are seen.
    #[must_use]
    pub fn after(summary: Summary, plain: &'a [u8]) -> Self {
        Self { summary, ..Self::new(plain) }
    }

    /// What was read and lost so far; all of it once the scan has ended.
    #[must_use]
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Reads all of it, for what it comes to.
    ///
    /// # Errors
    /// [`Refused`] if this build cannot understand it.
    pub fn summarise(mut self) -> Result<Summary, Refused> {
        for found in self.by_ref() {
            found?;
        }
        Ok(self.summary)
    }

    /// The next line, whatever it is.
    fn line(&mut self) -> Option<(usize, &'a [u8])> {
        let rest = self.plain.get(self.at..).filter(|rest| !rest.is_empty())?;
        let bytes = &rest[..memchr(b'\n', rest).map_or(rest.len(), |line_feed| line_feed + 1)];
        let at = self.at;
        self.at += bytes.len();
        Some((at, bytes))
    }

    fn good(&mut self, line: Line<'a>) -> Result<Found<'a>, Refused> {
        if let Some(head) = &line.record.head {
            accept(head).inspect_err(|_| self.stop())?;
        }
        self.summary.add(&line.record);
        Ok(Found::Record(line))
    }

    fn corrupt(&mut self, at: Range<usize>, why: LineError) -> Found<'a> {
        self.summary.corrupt_ranges += 1;
        self.summary.corrupt_bytes += at.len() as u64;
        Found::Corrupt { at, why }
    }

    fn stop(&mut self) {
        self.at = self.plain.len();
        self.pending = None;
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Result<Found<'a>, Refused>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(line) = self.pending.take() {
            return Some(self.good(line));
        }
        let mut bad: Option<(usize, LineError)> = None;
        while let Some((at, bytes)) = self.line() {
            match (decode(bytes), bad.take()) {
                (Ok(record), None) => return Some(self.good(Line { record, bytes, at })),
                (Ok(record), Some((from, why))) => {
                    self.pending = Some(Line { record, bytes, at });
                    return Some(Ok(self.corrupt(from..at, why)));
                }
                (Err(why), before) => {
                    if let (LineError::NotRecord { .. }, Err(refused)) = (&why, accept_unreadable(bytes)) {
                        self.stop();
                        return Some(Err(refused));
                    }
                    bad = before.or(Some((at, why)));
                }
            }
        }
        let (from, why) = bad?;
        let at = from..self.plain.len();
        self.summary.torn_bytes += at.len() as u64;
        Some(Ok(Found::Torn { at, why }))
    }
}
