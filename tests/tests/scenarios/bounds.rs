//! Queues, maps and pools driven to their bounds from outside. Bounds that cannot be reached from outside in seconds (ten
//! thousand connections, a full inbox of one child) are driven in the unit tests beside them.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use shadowcat_tests::{Client, Upstream, eventually, fleet, within};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_queue_is_bounded() {
    connections_to_an_upstream().await;
    sessions_of_a_route().await;
    children_of_an_upstream().await;
    tools_in_metrics().await;
}

/// Calls that find every connection taken wait for a bounded time and are then refused, and counted.
async fn connections_to_an_upstream() {
    let upstream = Upstream::start_without_sessions().await;
    let fleet = fleet().upstream(&upstream).upstream_settings(json!({ "connections": { "max": 2 } })).start().await;
    let client = fleet.client(0).await;
    let gate = upstream.gate("held");
    let held: Vec<_> = (0..2)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.call("hold", json!({ "token": "held" })).await })
        })
        .collect();
    eventually("both connections are taken", SOON, async || (gate.under_way() == 2).then_some(())).await;
    let refused = (0..8).map(|_| client.call("echo", json!({ "token": "one too many" })));
    for failure in within("the queue is bounded in time", SOON, join_all(refused)).await {
        let failure = failure.unwrap_err();
        assert_eq!(failure.status_and_code(), (503, -31004), "{failure}");
        assert_eq!(failure.data["stage"], "queue", "{failure}");
    }
    assert_eq!(upstream.calls("one too many"), 0);
    fleet.plane(0).metric_is("shadowcat_upstream_overloaded_total", 8.0, SOON).await;
    gate.release(2);
    for call in held {
        call.await.unwrap().unwrap();
    }
    client.call("echo", json!({ "token": "room again" })).await.unwrap();
}

/// Beyond its maximum a route opens no session, says so, and opens one again when one has ended.
async fn sessions_of_a_route() {
    let upstream = Upstream::start().await;
    let fleet = fleet()
        .redis()
        .data_planes(2)
        .upstream(&upstream)
        .route_settings(json!({ "sessions": { "max": 3 } }))
        .start()
        .await;
    let mut open = Vec::new();
    for number in 0..3 {
        open.push(fleet.client(number % 2).await);
    }
    let failure = Client::to(fleet.url(1)).open_session().await.unwrap_err();
    assert_eq!(failure.status_and_code(), (503, -31004), "{failure}");
    assert!(failure.message.contains("maximum of 3 sessions"), "{failure}");
    eventually("the upstream's half of the refused session is ended", SOON, async || {
        (upstream.sessions() == 3).then_some(())
    })
    .await;
    open[0].end_session().await.unwrap();
    fleet.client(1).await;
}

/// Every session of a stdio upstream has a child, and there is a maximum of sessions: what is refused starts none.
async fn children_of_an_upstream() {
    let server = shadowcat_tests::binary("scripted-stdio-server");
    let fleet =
        fleet().stdio(&[server.to_str().unwrap()]).route_settings(json!({ "sessions": { "max": 2 } })).start().await;
    let _open = (fleet.client(0).await, fleet.client(0).await);
    let failure = Client::to(fleet.url(0)).open_session().await.unwrap_err();
    assert_eq!(failure.status_and_code(), (503, -31004), "{failure}");
    fleet.plane(0).metric_is("shadowcat_upstream_children", 2.0, SOON).await;
}

/// Tools beyond those kept apart in metrics are counted together.
async fn tools_in_metrics() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let before = fleet.plane(0).health("/metrics").await.unwrap().1.lines().count();
    for number in 0..400 {
        // The server does not know them, so none becomes a series.
        client.call(&format!("tool-{number}"), json!({})).await.unwrap_err();
    }
    let after = fleet.plane(0).health("/metrics").await.unwrap().1.lines().count();
    assert!(after < before + 100, "{} new lines of metrics for names that a client made up", after - before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_lies_unused_ends() {
    let upstream = Upstream::start().await;
    let fleet =
        fleet().upstream(&upstream).route_settings(json!({ "sessions": { "idle_timeout": "1s" } })).start().await;
    let client = fleet.client(0).await;
    let used = fleet.client(0).await;
    let mut number = 0;
    let failure = eventually("the unused session ends", SOON, async || {
        // The other one is used all the while.
        number += 1;
        used.call("echo", json!({ "token": number.to_string() })).await.expect("a session in use stays");
        if number % 10 == 0 && number > 60 { client.call("echo", json!({})).await.err() } else { None }
    })
    .await;
    assert_eq!(failure.status_and_code(), (404, -32600), "{failure}");
}
