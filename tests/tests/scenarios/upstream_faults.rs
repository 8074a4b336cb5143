//! Servers that are dead, slow, lying or endless: the client gets a JSON-RPC error that names the upstream and the stage, soon.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use shadowcat_tests::{Client, Failure, FleetBuilder, Upstream, fleet, free_port, reverse, within};
use tokio::net::TcpListener;

/// What the gateway is told to wait for.
const PATIENCE: &str = "1s";

/// What a client waits at most: the gateway's patience, and what a busy machine adds.
const SOON: Duration = Duration::from_secs(5);

/// The trace that the calls below belong to.
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn traced(client: &Client) -> Client {
    client.with("traceparent", &format!("00-{TRACE_ID}-00f067aa0ba902b7-01"))
}

fn impatient(fleet: FleetBuilder) -> FleetBuilder {
    fleet.upstream_settings(json!({ "timeouts": { "connect": PATIENCE, "first_byte": PATIENCE, "idle": PATIENCE } }))
}

fn assert_blames(failure: &Failure, how: &str, code: i64, stage: &str) {
    assert_eq!(failure.code, Some(code), "{how}: {failure}");
    assert_eq!(failure.data["upstream"], "origin", "{how}: {failure}");
    assert_eq!(failure.data["route"], "tools", "{how}: {failure}");
    assert_eq!(failure.data["stage"], stage, "{how}: {failure}");
    assert_eq!(failure.data["trace_id"], TRACE_ID, "{how}: {failure}");
    assert!(failure.data["retryable"].is_boolean(), "{how}: {failure}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lies_is_named_with_the_stage_it_lied_in() {
    let upstream = Upstream::start().await;
    let fleet = impatient(fleet().upstream(&upstream)).start().await;
    let client = traced(&fleet.client(0).await);
    let lies = [
        ("half a JSON text", -31003, "body"),
        ("not JSON-RPC", -31003, "body"),
        ("another id", -31003, "body"),
        ("another media type", -31003, "body"),
        ("an HTML error", -31003, "body"),
        ("silence", -31002, "first_byte"),
        ("silence in mid-body", -31002, "body"),
        ("a body that breaks off", -31001, "body"),
        ("a stream without an answer", -31003, "body"),
        ("a stream that breaks off", -31001, "body"),
        ("a stream that falls silent", -31002, "body"),
        ("a huge event", -31003, "body"),
    ];
    let told = lies.map(|(how, ..)| within(how, SOON, client.call("lie", json!({ "how": how, "token": how }))));
    for ((how, code, stage), answer) in lies.into_iter().zip(join_all(told).await) {
        assert_blames(&answer.expect_err(how), how, code, stage);
        assert_eq!(upstream.calls(how), 1, "{how}: never asked twice");
    }
    // After all that, an honest call is served.
    client.call("echo", json!({ "token": "honest" })).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_answer_passes_in_bounded_memory() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let before = fleet.plane(0).process().peak_resident();
    let reply = client.start("lie", json!({ "how": "a huge body", "token": "huge" })).await.unwrap();
    let body = within("the body ends", Duration::from_secs(30), reply.text()).await.unwrap();
    assert!(body.len() > 64 * 1024 * 1024);
    // The peak, not what is left: an answer that was held whole and then let go counts, too.
    let held = fleet.plane(0).process().peak_resident().saturating_sub(before);
    assert!(held < 24 * 1024 * 1024, "the gateway held {held} bytes of it at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_named_at_once() {
    let url = format!("http://127.0.0.1:{}/mcp", free_port());
    let fleet =
        impatient(fleet().http(&url)).route_settings(json!({ "sessions": { "mode": "OPTIONAL" } })).start().await;
    let client = traced(&Client::to(fleet.url(0)));
    let call = within("a refused connection", SOON, client.call("echo", json!({}))).await.unwrap_err();
    assert_blames(&call, "nobody listens", -31001, "connect");
    assert_eq!((call.status_and_code().0, &call.data["retryable"]), (502, &Value::Bool(true)), "{call}");
    let session = within("a refused connection", SOON, client.open_session()).await.unwrap_err();
    assert_blames(&session, "nobody listens", -31001, "connect");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_accepts_and_says_nothing_is_named_in_bounded_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let fleet = impatient(reverse().http(&url)).start().await;
    let client = traced(&Client::to(fleet.url(0)));
    let failure = within("a silent server", SOON, client.open_session()).await.unwrap_err();
    assert_blames(&failure, "silence", -31002, "first_byte");
    assert_eq!(failure.status_and_code().0, 504);
    drop(listener);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_falls_silent_ends_when_the_route_s_patience_does() {
    let upstream = Upstream::start().await;
    // The upstream's own time-out is minutes away.
    let fleet = fleet().upstream(&upstream).route_settings(json!({ "timeouts": { "idle": PATIENCE } })).start().await;
    let client = traced(&fleet.client(0).await);
    let silent = client.call("lie", json!({ "how": "a stream that falls silent", "token": "silent" }));
    let failure = within("the stream ends", SOON, silent).await.unwrap_err();
    assert_blames(&failure, "a stream that falls silent", -31002, "body");
    assert_eq!(upstream.calls("silent"), 1);
    // Time goes by only while nothing comes: a stream that says something now and then outlives it.
    let gate = upstream.gate("talking");
    let events = client.start("stream", json!({ "token": "talking", "events": 6 })).await.unwrap().events();
    let mut talk = tokio::time::interval(Duration::from_millis(250));
    for _ in 0..6 {
        talk.tick().await;
        gate.release(1);
    }
    assert_eq!(within("the stream ends", SOON, events.result()).await.unwrap()["content"][0]["text"], "done");
}
