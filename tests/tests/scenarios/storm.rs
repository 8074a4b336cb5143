//! More versions than anybody needs.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use shadowcat_tests::{Follower, Upstream, managed, one_route, within};

const NODES: usize = 50;
const VERSIONS: u64 = 1000;

/// Caches and pools have their size after so many versions.
const WARM: u64 = 300;

/// In which they are all committed.
const STORM: Duration = Duration::from_secs(60);

/// After the last commit, on a machine busy with other tests.
const CALM: Duration = Duration::from_secs(10);

/// What the resident memory of a control plane may grow by while it is flat: an allocator keeps pages of its own.
const FLAT: u64 = 4 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_versions_ends_with_every_node_on_the_newest_and_memory_flat() {
    let upstream = Upstream::start().await;
    let fleet = managed().upstream(&upstream).start().await;
    let control = fleet.control();
    let (port, token, mut admin) = (control.ports()[0], fleet.join_token().await, control.admin());
    // A follower demands one version at a time, each newer than the one before.
    let names: Vec<_> = (0..NODES).map(|number| format!("follower-{number}")).collect();
    let mut nodes = join_all(names.iter().map(|name| Follower::join(port, &token, name))).await;

    let began = Instant::now();
    let mut configuration = one_route(&upstream.url());
    let (mut newest, mut warm) = (None, 0);
    for version in 2..=VERSIONS {
        configuration["routes"][0]["sessions"] = json!({ "max": 1000 + version });
        let committed = admin.apply(&configuration).await.unwrap();
        assert_eq!(committed.number, version);
        newest = Some(committed);
        if version == WARM {
            warm = control.process().resident();
        }
    }
    assert!(began.elapsed() < STORM, "{:?}", began.elapsed());
    let newest = newest.unwrap();
    let ends = join_all(nodes.iter_mut().map(|node| node.runs(&newest)));
    within("every node runs the newest version", CALM, ends).await;
    fleet.runs(VERSIONS).await;
    let end = control.process().resident();
    assert!(end < warm + FLAT, "{warm} bytes after {WARM} versions, {end} after {VERSIONS}");
    let plane = fleet.plane(0);
    plane.metric_is("shadowcat_config_versions_live", 1.0, CALM).await;
    let served = fleet.client(0).await.call_text("echo", json!({ "token": "after the storm" })).await;
    assert_eq!(served.unwrap(), "after the storm");
}
