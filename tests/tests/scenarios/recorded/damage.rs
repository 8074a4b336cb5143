//! Bytes that change on the disk while the node is away.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use shadowcat_tape::segment::SegmentId;
use shadowcat_tests::{Upstream, eventually};
use tempfile::TempDir;

use super::node::{Node, recorded};
use super::spool::{Segment, files, segments};

/// Bytes that are flipped in all, and between two starts.
const FLIPS: usize = 200;
const FLIPS_A_START: usize = 20;

/// Lives before the first flip: so many segments are there to choose from.
const LIVES_BEFORE: usize = 5;

/// Bytes that the node has written when it dies: some dozens of records.
const WRITTEN_BYTES: u64 = 16 * 1024;

/// That is the recording of a tenth of a second; the rest is for a machine busy with other tests.
const WRITTEN_WITHIN: Duration = Duration::from_secs(20);

/// A flip hits one line; two, if it hits the line feed between them.
const LINES_A_FLIP: usize = 2;

/// Lets the node record and kills it in the middle of a segment.
async fn die_writing(node: &mut Node) {
    let spool = node.spool();
    let written = async || {
        let open = files(&spool).into_iter().filter(|(name, _)| SegmentId::of_open_name(name).is_some());
        // It may be sealed and gone between two looks.
        let bytes = |path: PathBuf| path.metadata().map_or(0, |file| file.len());
        open.map(|(_, path)| bytes(path)).any(|bytes| bytes > WRITTEN_BYTES).then_some(())
    };
    node.live(eventually("something is written", WRITTEN_WITHIN, written)).await;
}

/// Flips some bytes of a spool: half of them in what was being written. How many hit each file.
fn flip(node: &Node, random: &mut fastrand::Rng) -> BTreeMap<String, usize> {
    let all: Vec<_> = files(&node.spool()).into_iter().filter(|(_, path)| path.metadata().unwrap().len() > 0).collect();
    let open: Vec<_> = all.iter().filter(|(name, _)| SegmentId::of_open_name(name).is_some()).cloned().collect();
    assert!(!open.is_empty(), "it died while it wrote");
    let mut hits = BTreeMap::new();
    for flip in 0..FLIPS_A_START {
        let (name, path) = random.choice(if flip % 2 == 0 { &open } else { &all }).unwrap();
        let mut bytes = std::fs::read(path).unwrap();
        let at = random.usize(..bytes.len());
        bytes[at] ^= random.u8(1..);
        std::fs::write(path, bytes).unwrap();
        *hits.entry(name.clone()).or_default() += 1;
    }
    hits
}

/// What a segment had and has not is where it was hit, and told in its true number.
fn assert_accounted(
    id: &SegmentId,
    before: &Segment,
    after: Option<&Segment>,
    hits: &BTreeMap<String, usize>,
) -> usize {
    let left: BTreeSet<&String> = after.iter().flat_map(|after| &after.lines).collect();
    let is_lost: Vec<bool> = before.lines.iter().map(|line| !left.contains(line)).collect();
    let lost = is_lost.iter().filter(|lost| **lost).count();
    if let Some(hits) = hits.get(&id.open_name()) {
        assert!(lost <= hits * LINES_A_FLIP, "{id}: {lost} lines are gone after {hits} flips");
        let after = after.unwrap_or_else(|| panic!("{id} is gone with {} lines", before.lines.len()));
        assert_told(id, (before, &is_lost), after);
    } else if lost > 0 {
        assert!(hits.contains_key(&id.sealed_name()), "{id}: {lost} lines are gone, and nothing hit it");
        let after = after.unwrap_or_else(|| panic!("{id} is gone with {} lines", before.lines.len()));
        assert!(after.damage > 0, "{id}: what is gone is told");
        let missing = |segment: &Segment| segment.sealed_with?.checked_sub(segment.lines.len() as u64);
        // Hit before, it had told of what was lost then.
        if let (Some(then), Some(now)) = (missing(before), missing(after)) {
            assert_eq!(now - then, lost as u64, "{id}: it knows how many records it was sealed with");
        }
    }
    lost
}

/// The gaps of a mended segment tell each byte that is gone, and each record between two that are left.
fn assert_told(id: &SegmentId, (before, is_lost): (&Segment, &[bool]), after: &Segment) {
    let had: BTreeSet<&String> = before.lines.iter().collect();
    let new = |line: &String| !had.contains(line) && line.contains(r#""k":"gap""#);
    let records = after.lines.iter().filter(|line| new(line)).map(|line| serde_json::from_str::<Value>(line).unwrap());
    let gaps: Vec<Value> = records.map(|mut record| record["gap"].take()).collect();
    let told = |member: &str| gaps.iter().filter_map(|gap| gap[member].as_u64()).sum::<u64>();
    let with_line_feed = |line: &String| line.len() as u64 + 1;
    let lost = before.lines.iter().zip(is_lost).filter(|(_, lost)| **lost);
    let bytes = lost.map(|(line, _)| with_line_feed(line)).sum::<u64>() + before.damaged_bytes;
    assert_eq!(told("bytes"), bytes, "{id}: {gaps:?}");
    let ends = (is_lost.iter().position(|lost| !lost), is_lost.iter().rposition(|lost| !lost));
    let (Some(first), Some(last)) = ends else { return };
    let between = is_lost[first..last].iter().filter(|lost| **lost).count();
    assert_eq!(told("frames"), between as u64, "{id}: {gaps:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_byte_that_flips_in_a_spool_costs_what_it_hits_and_no_start() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let upstream = Upstream::start().await;
    let data = TempDir::new().unwrap();
    let mut node = Node::start(data.path(), recorded(&upstream.url())).await;
    for _ in 0..LIVES_BEFORE {
        die_writing(&mut node).await;
        node.fleet.plane_mut(0).start_again();
        node.fleet.plane_mut(0).ready().await;
    }
    let (mut records, mut lost) = (0, 0);
    for _ in 0..FLIPS / FLIPS_A_START {
        die_writing(&mut node).await;
        let before = segments(&node.spool());
        let hits = flip(&node, &mut random);
        node.fleet.plane_mut(0).start_again();
        node.fleet.plane_mut(0).ready().await;
        node.fleet.plane_mut(0).program().kill();
        let after = segments(&node.spool());
        for (id, segment) in &before {
            records += segment.lines.len();
            lost += assert_accounted(id, segment, after.get(id), &hits);
        }
        node.fleet.plane_mut(0).start_again();
        node.fleet.plane_mut(0).ready().await;
    }
    eprintln!("{lost} of {records} records were hit by {FLIPS} flips");
    assert!(lost > 0, "some flips hit records");
}
