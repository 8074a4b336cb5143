//! The traffic of a fleet as it is seen by whoever follows it.

use std::time::Duration;

use serde_json::{Value, json};
use shadowcat_tests::{Managed, Upstream, eventually, managed, number};
use tokio::time::Instant;

use super::node::recorded;

/// What is seen is at most so far behind what has happened.
const BEHIND_MAX: Duration = Duration::from_secs(1);

/// The data planes that are followed, and the calls at each.
const PLANES: usize = 2;
const CALLS: usize = 20;

/// Between two looks at what was printed.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Every node is followed, on a machine busy with other tests.
const SOON: Duration = Duration::from_secs(60);

/// A fleet that records, and the number of the version that says so.
async fn fleet(upstream: &Upstream) -> (Managed, u64) {
    let fleet = managed().data_planes(PLANES).upstream(upstream).start().await;
    let version = fleet.apply(&recorded(&upstream.url())).await;
    fleet.runs(version).await;
    (fleet, version)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_follows_a_fleet_is_a_second_behind_at_most() {
    let upstream = Upstream::start().await;
    let (fleet, version) = fleet(&upstream).await;
    let tail = fleet.control().start_ctl("tail", &["tapes", "tail", "-f", "--frames", "-o", "jsonl"]);
    let followed = async || (0..PLANES).all(|plane| tail.log().contains(&format!("plane-{plane}"))).then_some(());
    eventually("every node is followed", SOON, followed).await;
    let mut clients = Vec::new();
    for plane in 0..PLANES {
        clients.push(fleet.client(plane).await);
    }
    let mut longest = Duration::ZERO;
    for (number, client) in (0..CALLS).flat_map(|number| clients.iter().map(move |client| (number, client))) {
        let words = format!("call {number} {}", fastrand::u64(..));
        // What is called a token is blotted out of the question, and not out of the answer.
        assert_eq!(client.call_text("echo", json!({ "token": words })).await.unwrap(), words);
        let answered = Instant::now();
        while !tail.log().contains(&words) {
            assert!(answered.elapsed() < SOON, "{words} is never seen");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        longest = longest.max(answered.elapsed());
    }
    let frames: Vec<Value> = tail.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(frames.len() >= 2 * CALLS * PLANES, "{} frames", frames.len());
    for frame in frames {
        assert_eq!(
            (number(&frame["config_version"]), &frame["record"]["version"]),
            (version, &version.into()),
            "{frame}"
        );
    }
    eprintln!("{} calls were seen within {longest:?}", CALLS * PLANES);
    assert!(longest <= BEHIND_MAX, "{longest:?} behind");
}
