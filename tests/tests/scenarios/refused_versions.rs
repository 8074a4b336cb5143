//! A version that its control plane has let through and a node cannot use: the control plane is older, or newer, than the node.

use std::time::Duration;

use serde_json::json;
use shadowcat_tests::{Signal, Upstream, eventually, managed, number, one_route};

/// A node that lost its control plane is back within this.
const BACK: Duration = Duration::from_secs(20);

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_a_node_cannot_use_is_refused_once_and_named_and_a_good_one_follows() {
    let upstream = Upstream::start().await;
    let mut fleet = managed().data_planes(2).upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let mut wrong = one_route(&upstream.url());
    wrong["routes"][0]["targets"][0]["upstream"] = json!("of-the-future");

    fleet.control_mut(0).program().kill();
    fleet.control().sqlite().commit_unchecked(&wrong).await;
    fleet.control_mut(0).restart().await;
    for name in ["plane-0", "plane-1"] {
        let what = format!("the status names {name} and its reason");
        eventually(&what, BACK, async || {
            let said = fleet.control().ctl(&["status"]).await.ok();
            let line = said.lines().find(|line| line.contains("rejected by") && line.contains(name))?;
            (line.contains("routes[0].targets[0].upstream") && line.contains("of-the-future")).then_some(())
        })
        .await;
    }
    let nodes = fleet.control().ctl(&["nodes", "list", "-o", "json"]).await.json();
    for node in nodes["nodes"].as_array().unwrap() {
        assert_eq!(number(&node["version"]["number"]), 1, "{node}");
        assert_eq!(number(&node["refusal"]["ref"]["number"]), 2, "{node}");
    }
    assert_eq!(client.call_text("echo", json!({ "token": "kept" })).await.unwrap(), "kept");

    // Not sent again, neither to a node that comes back nor to one that has forgotten everything but its disk.
    fleet.control_mut(0).program().signal(Signal::TERM);
    assert!(fleet.control_mut(0).program().end(SOON).await.success());
    fleet.control_mut(0).restart().await;
    fleet.plane_mut(1).start_again();
    fleet.plane_mut(1).ready().await;
    for plane in [0, 1] {
        fleet.plane(plane).metric_is("shadowcat_control_plane_connected", 1.0, BACK).await;
    }
    let good = fleet.apply(&one_route(&upstream.url())).await;
    assert_eq!(good, 3);
    fleet.runs(3).await;
    for plane in [0, 1] {
        let refusals = fleet.plane(plane).log().matches("a version is refused").count();
        assert_eq!(refusals, 1, "plane-{plane} was sent it once");
    }
    eventually("nothing is refused any more", SOON, async || {
        let said = fleet.control().ctl(&["status"]).await.ok();
        (!said.contains("rejected by")).then_some(())
    })
    .await;
    assert_eq!(client.call_text("echo", json!({ "token": "after" })).await.unwrap(), "after");
}
