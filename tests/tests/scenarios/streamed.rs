//! The invariants of configurations that come from files hold for versions that come from a control plane.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use shadowcat_tests::{Client, Load, Upstream, eventually, managed, one_route, within};

use crate::invariants::marked;

/// Calls per second while versions come.
const RATE: u32 = 200;

/// Versions of the one and of the other, in turn.
const VERSIONS: usize = 12;

/// A version is in use everywhere within this, on a machine busy with other tests.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_sees_one_configuration_while_versions_stream_in() {
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let mut fleet = managed().data_planes(2).start().await;
    let versions = [(&one, "one"), (&two, "two")];
    fleet.apply(&marked(&one, "one")).await;
    for plane in [0, 1] {
        fleet.plane_mut(plane).ready().await;
    }
    one.gate("long").release(1);
    let client = Client::to(fleet.url(0));
    let mut long = client.start("stream", json!({ "token": "long", "events": 2 })).await.unwrap().events();
    long.next_message().await.unwrap();

    let urls = vec![fleet.url(0), fleet.url(1)];
    let mut load = Load::new(RATE, urls.clone(), urls.into_iter().map(Client::to).collect());
    let storm = async {
        let mut admin = fleet.control().admin();
        for round in 1..=VERSIONS {
            let (upstream, name) = versions[round % 2];
            let version = admin.apply(&marked(upstream, name)).await.unwrap();
            fleet.runs(version.number).await;
        }
    };
    load.run_during(&[0, 1], storm).await;
    for (call, answer) in load.outcomes().await {
        assert_eq!(answer.unwrap_or_else(|failure| panic!("{call:?}: {failure}")), call.token);
        let arrivals: Vec<_> = versions
            .iter()
            .flat_map(|(upstream, name)| upstream.seen(&call.token).into_iter().map(move |seen| (name, seen)))
            .collect();
        let [(at, seen)] = arrivals.as_slice() else { panic!("{call:?} arrived {} times", arrivals.len()) };
        assert_eq!(
            seen.headers["x-configuration"], **at,
            "{call:?} was sent by one version to the upstream of another"
        );
    }
    // The call that began under the first version is served by it to its end.
    one.gate("long").release(1);
    assert_eq!(long.result().await.unwrap()["content"][0]["text"], "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_redis_changes_no_version_and_a_new_one_needs_none() {
    let upstream = Upstream::start().await;
    let mut fleet = managed().redis().data_planes(2).upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    client.call("echo", json!({ "token": "before" })).await.unwrap();
    let keys = fleet.redis_mut().send("KEYS *").await.unwrap();
    for word in ["config", "endpoint", &upstream.url()] {
        assert!(!keys.contains(word), "Redis holds something named {word}: {keys}");
    }
    fleet.redis_mut().send("FLUSHALL").await.unwrap();
    eventually("what plane 1 runs is on its disk", SOON, async || {
        let (_, health) = fleet.plane(1).health("/health").await?;
        health.contains(r#""kept_on_disk":true"#).then_some(())
    })
    .await;
    // Neither a node that goes on nor one that starts with nobody to ask misses anything but the sessions.
    fleet.control_mut(0).program().kill();
    fleet.plane_mut(1).start_again();
    fleet.plane_mut(1).ready().await;
    fleet.runs(1).await;
    for plane in [0, 1] {
        fleet.client(plane).await.call("echo", json!({})).await.unwrap();
    }
    fleet.redis_mut().kill();
    fleet.control_mut(0).restart().await;
    let mut without_sessions = one_route(&upstream.url());
    without_sessions["routes"][0]["sessions"] = json!({ "mode": "OPTIONAL" });
    let version = fleet.control().admin().apply(&without_sessions).await.unwrap();
    within("the version is in use", SOON * 2, fleet.runs(version.number)).await;
    for plane in [0, 1] {
        assert_eq!(fleet.plane(plane).health("/health/live").await.unwrap().0, StatusCode::OK);
        Client::to(fleet.url(plane)).call("echo", json!({ "token": "after" })).await.unwrap();
    }
}
