//! The segments of a tape or a spool, in the order in which they were recorded.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::UNIX_EPOCH;

use shadowcat_tape::segment::{CONTENTS_BYTES_MAX, Contents, SegmentId};

use super::place::entries;
use super::{Kind, Place, Unusable};

/// How the names of a tape's segments begin and end.
const TAPE_SEGMENT: &str = "seg-";
const OPEN: &str = ".jsonl";
const SEALED: &str = ".jsonl.zst";

/// Digits of a segment's number in a tape.
const TAPE_DIGITS: usize = 6;

/// A segment of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its number: from 0 on a tape, from 1 in each instance of a spool.
    pub number: u64,
    /// Which one it is in a spool.
    pub segment: Option<SegmentId>,
    /// Whether nothing of its recorder follows.
    pub is_last: bool,
}

impl Part {
    /// The name of its file once it is sealed.
    #[must_use]
    pub fn sealed_name(&self) -> String {
        match &self.segment {
            Some(segment) => segment.sealed_name(),
            None => format!("{TAPE_SEGMENT}{:0TAPE_DIGITS$}{SEALED}", self.number),
        }
    }

    /// The name of its file while it is written.
    #[must_use]
    pub fn open_name(&self) -> String {
        match &self.segment {
            Some(segment) => segment.open_name(),
            None => format!("{TAPE_SEGMENT}{:0TAPE_DIGITS$}{OPEN}", self.number),
        }
    }
}

/// The segments that have a file. Those that only a manifest knows are the judge's to tell.
pub(super) fn parts(place: &Place) -> Result<Vec<Part>, Unusable> {
    let names = entries(&place.path)?;
    Ok(match place.kind {
        Kind::Tape => of_tape(names.iter().filter_map(|name| number_on_tape(name))),
        Kind::Spool => {
            let id = |name: &String| SegmentId::of_sealed_name(name).or_else(|| SegmentId::of_open_name(name));
            of_spool(&place.path, names.iter().filter_map(id))
        }
    })
}

fn of_tape(numbers: impl Iterator<Item = u64>) -> Vec<Part> {
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    numbers.dedup();
    let last = numbers.last().copied();
    let part = |number| Part { number, segment: None, is_last: Some(number) == last };
    numbers.into_iter().map(part).collect()
}

/// The number of a tape's segment, by the name of its file.
pub(super) fn number_on_tape(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(TAPE_SEGMENT)?;
    let digits = digits.strip_suffix(SEALED).or_else(|| digits.strip_suffix(OPEN))?;
    let number = digits.parse().ok()?;
    // Another spelling of the same number is another file, and nobody's.
    (format!("{number:0TAPE_DIGITS$}") == digits).then_some(number)
}

/// Instances by their beginning, segments by their number.
fn of_spool(dir: &Path, ids: impl Iterator<Item = SegmentId>) -> Vec<Part> {
    let mut instances: BTreeMap<String, Vec<SegmentId>> = BTreeMap::new();
    for id in ids {
        instances.entry(id.instance.clone()).or_default().push(id);
    }
    let mut ordered: Vec<(u64, Vec<SegmentId>)> = Vec::new();
    for (_, mut segments) in instances {
        segments.sort_unstable();
        segments.dedup();
        ordered.push((segments.first().map_or(0, |first| born(dir, first)), segments));
    }
    ordered.sort_by_key(|(born, _)| *born);
    let mut parts = Vec::new();
    for (_, segments) in ordered {
        let last = segments.len();
        let part = |(index, segment): (usize, SegmentId)| Part {
            number: segment.sequence,
            segment: Some(segment),
            is_last: index + 1 == last,
        };
        parts.extend(segments.into_iter().enumerate().map(part));
    }
    parts
}

/// When the clock of a segment's instance began, in nanoseconds since 1970: as a sealed one tells, else when an open
/// one was written last, which is later and of the same boot.
fn born(dir: &Path, id: &SegmentId) -> u64 {
    let told = first_bytes(&dir.join(id.sealed_name())).ok().and_then(|bytes| Contents::of_sealed(&bytes));
    let modified = || {
        let file = fs::metadata(dir.join(id.open_name())).ok()?;
        let since = file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        u64::try_from(since.as_nanos()).ok()
    };
    told.map(|contents| contents.clock).filter(|clock| *clock > 0).or_else(modified).unwrap_or(u64::MAX)
}

fn first_bytes(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(CONTENTS_BYTES_MAX as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
