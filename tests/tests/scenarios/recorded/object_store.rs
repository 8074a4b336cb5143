//! Recorded traffic in an object store: kept there, found again, waited for while it is away, and gone when it is deleted.

use std::time::Duration;

use serde_json::{Value, json};
use shadowcat_tests::{ControlPlane, Upstream, eventually, managed};

use super::node::recorded;
use super::tapes::search;

/// From a call until it is stored, on a machine busy with other tests.
const STORED_WITHIN: Duration = Duration::from_secs(90);

/// What was deleted leaves the object store soon after the index, on a machine busy with other tests.
const GONE_WITHIN: Duration = Duration::from_secs(60);

/// Longer than the 64 KiB from which a message is kept apart.
const LARGE: usize = 100_000;

/// The only call whose messages have these words, once it is stored.
async fn stored(control: &ControlPlane, words: &str) -> Value {
    let found = async || {
        let found = search(control, &["--tool", "echo", words]).await;
        assert!(found.len() < 2, "{words}: {found:?}");
        found.into_iter().next()
    };
    eventually(&format!("{words} is found"), STORED_WITHIN, found).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_store_keeps_what_is_recorded_and_nothing_is_lost_while_it_is_away() {
    let upstream = Upstream::start().await;
    let mut fleet = managed().s3().upstream(&upstream).start().await;
    let version = fleet.apply(&recorded(&upstream.url())).await;
    fleet.runs(version).await;
    let client = fleet.client(0).await;
    let large = format!("the needle {}", "x".repeat(LARGE));
    assert_eq!(client.call_text("echo", json!({ "token": large })).await.unwrap(), large);
    let first = stored(fleet.control(), "the needle").await;
    let before = fleet.s3_mut().keys("segments");
    assert!(!before.is_empty() && before.iter().all(|key| key.ends_with(".jsonl.zst")), "{before:?}");
    assert!(!fleet.s3_mut().keys("blobs").is_empty(), "a long message is kept apart");

    fleet.s3_mut().stop();
    assert_eq!(client.call_text("echo", json!({ "token": "meanwhile" })).await.unwrap(), "meanwhile");
    fleet.s3_mut().start_again().await;
    let second = stored(fleet.control(), "meanwhile").await;
    assert_eq!(first["tape"], second["tape"]);
    let tape = second["tape"].as_str().unwrap();
    let shown = fleet.control().ctl(&["tapes", "show", tape]).await.ok();
    assert!(["the needle", "meanwhile"].iter().all(|words| shown.contains(words)), "{shown}");

    fleet.control().ctl(&["tapes", "delete", tape, "--yes"]).await.ok();
    assert!(search(fleet.control(), &["--tool", "echo"]).await.is_empty());
    let s3 = fleet.s3_mut();
    let gone = async || s3.keys("segments").iter().all(|key| !before.contains(key)).then_some(());
    eventually("what was deleted has left the object store", GONE_WITHIN, gone).await;
}
