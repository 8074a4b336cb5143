//! SIGTERM: nobody is refused and nothing is cut while there is time.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use shadowcat_tests::{Client, Signal, Upstream, eventually, fleet, within};

/// How often a load balancer asks, and so how long it may go on sending after the announcement.
const POLL: Duration = Duration::from_millis(250);

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_data_plane_refuses_no_connection_that_a_load_balancer_still_sends_and_cuts_no_call() {
    let upstream = Upstream::start().await;
    let mut fleet = fleet().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let (held, streamed) = (upstream.gate("held"), upstream.gate("streamed"));
    let held_call = tokio::spawn({
        let client = client.clone();
        async move { client.call_text("hold", json!({ "token": "held" })).await }
    });
    streamed.release(1);
    let mut events = client.start("stream", json!({ "token": "streamed", "events": 2 })).await.unwrap().events();
    events.next_message().await.unwrap();
    eventually("both calls are under way", SOON, async || (held.under_way() + streamed.under_way() == 2).then_some(()))
        .await;

    fleet.plane_mut(0).program().signal(Signal::TERM);
    let plane = fleet.plane(0);
    // The load balancer: sends on new connections until the readiness that it polls says no.
    let mut poll = tokio::time::interval(POLL);
    while plane.health("/health/ready").await.expect("operations answer").0 == StatusCode::OK {
        Client::connect(fleet.url(0)).await.call("echo", json!({})).await.expect("no connection is refused");
        poll.tick().await;
    }
    for _ in 0..4 {
        Client::connect(fleet.url(0)).await.call("echo", json!({})).await.expect("nor in the moment after");
        poll.tick().await;
    }
    // The door closes, and what is under way goes on.
    eventually("the door closes", SOON, async || Client::to(fleet.url(0)).open_session().await.is_err().then_some(()))
        .await;
    assert_eq!(held.under_way() + streamed.under_way(), 2);
    let metrics = plane.metrics().await;
    assert!(metrics.sum("shadowcat_requests_total", &[]).is_some(), "a drain can be watched to its end");
    held.release(1);
    streamed.release(1);
    assert_eq!(held_call.await.unwrap().unwrap(), "held");
    assert_eq!(events.result().await.unwrap()["content"][0]["text"], "done");
    let status = fleet.plane_mut(0).program().end(SOON).await;
    assert!(status.success(), "{status}: a drain that cut nothing ends with success");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standing_streams_are_told_to_reconnect() {
    let upstream = Upstream::start().await;
    let mut fleet = fleet().data_planes(2).redis().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let mut events = client.listen().await.unwrap().events();
    eventually("the stream stands", SOON, async || (upstream.listeners() == 1).then_some(())).await;

    fleet.plane_mut(0).program().signal(Signal::TERM);
    let told = within("the client is told", SOON, events.next()).await.unwrap().unwrap();
    assert!(told.retry.is_some_and(|after| after <= 5_000), "{told:?}");
    assert_eq!(within("the stream ends", SOON, events.next()).await.unwrap(), None);
    // And it does, at the replica that stays.
    let mut events = client.at(fleet.url(1)).listen().await.unwrap().events();
    eventually("the upstream has its listener again", SOON, async || (upstream.listeners() == 1).then_some(())).await;
    let said = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
    upstream.say(&said).await;
    assert_eq!(within("what is said", SOON, events.next_message()).await.unwrap().unwrap().json(), said);
    assert!(fleet.plane_mut(0).program().end(SOON).await.success());
}
