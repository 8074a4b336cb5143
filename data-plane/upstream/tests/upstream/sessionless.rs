//! Calls without a session: a child each, for as long as they last.

use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use shadowcat_upstream::{Stage, StdioUpstream, Upstream, Why};

use crate::support::{Events, message, pid, post, python, request, settings, until, upstream, with_token};

async fn once(upstream: &StdioUpstream, message_: &Value) -> Value {
    message(upstream.call(post(message_, None)).await.expect("an answer")).await
}

#[tokio::test]
async fn one_after_the_other_they_use_one_child() {
    let upstream = upstream(settings(python()));
    let first = once(&upstream, &request(1, "echo", &json!({}))).await;
    let second = once(&upstream, &request(1, "echo", &json!({}))).await;
    assert_eq!(pid(&first["result"]), pid(&second["result"]));
    assert_eq!(upstream.status().children, 1);
}

#[tokio::test]
async fn at_the_same_time_they_use_a_child_each_and_may_have_equal_ids() {
    let upstream = upstream(settings(python()));
    let call = request(1, "wait", &json!({"seconds": 0.2}));
    let (first, second) = tokio::join!(once(&upstream, &call), once(&upstream, &call));
    assert_ne!(pid(&first["result"]), pid(&second["result"]));
}

#[tokio::test]
async fn a_child_serves_nobody_else_until_its_stream_is_read() {
    let upstream = upstream(settings(python()));
    let mut stream = Events::of(upstream.call(post(&with_token(1, "progress", "t", 2), None)).await.expect("a stream"));
    once(&upstream, &request(1, "echo", &json!({}))).await;
    assert_eq!(upstream.status().children, 2);
    while stream.next().await.is_some() {}
    drop(stream);
    once(&upstream, &request(1, "echo", &json!({}))).await;
    assert_eq!(upstream.status().children, 2);
}

#[tokio::test]
async fn a_child_whose_client_goes_away_is_stopped() {
    let upstream = upstream(settings(python()));
    let abandoned = upstream.call(post(&request(1, "never", &json!({})), None));
    assert!(tokio::time::timeout(Duration::from_millis(300), abandoned).await.is_err());
    until("the child is gone", || upstream.status().children == 0).await;
    let stream = upstream.call(post(&with_token(1, "stall", "t", 1), None)).await.expect("a stream");
    drop(stream);
    until("the child is gone", || upstream.status().children == 0).await;
}

#[tokio::test]
async fn no_more_children_are_started_than_configured_and_a_call_beyond_is_refused() {
    let mut settings = settings(python());
    settings.max_children = 1;
    let upstream = upstream(settings);
    let holding = upstream.call(post(&with_token(1, "stall", "t", 1), None)).await.expect("a stream");
    let error = upstream.call(post(&request(2, "echo", &json!({})), None)).await.expect_err("overloaded");
    assert_eq!((error.stage, error.why, error.sent), (Stage::Queue, Why::Overloaded, false));
    drop(holding);
    once(&upstream, &request(3, "echo", &json!({}))).await;
}

#[tokio::test]
async fn a_call_that_waits_takes_the_child_that_comes_back() {
    let mut settings = settings(python());
    settings.max_children = 1;
    let upstream = upstream(settings);
    let first = once(&upstream, &request(1, "echo", &json!({}))).await;
    let slow = request(1, "wait", &json!({"seconds": 0.2}));
    let quick = async {
        until("the other is under way", || upstream.status().in_flight == 1).await;
        once(&upstream, &request(1, "echo", &json!({}))).await
    };
    let (_, second) = tokio::join!(once(&upstream, &slow), quick);
    assert_eq!(pid(&first["result"]), pid(&second["result"]));
}

#[tokio::test]
async fn an_idle_child_makes_room_for_a_session() {
    let mut settings = settings(python());
    settings.max_children = 1;
    let upstream = upstream(settings);
    let used = once(&upstream, &request(1, "echo", &json!({}))).await;
    let (_, child) = crate::support::open(&upstream).await;
    assert_ne!(pid(&used["result"]), child);
}

#[tokio::test]
async fn a_notification_without_a_session_is_accepted_and_starts_nothing() {
    let upstream = upstream(settings(python()));
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(upstream.call(post(&notification, None)).await.expect("accepted").status(), StatusCode::ACCEPTED);
    assert_eq!(upstream.status().children, 0);
}

#[tokio::test]
async fn an_unknown_method_of_the_era_without_sessions_is_not_found() {
    let upstream = upstream(settings(python()));
    let meta = json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } });
    for (params, status) in [(meta, StatusCode::NOT_FOUND), (json!({}), StatusCode::OK)] {
        let answer = upstream.call(post(&request(1, "unheard/of", &params), None)).await.expect("an answer");
        assert_eq!(answer.status(), status, "{params}");
        let body = answer.into_body().collect().await.expect("a whole answer").to_bytes();
        assert_eq!(serde_json::from_slice::<Value>(&body).expect("JSON")["error"]["code"], -32601);
    }
}
