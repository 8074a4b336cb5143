//! A disk on which there is no room left.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shadowcat_tests::{Call, Client, Load, Upstream};
use tempfile::TempDir;

use super::node::{Node, recorded};
use super::spool::{Segment, segments};

/// Room on the disk: a hundred times what the test records.
const DISK_BYTES: usize = 64 * 1024 * 1024;

/// What the kernel gives out room in.
const PAGE: [u8; 4096] = [0; 4096];

/// Calls a second, half of them on a route that is not recorded: what slows the whole machine slows both.
const RATE: u32 = 200;

/// How long calls go on with room, without, and with room again: time for a segment or two to be sealed, or not to be.
const PHASE: Duration = Duration::from_secs(5);

/// What is recorded meanwhile: of every other call, a request and its answer.
const FRAMES_A_PHASE: usize = RATE as usize * PHASE.as_secs() as usize;

/// Whoever gives room is given none: what a dropped segment leaves is taken within so much time.
const TAKEN_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// A recorded call may take so much longer than one that is not.
const LONGER: Duration = Duration::from_millis(100);

/// Half of them on each route.
const SESSIONS: usize = 8;

/// A request and its answer; and before them `initialize`, its answer and `notifications/initialized`.
const FRAMES_A_CALL: usize = 2;
const FRAMES_A_SESSION: usize = 3;

/// A disk of the test's own, in memory; gone when dropped.
struct Disk(TempDir);

impl Disk {
    fn mount() -> Self {
        let dir = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={DISK_BYTES}"), "scenario"]).arg(dir.path());
        assert!(mount.status().unwrap().success(), "root may mount a tmpfs");
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still has a file open there keeps it for as long.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// Takes whatever room there is for `time`, and gives it back.
fn fill(file: &Path, time: Duration) {
    let began = Instant::now();
    let mut filling = File::create(file).unwrap();
    while began.elapsed() < time {
        while filling.write_all(&PAGE).is_ok() {}
        std::thread::sleep(TAKEN_AGAIN_AFTER);
    }
    std::fs::remove_file(file).unwrap();
}

/// `recorded` and a route beside it that is not.
fn two_routes(url: &str) -> Value {
    let mut configuration = recorded(url);
    let plain = json!({ "name": "plain", "match": { "path": "/plain" }, "targets": [{ "upstream": "origin" }] });
    configuration["routes"].as_array_mut().unwrap().push(plain);
    configuration
}

/// The calls of a route in one phase.
struct Calls {
    count: usize,
    /// What 99 of 100 took at most: of the slowest, nobody knows what the machine did meanwhile.
    took: Duration,
}

/// Calls of both routes in turn until `work` is done, those of the recorded one first. None fails.
async fn calls_during(node: &Node, clients: &[Client], work: impl Future<Output = ()>) -> [Calls; 2] {
    let urls = ["/mcp", "/plain"].map(|path| node.fleet.plane(0).url(path));
    let mut load = Load::new(RATE, urls.to_vec(), clients.to_vec());
    load.run_during(&[0, 1], work).await;
    let calls: Vec<Call> =
        load.outcomes().await.into_iter().map(|(call, answer)| answer.map(|_| call).unwrap()).collect();
    [0, 1].map(|route| {
        let mut took: Vec<Duration> = calls.iter().filter(|call| call.plane == route).map(|call| call.took).collect();
        took.sort_unstable();
        Calls { count: took.len(), took: took[took.len() * 99 / 100] }
    })
}

fn frames(segment: &Segment) -> usize {
    let is_frame = |kind: &Value| !["head", "clock", "gap", "end"].contains(&kind.as_str().unwrap());
    segment.records().filter(|record| is_frame(&record["k"])).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_costs_frames_and_no_call() {
    let upstream = Upstream::start().await;
    let disk = Disk::mount();
    let mut node = Node::start(disk.path(), two_routes(&upstream.url())).await;
    let mut clients = Vec::new();
    for number in 0..SESSIONS {
        let path = ["/mcp", "/plain"][number % 2];
        clients.push(Client::connect(node.fleet.plane(0).url(path)).await);
    }

    let before = calls_during(&node, &clients, tokio::time::sleep(PHASE)).await;
    let filling = disk.path().join("filling");
    let filled = async { tokio::task::spawn_blocking(move || fill(&filling, PHASE)).await.unwrap() };
    let full = calls_during(&node, &clients, filled).await;
    let after = calls_during(&node, &clients, tokio::time::sleep(PHASE)).await;
    let phases = [before, full, after];
    let took = phases.each_ref().map(|calls| calls.each_ref().map(|calls| calls.took));
    eprintln!("99 of 100 calls, recorded and not, before, on a full disk, and after: {took:?}");
    let [_, [recorded, plain], _] = took;
    assert!(recorded < plain + LONGER, "{took:?}");

    node.end().await;
    let calls: usize = phases.iter().map(|[recorded, _]| recorded.count).sum();
    assert_missing_is_told(&node, calls * FRAMES_A_CALL + SESSIONS / 2 * FRAMES_A_SESSION);
}

/// What was recorded and is not in the spool is said to be missing, and by its end nothing is.
fn assert_missing_is_told(node: &Node, recorded: usize) {
    let segments: Vec<Segment> = segments(&node.spool()).into_values().collect();
    let kept: usize = segments.iter().map(frames).sum();
    let gaps: Vec<Value> = segments.iter().flat_map(Segment::gaps).collect();
    let told: u64 = gaps.iter().filter_map(|gap| gap["frames"].as_u64()).sum();
    eprintln!("{recorded} frames, {kept} kept, {told} told to be missing: {gaps:?}");
    assert!(kept < recorded, "the disk was full");
    assert!(gaps.iter().all(|gap| ["disk_failed", "spool_full"].contains(&gap["why"].as_str().unwrap())), "{gaps:?}");
    assert_eq!(kept + told as usize, recorded, "every frame is kept, or told to be missing");
    let first_told = segments.iter().position(|segment| segment.gaps().next().is_some()).unwrap();
    let since: usize = segments[first_told..].iter().map(frames).sum();
    assert!(since > FRAMES_A_PHASE / 2, "recording went on: {since} frames since it was told what is missing");
}
