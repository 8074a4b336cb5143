//! Answers that come in pieces.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use shadowcat_tests::{Client, Events, Upstream, eventually, fleet, message, within};

const EVENTS: u64 = 1_000;

/// The `progress` of the next event, or the text of the result.
async fn next(events: &mut Events) -> Result<u64, String> {
    let event = within("the next event", Duration::from_secs(10), events.next_message()).await.unwrap().unwrap();
    let message = event.json();
    match message["params"]["progress"].as_u64() {
        Some(step) => Ok(step),
        None => Err(message["result"]["content"][0]["text"].as_str().unwrap_or("no result").to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_events_arrive_one_by_one_from_one_upstream_request() {
    let upstream = Upstream::start().await;
    let fleet = fleet().redis().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let gate = upstream.gate("one-by-one");
    gate.release(1);
    let mut events = client.start("stream", json!({ "token": "one-by-one", "events": EVENTS })).await.unwrap().events();
    for step in 1..=EVENTS {
        assert_eq!(next(&mut events).await, Ok(step));
        assert_eq!(gate.sent(), step, "the client has seen event {step} before the next one exists");
        gate.release(1);
    }
    assert_eq!(next(&mut events).await, Err("done".to_owned()));
    assert_eq!(events.next().await.unwrap(), None, "the stream ends after the answer");
    assert_eq!(upstream.calls("one-by-one"), 1);
}

/// What the gateway may hold for one client that does not read, beside what the kernel's sockets hold: 4 MiB of event log, one
/// read of the upstream, a write buffer; and what its allocator keeps of all that has passed.
const HELD_MAX: u64 = 40 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_holds_the_upstream_back_and_loses_nothing() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let gate = upstream.gate("flood");
    let before = fleet.plane(0).process().resident();
    let arguments = json!({ "token": "flood", "events": EVENTS, "size": 64 * 1024 });
    let mut events = client.start("flood", arguments).await.unwrap().events();

    let mut last = u64::MAX;
    eventually("the upstream stops writing", Duration::from_secs(10), async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let stalled = gate.sent() == last;
        last = gate.sent();
        stalled.then_some(())
    })
    .await;
    assert!(gate.sent() < EVENTS, "all {EVENTS} events left the upstream while nobody read");
    let held = fleet.plane(0).process().resident().saturating_sub(before);
    assert!(held < HELD_MAX, "the gateway holds {held} bytes for a client that does not read");

    for step in 1..=EVENTS {
        assert_eq!(next(&mut events).await, Ok(step));
    }
    assert_eq!(next(&mut events).await, Err("done".to_owned()));
    assert_eq!(upstream.calls("flood"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_resumes_on_the_other_replica_with_nothing_missing_or_doubled() {
    let upstream = Upstream::start().await;
    let fleet = fleet().data_planes(2).redis().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let gate = upstream.gate("resumed");
    let mut random = fastrand::Rng::with_seed(7);
    gate.release(EVENTS as usize / 2);
    let mut events = client.start("stream", json!({ "token": "resumed", "events": EVENTS })).await.unwrap().events();
    let (mut seen, mut last) = (0, String::new());
    for number in 0.. {
        // Some events, then the connection breaks, and the client goes on at the other replica.
        for _ in 0..random.u64(1..150) {
            let event =
                within("the next event", Duration::from_secs(10), events.next_message()).await.unwrap().unwrap();
            last = event.id.clone().expect("an event of a session has an id");
            let Some(step) = event.json()["params"]["progress"].as_u64() else {
                assert_eq!((seen, upstream.calls("resumed")), (EVENTS, 1));
                return;
            };
            assert_eq!(step, seen + 1, "an event is missing or doubled");
            seen = step;
        }
        drop(events);
        if number == 0 {
            // From here on the upstream sends while nobody, or somebody else, is listening.
            gate.release(EVENTS as usize / 2);
        }
        let resumed = client.at(fleet.url((number + 1) % 2)).resume(&last).await.unwrap();
        assert_eq!(resumed.status(), StatusCode::OK);
        events = resumed.events();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_goes_on_when_its_client_leaves_and_its_answer_waits() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let gate = upstream.gate("left");
    gate.release(1);
    let mut events = client.start("stream", json!({ "token": "left", "events": 2 })).await.unwrap().events();
    let first = events.next_message().await.unwrap().unwrap();
    drop(events);
    // MCP 2025-11-25: a disconnect is no cancellation.
    gate.release(1);
    eventually("the upstream's answer is read to its end", Duration::from_secs(5), async || {
        (gate.under_way() == 0).then_some(())
    })
    .await;
    let mut events = client.resume(&first.id.unwrap()).await.unwrap().events();
    assert_eq!(next(&mut events).await, Ok(2));
    assert_eq!(next(&mut events).await, Err("done".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_cannot_be_resumed_from_another_session_or_from_a_forged_id() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let (client, stranger) = (fleet.client(0).await, fleet.client(0).await);
    upstream.gate("mine").release(2);
    let mut events = client.start("stream", json!({ "token": "mine", "events": 2 })).await.unwrap().events();
    let id = events.next_message().await.unwrap().unwrap().id.unwrap();
    for (client, id) in [(&stranger, id.as_str()), (&client, "AAAAAAAAAAA-1"), (&client, "up-1")] {
        let refused = client.resume(id).await.unwrap().failure().await;
        assert!(refused.status.unwrap().is_client_error(), "{id:?}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standing_stream_carries_what_the_server_says_unasked() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let mut events = client.listen().await.unwrap().events();
    eventually("the upstream has a listener", Duration::from_secs(5), async || {
        (upstream.listeners() == 1).then_some(())
    })
    .await;
    let changed = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
    upstream.say(&changed).await;
    let event = within("what was said", Duration::from_secs(5), events.next_message()).await.unwrap().unwrap();
    assert_eq!(event.json(), changed);
    drop(events);
    eventually("the upstream's listener is gone with the client", Duration::from_secs(5), async || {
        (upstream.listeners() == 0).then_some(())
    })
    .await;
}

/// A call of 2026-07-28, which carries its version and needs no session.
async fn modern(client: &Client, tool: &str, arguments: Value) -> shadowcat_tests::Reply {
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}, "io.modelcontextprotocol/clientInfo": { "name": "s", "version": "1" } });
    let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
    let client =
        client.with("mcp-protocol-version", "2026-07-28").with("mcp-method", "tools/call").with("mcp-name", tool);
    client.send(message(1, "tools/call", &params)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_modern_call_needs_no_session_and_leaving_it_cancels_it() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let client = Client::to(fleet.url(0));
    let reply = modern(&client, "echo", json!({ "token": "modern" })).await;
    assert_eq!(reply.headers().get("mcp-session-id"), None);
    assert_eq!(reply.result().await.unwrap()["content"][0]["text"], "modern");

    let gate = upstream.gate("cancelled");
    gate.release(1);
    let mut events = modern(&client, "stream", json!({ "token": "cancelled", "events": 2 })).await.events();
    assert_eq!(next(&mut events).await, Ok(1));
    assert_eq!(gate.under_way(), 1);
    drop(events);
    eventually("the upstream's answer is abandoned", Duration::from_secs(5), async || {
        (gate.under_way() == 0).then_some(())
    })
    .await;
    assert_eq!(gate.sent(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_streams_share_one_http2_connection() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let client = Client::over_http2(fleet.url(0)).open_session().await.unwrap();
    let mut streams = Vec::new();
    for number in 0..50 {
        let token = format!("h2-{number}");
        upstream.gate(&token).release(1);
        streams.push(client.start("stream", json!({ "token": token, "events": 2 })).await.unwrap().events());
    }
    for events in &mut streams {
        assert_eq!(next(events).await, Ok(1));
    }
    for (number, mut events) in streams.into_iter().enumerate() {
        upstream.gate(&format!("h2-{number}")).release(1);
        assert_eq!(next(&mut events).await, Ok(2));
        assert_eq!(next(&mut events).await, Err("done".to_owned()));
    }
}
