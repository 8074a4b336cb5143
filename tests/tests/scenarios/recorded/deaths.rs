//! A node that is killed again and again while it writes what it records.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;
use shadowcat_tape::segment::SegmentId;
use shadowcat_tests::Upstream;
use tempfile::TempDir;

use super::node::{Answered, Node, recorded};
use super::spool::{Segment, answers, files, open_segments, segments};

/// Deaths of the test below.
const DEATHS: usize = 200;

/// A life lasts so many milliseconds after its first call: some writes of the recorder, which come every 10 ms or so.
const LIFE_MS: std::ops::Range<u64> = 10..80;

/// So many lives are long enough for what is promised of them: a segment is sealed in the middle of each.
const LONG_LIVES: usize = 3;
const LONG_LIFE: Duration = Duration::from_millis(3_500);

/// One in so many deaths comes while the node starts, so many milliseconds after its process has begun.
const UNBORN_EVERY: usize = 5;
const UNBORN_MS: std::ops::Range<u64> = 0..60;

/// What was answered before the last so much of a life is kept whatever happens: a segment is sealed after 2 s.
const KEPT_AFTER: Duration = Duration::from_secs(2);

/// What was seen of the lives so far.
#[derive(Default)]
struct Lives {
    answered: usize,
    /// Answered long enough before a death.
    promised: BTreeSet<String>,
    /// In the spool's files when a death came: what a dead process has written stays.
    written: BTreeSet<String>,
    sealed: BTreeSet<SegmentId>,
}

impl Lives {
    fn note_death(&mut self, node: &Node, answered: Vec<Answered>) {
        let died = Instant::now();
        self.answered += answered.len();
        let long_ago = answered.into_iter().filter(|answer| died.duration_since(answer.at) > KEPT_AFTER);
        self.promised.extend(long_ago.map(|answer| answer.token));
        self.written.extend(answers(open_segments(&node.spool()).values()).into_keys());
        self.sealed.extend(files(&node.spool()).keys().filter_map(|name| SegmentId::of_sealed_name(name)));
    }

    fn assert_kept(&self, segments: &BTreeMap<SegmentId, Segment>) {
        let kept = answers(segments.values());
        let gone =
            |tokens: &BTreeSet<String>| tokens.iter().filter(|token| !kept.contains_key(*token)).cloned().collect();
        let [promised, written]: [Vec<String>; 2] = [gone(&self.promised), gone(&self.written)];
        assert!(
            written.is_empty() && promised.is_empty(),
            "gone: in the spool when its node died: {written:?}; answered {KEPT_AFTER:?} before: {promised:?}"
        );
        for (token, times) in &kept {
            assert_eq!(*times, 1, "{token} was answered once");
        }
        for id in &self.sealed {
            assert!(segments.contains_key(id), "{id} was sealed, and is gone");
        }
        let (promised, written) = (self.promised.len(), self.written.len());
        eprintln!("{} calls answered, {promised} promised, {written} written, {} kept", self.answered, kept.len());
        assert!(promised >= LONG_LIVES && written >= DEATHS, "most lives left something behind");
    }
}

/// Numbers are dense in each instance, and how it ended is told in its last record.
fn assert_told(segments: &BTreeMap<SegmentId, Segment>) {
    let mut instances: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (id, segment) in segments {
        assert_eq!(segment.damage, 0, "{id} was mended");
        instances.entry(&id.instance).or_default().extend(segment.records());
    }
    let (mut ends, mut sealed_last) = (0, 0);
    for (instance, records) in &instances {
        let numbers = records.iter().map(|record| record["seq"].as_u64().unwrap());
        assert!(numbers.eq(1..=records.len() as u64), "numbers of {instance} without holes");
        let last = records.last().unwrap();
        ends += usize::from(last["k"] == "end");
        sealed_last += usize::from(last["k"] != "end" && last["gap"]["why"] != "crash");
    }
    // One that dies between the seal of a segment and the next record leaves nothing to mend: that it has no end tells it.
    assert!(sealed_last <= DEATHS / 20, "{sealed_last} instances end without a word");
    assert_eq!(ends, 1, "one instance ended in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_at_any_point_of_writing_starts_and_keeps_the_rest() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let upstream = Upstream::start().await;
    let data = TempDir::new().unwrap();
    let mut node = Node::start(data.path(), recorded(&upstream.url())).await;
    let mut lives = Lives::default();
    for death in 1..=DEATHS {
        let long = death % (DEATHS / LONG_LIVES) == 0;
        let life = if long { LONG_LIFE } else { Duration::from_millis(random.u64(LIFE_MS)) };
        let answered = node.live(tokio::time::sleep(life)).await;
        lives.note_death(&node, answered);
        node.fleet.plane_mut(0).start_again();
        if death % UNBORN_EVERY == 0 {
            tokio::time::sleep(Duration::from_millis(random.u64(UNBORN_MS))).await;
            assert!(node.fleet.plane_mut(0).program().ended().is_none(), "it starts");
            node.fleet.plane_mut(0).start_again();
        }
        node.fleet.plane_mut(0).ready().await;
    }
    // The last instance has something to end.
    node.fleet.client(0).await;
    node.end().await;
    let segments = segments(&node.spool());
    lives.assert_kept(&segments);
    assert_told(&segments);
}
