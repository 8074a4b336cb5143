//! How children start and end.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::json;
use shadowcat_upstream::Upstream;

use crate::support::{
    ask, delete, get, group_lives, open, pid, post, python, request, settings, shell, until, upstream,
};

/// A server in sh: quick to start, and it answers whatever it is asked with the id 0.
const QUICK: &str = r#"while read -r line; do echo "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"pid\":$$}}"; done"#;

#[tokio::test]
async fn delete_ends_the_session_and_its_child() {
    let upstream = upstream(settings(python()));
    let (session, child) = open(&upstream).await;
    assert_eq!(upstream.call(delete(&session)).await.expect("an answer").status(), StatusCode::NO_CONTENT);
    assert_eq!(upstream.call(get(&session)).await.expect("an answer").status(), StatusCode::NOT_FOUND);
    until("the child is gone", || !group_lives(child)).await;
}

#[tokio::test]
async fn nothing_below_a_shell_outlives_its_session() {
    let upstream = upstream(settings(shell(&format!("sleep 1000 & sleep 1000 & {QUICK}"))));
    let (session, group) = open(&upstream).await;
    assert!(group_lives(group));
    upstream.call(delete(&session)).await.expect("an answer");
    until("the group is empty", || !group_lives(group)).await;
}

#[tokio::test]
async fn a_child_that_ignores_the_end_of_its_input_and_term_is_killed() {
    let upstream = upstream(settings(shell(&format!("trap '' TERM; {QUICK}; while :; do sleep 0.05; done"))));
    let (session, group) = open(&upstream).await;
    upstream.call(delete(&session)).await.expect("an answer");
    until("the group is empty", || !group_lives(group)).await;
}

#[tokio::test]
async fn a_child_unused_for_long_is_stopped_and_its_session_ends() {
    let mut settings = settings(shell(QUICK));
    settings.stop_when_idle_for = Duration::from_millis(200);
    let upstream = upstream(settings);
    let (session, group) = open(&upstream).await;
    until("every child is gone, the spare one too", || upstream.status().children == 0).await;
    assert!(!group_lives(group));
    let after = upstream.call(post(&request(0, "echo", &json!({})), Some(&session))).await.expect("an answer");
    assert_eq!(after.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_session_with_an_open_stream_is_in_use() {
    let mut settings = settings(shell(QUICK));
    settings.stop_when_idle_for = Duration::from_millis(100);
    let upstream = upstream(settings);
    let (session, group) = open(&upstream).await;
    let stream = upstream.call(get(&session)).await.expect("a stream");
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(group_lives(group));
    drop(stream);
    until("the child is gone", || !group_lives(group)).await;
}

#[tokio::test]
async fn the_second_session_finds_its_child_started() {
    let upstream = upstream(settings(python()));
    let (_, first) = open(&upstream).await;
    until("there is a spare child", || upstream.status().children == 2).await;
    let (_, second) = open(&upstream).await;
    assert_ne!(first, second);
    until("there is a spare child again", || upstream.status().children == 3).await;
}

#[tokio::test]
async fn a_client_that_leaves_while_its_session_opens_leaves_no_child() {
    let upstream = upstream(settings(shell("sleep 1000")));
    let opening = upstream.call(post(&request(0, "initialize", &json!({})), None));
    assert!(tokio::time::timeout(Duration::from_millis(100), opening).await.is_err());
    until("the child is gone", || upstream.status().children == 0).await;
}

#[tokio::test]
async fn shutdown_leaves_no_process_and_takes_no_call() {
    let upstream = upstream(settings(python()));
    let (_, first) = open(&upstream).await;
    let (_, second) = open(&upstream).await;
    upstream.shutdown().await;
    assert!(!group_lives(first) && !group_lives(second));
    assert_eq!(upstream.status().children, 0);
    assert!(upstream.call(post(&request(0, "initialize", &json!({})), None)).await.is_err());
}

#[tokio::test]
async fn dropping_an_upstream_stops_its_children() {
    let upstream = upstream(settings(python()));
    let (_, child) = open(&upstream).await;
    drop(upstream);
    until("the child is gone", || !group_lives(child)).await;
}

#[tokio::test]
async fn a_configured_variable_reaches_the_child() {
    let mut settings = settings(python());
    settings.env = vec![("API_KEY".to_owned(), "configured".to_owned())];
    let upstream = upstream(settings);
    let (session, _) = open(&upstream).await;
    let environment = ask(&upstream, &session, &request(1, "environment", &json!({}))).await;
    assert_eq!(environment["result"]["API_KEY"], "configured");
}

#[tokio::test]
async fn a_call_costs_little_more_than_the_pipe() {
    let upstream = upstream(settings(shell(QUICK)));
    let (session, child) = open(&upstream).await;
    let mut fastest = Duration::MAX;
    for _ in 0..50 {
        let since = Instant::now();
        let answer = ask(&upstream, &session, &request(0, "echo", &json!({}))).await;
        fastest = fastest.min(since.elapsed());
        assert_eq!(pid(&answer["result"]), child);
    }
    // A lost wake-up or a poll interval would show; the machine's load does not show in the fastest of fifty.
    assert!(fastest < Duration::from_millis(10), "{fastest:?}");
}
