//! The harness against itself: what a scenario sees without a gateway in between.

use serde_json::json;

use super::Upstream;
use crate::{Client, eventually, within};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn calls_are_counted_by_their_token() {
    let upstream = Upstream::start().await;
    let client = Client::connect(upstream.url()).await;
    for token in ["once", "twice", "twice"] {
        assert_eq!(client.call_text("echo", json!({ "token": token })).await.unwrap(), token);
    }
    assert_eq!((upstream.calls("once"), upstream.repeated()), (1, vec!["twice".to_owned()]));
    assert_eq!((upstream.sessions(), upstream.messages("initialize")), (1, 1));
}

#[tokio::test]
async fn a_session_is_wanted_and_can_be_forgotten() {
    let upstream = Upstream::start().await;
    let client = Client::connect(upstream.url()).await;
    upstream.forget_sessions();
    assert_eq!(client.call("echo", json!({})).await.unwrap_err().status_and_code().0, 404);
    assert_eq!(Client::to(upstream.url()).call("echo", json!({})).await.unwrap_err().status_and_code().0, 400);
    Client::to(Upstream::start_without_sessions().await.url()).call("echo", json!({})).await.unwrap();
}

#[tokio::test]
async fn an_event_leaves_when_its_gate_lets_it_and_a_reader_that_leaves_is_noticed() {
    let upstream = Upstream::start().await;
    let client = Client::connect(upstream.url()).await;
    let gate = upstream.gate("gated");
    let mut events = client.start("stream", json!({ "token": "gated", "events": 3 })).await.unwrap().events();
    assert_eq!((gate.sent(), gate.under_way()), (0, 1));
    gate.release(1);
    let event = within("the first event", SOON, events.next()).await.unwrap().unwrap();
    assert_eq!((event.id.as_deref(), event.json()["params"]["progress"].as_u64()), (Some("up-1"), Some(1)));
    drop(events);
    eventually("the answer is abandoned", SOON, async || (gate.under_way() == 0).then_some(())).await;
    assert_eq!(gate.sent(), 1);
}

#[tokio::test]
async fn a_reader_that_does_not_read_stalls_the_flood() {
    let upstream = Upstream::start().await;
    let client = Client::connect(upstream.url()).await;
    let gate = upstream.gate("flood");
    let arguments = json!({ "token": "flood", "events": 1_000, "size": 128 * 1024 });
    let events = client.start("flood", arguments).await.unwrap().events();
    eventually("something was sent", SOON, async || (gate.sent() > 0).then_some(())).await;
    assert!(gate.sent() < 1_000);
    assert_eq!(events.result().await.unwrap()["content"][0]["text"], "done");
    assert_eq!(gate.sent(), 1_000);
}

#[tokio::test]
async fn lies_are_told() {
    let upstream = Upstream::start().await;
    let client = Client::connect(upstream.url()).await;
    for how in [
        "half a JSON text",
        "not JSON-RPC",
        "another media type",
        "an HTML error",
        "a body that breaks off",
        "a stream that breaks off",
        "a stream of no JSON",
    ] {
        within(how, SOON, client.call("lie", json!({ "how": how }))).await.expect_err(how);
    }
}
