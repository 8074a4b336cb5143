//! What calls notice of a configuration that is large and changes all the time: nothing. That no reader waits even for a moment is
//! counted beside the code, where nothing else makes it wait (`gateway/tests.rs` in the data plane).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use shadowcat_tests::{Client, Load, Managed, Metrics, Upstream, eventually, managed};

const UPSTREAMS: usize = 1000;

/// Routes to each: compiled, they take long against what a busy machine makes a call wait.
const ROUTES_PER_UPSTREAM: usize = 6;

/// How often every one of them changes.
const SWAPS: usize = 12;

/// From one swap to the next.
const EVERY: Duration = Duration::from_secs(5);

/// Calls per second meanwhile.
const RATE: u32 = 200;

/// What a version that was replaced may take to be gone.
const SOON: Duration = Duration::from_secs(10);

/// A route to the first of many upstreams; `version` is in all of them, so that nothing can be carried over.
fn large(url: &str, version: usize) -> Value {
    let upstreams: Vec<_> = (0..UPSTREAMS)
        .map(|number| {
            let mark = json!({ "name": "x-configuration", "value": version.to_string() });
            json!({ "name": format!("upstream-{number}"), "http": { "endpoints": [{ "url": url }], "headers": [mark] } })
        })
        .collect();
    let route = |number: usize| {
        let target = json!({ "upstream": format!("upstream-{}", number % UPSTREAMS) });
        let path = if number == 0 { "/mcp".to_owned() } else { format!("/{number}") };
        json!({ "name": format!("route-{number}"), "match": { "path": path }, "targets": [target], "sessions": { "mode": "OPTIONAL" } })
    };
    json!({ "routes": (0..UPSTREAMS * ROUTES_PER_UPSTREAM).map(route).collect::<Vec<_>>(), "upstreams": upstreams })
}

/// Seconds that versions took to prepare, and how many did.
fn prepared(metrics: &Metrics) -> (f64, f64) {
    let sum = |end: &str| metrics.sum(&format!("shadowcat_config_prepare_duration_seconds_{end}"), &[]).unwrap_or(0.0);
    (sum("sum"), sum("count"))
}

/// Applies a version every so often and waits until the node has it; the most versions that were alive at once.
async fn swap(fleet: &Managed, url: &str, live: &AtomicU64) {
    let mut admin = fleet.control().admin();
    let mut ticks = tokio::time::interval(EVERY);
    for version in 2..2 + SWAPS {
        ticks.tick().await;
        let committed = admin.apply(&large(url, version)).await.unwrap();
        eventually("the node has it", SOON, async || {
            let metrics = fleet.plane(0).metrics().await;
            live.fetch_max(metrics.sum("shadowcat_config_versions_live", &[])? as u64, Ordering::Relaxed);
            (metrics.sum("shadowcat_config_version", &[])? == committed.number as f64).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_lock_is_held_while_a_configuration_is_compiled() {
    let upstream = Upstream::start().await;
    let mut fleet = managed().start().await;
    fleet.control().admin().apply(&large(&upstream.url(), 1)).await.unwrap();
    fleet.plane_mut(0).ready().await;
    let mut load = Load::new(RATE, vec![fleet.url(0)], vec![Client::to(fleet.url(0))]);
    load.run(RATE, &[0]).await;

    let (before, versions) = prepared(&fleet.plane(0).metrics().await);
    let live = AtomicU64::new(0);
    load.run_during(&[0], swap(&fleet, &upstream.url(), &live)).await;
    let (after, all) = prepared(&fleet.plane(0).metrics().await);
    assert_eq!(all - versions, SWAPS as f64);
    let compile = (after - before) / SWAPS as f64;
    let live = live.into_inner();
    assert!(live <= 3, "{live} versions were alive at once");
    fleet.plane(0).metric_is("shadowcat_config_versions_live", 1.0, SOON).await;

    let mut slow = 0;
    let mut slowest = Duration::ZERO;
    for (call, answer) in load.outcomes().await {
        assert_eq!(answer.unwrap_or_else(|failure| panic!("{call:?}: {failure}")), call.token);
        slow += usize::from(call.took.as_secs_f64() > compile / 2.0);
        slowest = slowest.max(call.took);
    }
    assert_eq!(upstream.repeated(), Vec::<String>::new());
    // Behind a lock, every call that came in the first half of a compilation would wait for more than the other half. On an idle machine
    // no call does; one that is busy with other tests makes some wait for a processor.
    let behind_a_lock = f64::from(RATE) * compile / 2.0 * SWAPS as f64;
    eprintln!(
        "{slow} calls took longer than half of {compile:.3} s, and {behind_a_lock:.0} would behind a lock; the slowest {slowest:?}"
    );
    assert!(
        (slow as f64) < behind_a_lock * 0.75,
        "{slow} calls waited for a compilation of {compile:.3} s; {slowest:?}"
    );
}
