//! Calls without a session, on a route that allows them.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use shadowcat_tests::{Client, Fleet, Upstream, eventually, fleet};

const PATIENCE: Duration = Duration::from_secs(5);

async fn optional(upstream: &Upstream) -> Fleet {
    fleet().upstream(upstream).route_settings(json!({ "sessions": { "mode": "OPTIONAL" } })).start().await
}

fn session_of(upstream: &Upstream, token: &str) -> String {
    upstream.seen(token)[0].headers["mcp-session-id"].to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_left_in_the_middle_takes_its_upstream_session_with_it() {
    let upstream = Upstream::start().await;
    let fleet = optional(&upstream).await;
    let client = Client::to(fleet.url(0));
    client.call("echo", json!({ "token": "first" })).await.unwrap();
    client.call("echo", json!({ "token": "second" })).await.unwrap();
    assert_eq!(session_of(&upstream, "first"), session_of(&upstream, "second"), "a finished call gives it back");

    let _held = upstream.gate("left");
    let leaving = client.clone();
    let call = tokio::spawn(async move { leaving.call("hold", json!({ "token": "left" })).await });
    eventually("the call arrives", PATIENCE, async || (upstream.calls("left") == 1).then_some(())).await;
    let before = upstream.sessions();
    call.abort();
    eventually("its session is ended", PATIENCE, async || (upstream.sessions() < before).then_some(())).await;
    client.call("echo", json!({ "token": "next" })).await.unwrap();
    assert_ne!(session_of(&upstream, "left"), session_of(&upstream, "next"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_to_a_server_without_sessions_do_not_wait_for_each_other() {
    const AT_ONCE: usize = 64;
    let upstream = Upstream::start_without_sessions().await;
    let fleet = optional(&upstream).await;
    let client = Client::to(fleet.url(0));
    client.call("echo", json!({ "token": "first" })).await.unwrap();
    let calls = (0..AT_ONCE).map(|number| {
        let client = client.clone();
        tokio::spawn(async move { client.call("hold", json!({ "token": format!("call-{number}") })).await })
    });
    let calls: Vec<_> = calls.collect();
    let all_there = async || (0..AT_ONCE).all(|number| upstream.calls(&format!("call-{number}")) == 1).then_some(());
    eventually("all are under way at once", PATIENCE, all_there).await;
    (0..AT_ONCE).for_each(|number| upstream.gate(&format!("call-{number}")).release(1));
    for call in join_all(calls).await {
        call.unwrap().unwrap();
    }
}
