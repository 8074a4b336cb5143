//! Judging a place: everything that is wrong with it, each with its place, and what is lost by it.

mod gone;
mod spool;
mod tape;

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;
use shadowcat_tape::tape::{BLOBS, PROBLEMS_MAX, Problem, Report};

pub(super) use tape::{Unread, manifest};

use super::place::entries;
use super::{Kind, Place, Tally, Unusable};

/// What a place is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Everything that was recorded there is there.
    Whole,
    /// The same, and its recorder has not said that nothing follows.
    Open,
    /// Something cannot be read, or is missing.
    Damaged,
    /// A newer build wrote it, or some of it.
    Newer,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// Where.
    pub place: Place,
    /// All in all.
    pub state: State,
    /// What there is.
    pub tally: Tally,
    /// Bytes of its files.
    pub stored_bytes: u64,
    /// What is wrong, and what the recording itself says is missing.
    pub report: Report,
    /// What is worth knowing and no damage.
    pub remarks: Vec<String>,
}

/// Reads all of a place. `now` tells a segment that is being written from one whose writer died.
///
/// # Errors
/// The directory cannot be listed.
pub fn judge(place: &Place, now: SystemTime) -> Result<Judgement, Unusable> {
    let stored_bytes = stored_bytes(&place.path)?;
    let judgement = match place.kind {
        Kind::Tape => tape::judge(place)?,
        Kind::Spool => spool::judge(place, now)?,
    };
    Ok(Judgement { stored_bytes, ..judgement })
}

/// Adds a problem; beyond the bound it is counted.
fn tell(report: &mut Report, problem: Problem) {
    if report.problems.len() < PROBLEMS_MAX {
        report.problems.push(problem);
    } else {
        report.untold += 1;
    }
}

fn problem(file: impl Into<String>, what: impl Into<String>) -> Problem {
    Problem { file: file.into(), at: None, what: what.into() }
}

/// Bytes of every file in a place, messages that are kept apart included.
fn stored_bytes(path: &Path) -> Result<u64, Unusable> {
    let length = |path: &Path| fs::metadata(path).ok().filter(fs::Metadata::is_file).map_or(0, |file| file.len());
    let sum = |dir: &Path| entries(dir).map(|names| names.iter().map(|name| length(&dir.join(name))).sum::<u64>());
    // A place without messages that are kept apart has no directory of them.
    Ok(sum(path)? + sum(&path.join(BLOBS)).unwrap_or(0))
}
