//! Recorded traffic in files of its owner: a tape, lines of JSON, HAR for tools that know HTTP, or Parquet for tools that
//! count and join.
//!
//! Invariants:
//! - A file is there whole under its name or not at all: it is written beside it and renamed, and nothing is written over.
//! - What a format cannot hold is counted, and so is every record that cannot be read.
//! - Memory does not grow with the export.
//!
//! Not here: where records come from, and what to say of the whole.

mod content;
mod har;
mod jsonl;
mod parquet;
mod place;
mod tape;

use std::path::Path;

pub use place::Place;

use crate::Failure;
use crate::view::Recorded;

/// What an export is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportFormat {
    /// A directory with every record and message as it was, and checksums
    Tape,
    /// Every record as a line of JSON, without the messages that are kept apart
    Jsonl,
    /// Calls as HTTP Archive 1.2, for tools that know HTTP
    Har,
    /// A row for every record, for tools that count and join
    Parquet,
}

impl ExportFormat {
    /// The one whose ending a name has.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "tape" => Some(Self::Tape),
            "jsonl" => Some(Self::Jsonl),
            "har" => Some(Self::Har),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// What takes the records.
pub trait Sink {
    /// Takes a message that is kept apart; before the records that refer to it.
    ///
    /// # Errors
    /// It cannot be written.
    fn blob(&mut self, hash: &str, content: Vec<u8>) -> Result<(), Failure>;

    /// Takes a record.
    ///
    /// # Errors
    /// It cannot be written. One that cannot be read is counted instead.
    fn record(&mut self, recorded: &Recorded) -> Result<(), Failure>;

    /// Writes what is left.
    ///
    /// # Errors
    /// It cannot be written.
    fn finish(&mut self) -> Result<Written, Failure>;
}

/// What was written, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Records, or entries, in the file.
    pub items: u64,
    /// What they are called, as in `record`.
    pub noun: &'static str,
    /// Records, or messages, that cannot be read, for a person: with one of them the export is not whole.
    pub damage: Vec<String>,
    /// What the format cannot hold, for a person.
    pub left_out: Vec<String>,
}

/// What writes `format` at a place.
///
/// # Errors
/// Nothing can be written there.
pub fn open(format: ExportFormat, place: &Place) -> Result<Box<dyn Sink>, Failure> {
    Ok(match format {
        ExportFormat::Tape => Box::new(tape::TapeSink::create(place)?),
        ExportFormat::Jsonl => Box::new(jsonl::JsonlSink::create(place)?),
        ExportFormat::Har => Box::new(har::HarSink::create(place)?),
        ExportFormat::Parquet => Box::new(parquet::ParquetSink::create(place)?),
    })
}

/// Things of one kind that went wrong: how many, and the first of them in words.
#[derive(Debug, Default)]
struct Damage {
    number: u64,
    first: String,
}

impl Damage {
    fn add(&mut self, what: impl FnOnce() -> String) {
        self.number += 1;
        if self.number == 1 {
            self.first = what();
        }
    }

    /// As a sentence; `noun` is what is damaged, as in `record`.
    fn told(&self, noun: &str) -> Option<String> {
        let many = crate::output::count(self.number, noun);
        match self.number {
            0 => None,
            1 => Some(format!("{many} cannot be read: {}", self.first)),
            _ => Some(format!("{many} cannot be read, the first of them: {}", self.first)),
        }
    }
}
