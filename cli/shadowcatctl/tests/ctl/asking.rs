//! What only looks, and what acts on nodes and sessions.

use std::process::Stdio;

use serde_json::Value;
use shadowcat_proto::admin::v1::traffic_request::{GroupBy, Order, Window};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::fake::{EDITOR, Fake};
use crate::support::ctl;

#[tokio::test]
async fn everything_that_looks_answers_in_every_format() {
    let url = Fake::new().serve().await;
    for words in [
        &["nodes", "list"][..],
        &["nodes", "show", "edge-1"],
        &["routes"],
        &["upstreams", "list"],
        &["upstreams", "show", "files"],
        &["sessions", "list"],
        &["sessions", "show", "kX3v"],
        &["tapes", "list"],
        &["tapes", "stats"],
        &["status"],
        &["top"],
        &["top", "--once", "--by", "node", "--sort", "errors", "--window", "5m"],
        &["audit", "list"],
    ] {
        for format in ["table", "json", "jsonl", "yaml"] {
            let told = ctl(&[words, &["-o", format]].concat()).at(&url, EDITOR).run().await;
            assert_eq!(told.code, 0, "{words:?}: {told:?}");
            assert!(!told.stdout.is_empty(), "{words:?} as {format}");
            if format.starts_with("json") {
                let stream = serde_json::Deserializer::from_str(&told.stdout).into_iter::<Value>();
                let documents = stream.collect::<Result<Vec<_>, _>>().expect("JSON");
                assert!(!documents.is_empty(), "{words:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_asked_of_traffic_is_what_was_said() {
    let fake = Fake::new();
    let url = fake.serve().await;
    let words = ["top", "--by", "tool", "--sort", "p99", "--window", "10s", "--limit", "2"];
    let told = ctl(&words).at(&url, EDITOR).run().await;
    assert_eq!((told.code, told.stdout.lines().count()), (0, 6), "{told:?}");
    let asked = fake.state().traffic.pop().expect("it asked");
    let said = (asked.group_by(), asked.order(), asked.window(), asked.limit);
    assert_eq!(said, (GroupBy::Tool, Order::P99, Window::TenSeconds, 2));
}

#[tokio::test]
async fn sessions_are_listed_once_each_over_all_pages_up_to_the_limit() {
    let url = Fake::new().serve().await;
    let all = ctl(&["sessions", "list", "-o", "jsonl"]).at(&url, EDITOR).run().await;
    assert_eq!(all.stdout.lines().count(), 5, "{all:?}");
    let some = ctl(&["sessions", "list", "--limit", "3"]).at(&url, EDITOR).run().await;
    assert!(some.stdout.contains("session-2") && !some.stdout.contains("session-3"), "{some:?}");
    assert!(some.stdout.contains("raise --limit") && some.stdout.contains("1 node did not answer: edge-2"), "{some:?}");
}

#[tokio::test]
async fn killed_sessions_are_the_ones_that_were_named() {
    let fake = Fake::new();
    let url = fake.serve().await;
    let told = ctl(&["sessions", "kill", "a", "b"]).at(&url, EDITOR).run().await;
    assert_eq!(told.stdout, "2 sessions ended\n", "{told:?}");
    assert_eq!(fake.state().ended, ["a", "b"]);
}

#[tokio::test]
async fn what_is_done_to_a_node_is_said() {
    let url = Fake::new().serve().await;
    let drained = ctl(&["nodes", "drain", "edge-1"]).at(&url, EDITOR).run().await;
    assert_eq!(drained.stdout, "edge-1 drains, and stops within 30 s\n", "{drained:?}");
    let removed = ctl(&["nodes", "remove", "edge-1"]).at(&url, EDITOR).run().await;
    assert_eq!(
        removed.stdout,
        "edge-1 is removed, and its certificate refused; what runs there serves on until it is stopped\n",
        "{removed:?}"
    );
    let token = ctl(&["nodes", "token", "--uses", "2", "--good-for", "1h"]).at(&url, EDITOR).run().await;
    assert!(token.stdout.starts_with("aaaa") && token.stdout.contains(&url), "{token:?}");
    let absent = ctl(&["nodes", "show", "edge-9"]).at(&url, EDITOR).run().await;
    assert_eq!((absent.code, absent.stderr.contains("there is no node \"edge-9\"")), (1, true), "{absent:?}");
}

#[tokio::test]
async fn watching_goes_on_until_it_is_interrupted_or_nobody_reads() {
    let url = Fake::new().serve().await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_shadowcatctl"))
        .args(["routes", "--watch", "-o", "jsonl", "--server", &url, "--token", EDITOR])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut seen = 0;
    // Two routes an answer: the third line belongs to the second answer.
    while seen < 3 {
        let line = lines.next_line().await.expect("readable").expect("it goes on");
        assert!(line.starts_with("{\"name\""), "{line}");
        seen += 1;
    }
    drop(lines);
    let status = child.wait().await.expect("it ends once nobody reads");
    assert_eq!(status.code(), Some(0));
}
