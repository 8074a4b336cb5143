//! An upstream that is called no more, because the configuration changed or the gateway stops, leaves nothing behind.

use std::time::Duration;

use serde_json::json;
use shadowcat_tests::{Client, Fleet, Signal, Upstream, eventually, fleet, within};

const SOON: Duration = Duration::from_secs(10);

/// Another upstream in the same place, as far as the gateway can tell: its settings are not those of the old one.
fn replace_upstream(fleet: &Fleet) {
    let mut configuration = fleet.configuration().clone();
    configuration["upstreams"][0]["http"]["headers"] = json!([{ "name": "x-since", "value": "today" }]);
    fleet.write(&configuration.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standing_streams_move_on_to_the_upstream_of_a_new_configuration() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let mut events = client.listen().await.unwrap().events();
    eventually("the stream stands", SOON, async || (upstream.listeners() == 1).then_some(())).await;

    replace_upstream(&fleet);
    let told = within("the client is told", SOON, events.next()).await.unwrap().unwrap();
    assert!(told.retry.is_some_and(|after| after <= 5_000), "{told:?}");
    assert_eq!(within("the stream ends", SOON, events.next()).await.unwrap(), None);
    let mut events = client.listen().await.unwrap().events();
    eventually("it stands again", SOON, async || (upstream.listeners() == 1).then_some(())).await;
    let said = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
    upstream.say(&said).await;
    assert_eq!(within("what is said", SOON, events.next_message()).await.unwrap().unwrap().json(), said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_the_gateway_keeps_for_itself_end_with_their_upstream() {
    let upstream = Upstream::start().await;
    let optional = json!({ "sessions": { "mode": "OPTIONAL" } });
    let mut fleet = fleet().upstream(&upstream).route_settings(optional).start().await;
    let client = Client::to(fleet.url(0));
    let session = |token: &str| upstream.seen(token)[0].headers["mcp-session-id"].clone();

    client.call("echo", json!({ "token": "before" })).await.unwrap();
    replace_upstream(&fleet);
    eventually("the old one's is ended", SOON, async || (upstream.sessions() == 0).then_some(())).await;
    client.call("echo", json!({ "token": "after" })).await.unwrap();
    assert_ne!(session("before"), session("after"));
    assert_eq!(upstream.seen("after")[0].headers["x-since"], "today");

    fleet.plane_mut(0).program().signal(Signal::TERM);
    assert!(fleet.plane_mut(0).program().end(SOON).await.success());
    assert_eq!(upstream.sessions(), 0);
}
