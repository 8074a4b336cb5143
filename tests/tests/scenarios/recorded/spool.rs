//! What lies in a spool whose node is dead. What a damaged segment still holds is for the reader of the gateway itself to say;
//! everything else is read as plain JSON, as a stranger would.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use shadowcat_tape::segment::{Found, Scan, SegmentId, unseal};

/// More than the plain text of any segment of a node: it is sealed at 1 MiB.
const PLAIN_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A segment, as far as it can be read.
#[derive(Debug, Default)]
pub(super) struct Segment {
    /// Its intact lines, without their line feeds.
    pub(super) lines: Vec<String>,
    /// Places where something is no line any more, and their bytes.
    pub(super) damage: usize,
    pub(super) damaged_bytes: u64,
    /// How many records it was sealed with; absent for one that was not, or does not tell any more.
    pub(super) sealed_with: Option<u64>,
}

impl Segment {
    /// Its records.
    pub(super) fn records(&self) -> impl DoubleEndedIterator<Item = Value> {
        self.lines.iter().map(|line| serde_json::from_str(line).expect("a line with a right checksum is JSON"))
    }

    /// What its records say is missing.
    pub(super) fn gaps(&self) -> impl Iterator<Item = Value> {
        self.records().filter(|record| record["k"] == "gap").map(|mut record| record["gap"].take())
    }
}

/// Every segment of a spool. Of one that died between sealing a segment and removing its plain text, the sealed one.
pub(super) fn segments(spool: &Path) -> BTreeMap<SegmentId, Segment> {
    let mut segments = open_segments(spool);
    for (name, path) in files(spool) {
        if let Some(id) = SegmentId::of_sealed_name(&name) {
            let sealed = std::fs::read(path).expect("nobody removes it");
            let unsealed = unseal(&sealed, PLAIN_BYTES_MAX).expect("a segment is small");
            let mut segment = scan(&unsealed.plain);
            segment.damage += unsealed.damage.len();
            segment.sealed_with = unsealed.contents.map(|contents| contents.records);
            segments.insert(id, segment);
        }
    }
    segments
}

/// The segments that were being written.
pub(super) fn open_segments(spool: &Path) -> BTreeMap<SegmentId, Segment> {
    let open = files(spool).into_iter().filter_map(|(name, path)| Some((SegmentId::of_open_name(&name)?, path)));
    open.map(|(id, path)| (id, scan(&std::fs::read(path).expect("nobody removes it")))).collect()
}

/// Every file of a spool, by its name.
pub(super) fn files(spool: &Path) -> BTreeMap<String, PathBuf> {
    let Ok(entries) = std::fs::read_dir(spool) else { return BTreeMap::new() };
    let entries = entries.map(|entry| entry.expect("nobody removes it"));
    entries.map(|entry| (entry.file_name().into_string().expect("names are text"), entry.path())).collect()
}

/// How often each call's end is recorded, by the token that its answer repeats.
pub(super) fn answers<'a>(segments: impl IntoIterator<Item = &'a Segment>) -> BTreeMap<String, usize> {
    let mut answers = BTreeMap::new();
    for record in segments.into_iter().flat_map(Segment::records) {
        if let (true, Some(token)) = (record["out"] == "ok", record["body"]["result"]["content"][0]["text"].as_str()) {
            *answers.entry(token.to_owned()).or_default() += 1;
        }
    }
    answers
}

fn scan(plain: &[u8]) -> Segment {
    let mut segment = Segment::default();
    for found in Scan::new(plain) {
        match found.expect("this build wrote it") {
            Found::Record(line) => {
                let text = std::str::from_utf8(line.bytes).expect("a line with a right checksum is text");
                segment.lines.push(text.trim_end_matches('\n').to_owned());
            }
            Found::Corrupt { at, .. } | Found::Torn { at, .. } => {
                segment.damage += 1;
                segment.damaged_bytes += at.len() as u64;
            }
        }
    }
    segment
}
