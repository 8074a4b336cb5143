//! Which tapes a place holds: the sessions and connections whose records are in it, and one of them picked.

use std::collections::HashMap;
use std::ops::ControlFlow;

use shadowcat_tape::record::{Kind as RecordKind, Record};
use shadowcat_tape::tape::Problem;

use super::frame::at;
use super::judge::{Unread, manifest};
use super::{Event, Kind, Origin, Place, Refusals, Unusable, read};

/// Tapes that are told apart in one place: as many as a spool of 512 MiB holds at 5 KiB each. The records of those
/// beyond are not shown, and [`Contents::untold`] counts them.
const TAPES_MAX: usize = 100_000;

/// Bytes of a tape's id: a session's beginning has 8, a connection's name some 20. A longer one is nobody's.
const ID_BYTES_MAX: usize = 128;

/// Problems that are kept for a person who wants to read; `tape validate` tells all.
const PROBLEMS_MAX: usize = 10;

/// One tape in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its id: the beginning of a session's, or a connection's.
    pub id: String,
    /// Its first frame: nanoseconds since 1970, if that is known.
    pub first: Option<u64>,
    /// Its last.
    pub last: Option<u64>,
    /// Frames.
    pub frames: u64,
}

/// What a place holds.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Its tapes, the latest first.
    pub tapes: Vec<Content>,
    /// Records of tapes beyond the bounds.
    pub untold: u64,
    /// What is wrong, the first ten of it.
    pub problems: Vec<Problem>,
    /// How many others there are.
    pub more_problems: u64,
    /// Segments that a newer build wrote.
    pub refusals: Refusals,
    /// What a newer build wrote all of.
    pub refused: Option<String>,
    known: HashMap<String, usize>,
}

impl Contents {
    /// Reads a place once.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn of(place: &Place) -> Result<Self, Unusable> {
        let mut contents = Self::default();
        if place.kind == Kind::Tape {
            let problem = |what| Problem { file: shadowcat_tape::tape::MANIFEST.to_owned(), at: None, what };
            match manifest(place) {
                Ok(_) => {}
                Err(Unread::Damaged(what)) => contents.problem(problem(what)),
                Err(Unread::Newer(what)) => return Ok(Self { refused: Some(what), ..contents }),
            }
        }
        contents.refusals = read(place, &mut |event| {
            match event {
                Event::Record(line, origin) => contents.record(&line.record, origin),
                Event::Problem(problem) | Event::Refused(problem) => contents.problem(problem),
                Event::Begin { .. } | Event::Gone(_) | Event::Unfinished(_) | Event::End(_) => {}
            }
            ControlFlow::Continue(())
        })?;
        // Those that were written first come first where nobody knows when.
        contents.tapes.reverse();
        contents.tapes.sort_by_key(|tape| std::cmp::Reverse(tape.last));
        contents.known.clear();
        Ok(contents)
    }

    /// The records of `id`, or of the latest tape; all of them where there is no more than one. `None` if there is no
    /// such tape.
    #[must_use]
    pub fn select(&self, id: Option<&str>) -> Option<Selected> {
        let picked = match id {
            Some(id) => Some(self.tapes.iter().find(|tape| tape.id == id)?),
            None if self.tapes.len() > 1 => self.tapes.first(),
            None => None,
        };
        Some(Selected { tape: picked.cloned() })
    }

    fn record(&mut self, record: &Record<'_>, origin: &Origin) {
        let Some(id) = record.tape.as_deref().filter(|id| !id.is_empty()) else { return };
        let place = match self.known.get(id) {
            Some(place) => *place,
            None if self.tapes.len() == TAPES_MAX || id.len() > ID_BYTES_MAX => {
                self.untold += 1;
                return;
            }
            None => {
                self.known.insert(id.to_owned(), self.tapes.len());
                self.tapes.push(Content { id: id.to_owned(), first: None, last: None, frames: 0 });
                self.tapes.len() - 1
            }
        };
        let tape = &mut self.tapes[place];
        let at = at(record.t, origin);
        tape.frames += 1;
        tape.first = tape.first.map_or(at, |first| at.map_or(Some(first), |at| Some(first.min(at))));
        tape.last = tape.last.max(at);
    }

    fn problem(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        } else {
            self.more_problems += 1;
        }
    }
}

/// Records that are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// The tape; `None` for everything.
    pub tape: Option<Content>,
}

impl Selected {
    /// Whether a record belongs to it. What was lost while the tape was recorded may have been of it, and belongs to it
    /// too.
    #[must_use]
    pub fn takes(&self, record: &Record<'_>, origin: &Origin) -> bool {
        let Some(tape) = &self.tape else { return true };
        match record.tape.as_deref() {
            Some(id) => id == tape.id,
            None if record.k == RecordKind::Gap => {
                at(record.t, origin).is_none_or(|at| tape.first <= Some(at) && tape.last >= Some(at))
            }
            None => false,
        }
    }
}
