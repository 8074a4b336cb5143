//! The way of a configuration: from an operator's file into every node, and what happens when something on that way is gone.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Value, json};
use shadowcat_tests::{Client, Load, Managed, Signal, Upstream, eventually, managed, number, one_route};

/// Calls per second while something happens.
const RATE: u32 = 200;

const SOON: Duration = Duration::from_secs(10);

/// `one_route` with a second one at `/second`.
fn two_routes(url: &str) -> Value {
    let mut configuration = one_route(url);
    let mut route = configuration["routes"][0].clone();
    route["name"] = json!("second");
    route["match"]["path"] = json!("/second");
    configuration["routes"].as_array_mut().unwrap().push(route);
    configuration
}

async fn serves(fleet: &Managed, plane: usize, path: &str) -> bool {
    Client::to(fleet.plane(plane).url(path)).open_session().await.is_ok()
}

/// A load over a session at each of two data planes.
async fn load(fleet: &Managed) -> Load {
    let clients = vec![fleet.client(0).await, fleet.client(1).await];
    Load::new(RATE, vec![fleet.url(0), fleet.url(1)], clients)
}

async fn assert_nothing_failed(load: Load, upstream: &Upstream) {
    for (call, answer) in load.outcomes().await {
        assert_eq!(answer.unwrap_or_else(|failure| panic!("{call:?}: {failure}")), call.token);
    }
    assert_eq!(upstream.repeated(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_reaches_every_node_under_load_and_a_wrong_one_changes_nothing() {
    let upstream = Upstream::start().await;
    let fleet = managed().postgres().redis().data_planes(2).upstream(&upstream).start().await;
    let control = fleet.control();
    let mut load = load(&fleet).await;

    let two = fleet.file(&two_routes(&upstream.url()));
    let applied = load.run_during(&[0, 1], control.ctl(&["apply", "-f", &two, "-m", "a second route"])).await;
    let said = applied.ok();
    assert!(said.contains("2/2"), "{said}");
    assert!(serves(&fleet, 0, "/second").await && serves(&fleet, 1, "/second").await);

    let mut wrong = two_routes(&upstream.url());
    wrong["routes"][1]["targets"][0]["upstream"] = json!("orgin");
    wrong["routes"][0]["match"]["path"] = json!("mcp");
    let wrong = load.run_during(&[0, 1], control.ctl(&["apply", "-f", &fleet.file(&wrong)])).await;
    assert_eq!(wrong.code, 3, "{wrong:?}");
    for told in
        ["routes[1].targets[0].upstream: no upstream named \"orgin\"", "routes[0].match.path: \"mcp\" is not a path"]
    {
        let line = wrong.err.lines().find(|line| line.contains(told)).unwrap_or_else(|| panic!("{wrong:?}"));
        let place: Vec<_> = line.split(told).next().unwrap().trim_end_matches([' ', ':']).rsplit(':').take(2).collect();
        assert!(place.iter().all(|part| part.parse::<u32>().is_ok()), "no line and column: {line}");
    }
    assert!(serves(&fleet, 0, "/second").await && serves(&fleet, 1, "/second").await);

    load.run_during(&[0, 1], control.ctl(&["rollback", "1"])).await.ok();
    assert!(!serves(&fleet, 0, "/second").await && !serves(&fleet, 1, "/second").await);
    let history = control.ctl(&["history", "-o", "json"]).await.json();
    let numbers: Vec<_> =
        history["versions"].as_array().unwrap().iter().map(|row| number(&row["ref"]["number"])).collect();
    assert_eq!(numbers, [3, 2, 1]);
    assert_nothing_failed(load, &upstream).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_waits_for_the_control_plane() {
    /// How long it is gone.
    const GONE: Duration = Duration::from_secs(30);
    const READY: Duration = Duration::from_secs(1);
    let upstream = Upstream::start().await;
    let mut fleet = managed().redis().data_planes(2).upstream(&upstream).start().await;
    let seed = fleet.dir().join("fleet.seed");
    let seed = seed.to_str().unwrap().to_owned();
    fleet.control().ctl(&["show", "1", "--seed", &seed]).await.ok();
    let token = fleet.join_token().await;
    let mut load = load(&fleet).await;

    fleet.control_mut(0).program().kill();
    let gone = Instant::now();
    load.run(RATE, &[0, 1]).await;
    // One comes back from its disk, one starts from a seed, one has nothing. What is under way on the first ends before it dies: its
    // load balancer has noticed.
    load.run(RATE, &[1]).await;
    fleet.plane_mut(0).program().kill();
    fleet.plane_mut(0).start_again();
    let began = Instant::now();
    load.run_during(&[1], fleet.plane_mut(0).ready()).await;
    assert!(began.elapsed() < READY + SLACK, "{:?}", began.elapsed());
    let seeded = fleet.add_data_plane_with(&token, &["--seed", &seed]);
    let began = Instant::now();
    load.run_during(&[0, 1], fleet.plane_mut(seeded).ready()).await;
    assert!(began.elapsed() < READY + SLACK, "{:?}", began.elapsed());
    let bare = fleet.add_data_plane_with(&token, &[]);
    let refused = eventually("the bare one answers", SOON, async || {
        Client::to(fleet.url(bare)).open_session().await.err().filter(|failure| failure.status.is_some())
    });
    let refused = load.run_during(&[0, 1], refused).await;
    assert_eq!(refused.status_and_code(), (503, -31010), "{refused}");
    assert_eq!(fleet.plane(bare).health("/health/ready").await.unwrap().0, StatusCode::SERVICE_UNAVAILABLE);
    load.run_during(&[0, 1], tokio::time::sleep(GONE.saturating_sub(gone.elapsed()))).await;

    fleet.control_mut(0).start_again();
    load.run_during(&[0, 1], fleet.control_mut(0).ready()).await;
    let back = Instant::now();
    load.run_during(&[0, 1], fleet.plane_mut(bare).ready()).await;
    assert!(back.elapsed() < Duration::from_secs(3) + SLACK, "{:?}", back.elapsed());
    fleet.client(seeded).await.call("echo", json!({ "token": "from a seed" })).await.unwrap();
    assert_nothing_failed(load, &upstream).await;
}

/// What the looks of a test and a machine busy with others add to a promised bound.
const SLACK: Duration = Duration::from_secs(2);

/// Whoever falls silent without closing anything is noticed within this, at either end of a line.
const NOTICED: Duration = Duration::from_secs(15);

/// From its first sign of life until every node runs the newest version.
const CURRENT: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_that_falls_silent_is_noticed_and_no_call_or_start_waits_for_it() {
    const CONNECTED: &str = "shadowcat_control_plane_connected";
    /// A dial is given up after five seconds.
    const GIVEN_UP: Duration = Duration::from_secs(5);
    const READY: Duration = Duration::from_secs(1);
    let upstream = Upstream::start().await;
    let mut fleet = managed().redis().data_planes(2).upstream(&upstream).start().await;
    for plane in [0, 1] {
        fleet.plane(plane).metric_is(CONNECTED, 1.0, SOON).await;
    }
    let mut load = load(&fleet).await;

    // Its sockets stay open, and its kernel goes on accepting: nothing says that nobody is there.
    fleet.control().process().signal(Signal::STOP);
    let silent = Instant::now();
    for plane in [0, 1] {
        let left = (NOTICED + SLACK).saturating_sub(silent.elapsed());
        load.run_during(&[0, 1], fleet.plane(plane).metric_is(CONNECTED, 0.0, left)).await;
    }

    load.run(RATE, &[1]).await;
    fleet.plane_mut(0).program().kill();
    let said = fleet.plane(0).log().len();
    fleet.plane_mut(0).start_again();
    let began = Instant::now();
    load.run_during(&[1], fleet.plane_mut(0).ready()).await;
    assert!(began.elapsed() < READY + SLACK, "{:?}", began.elapsed());
    let given_up = async || fleet.plane(0).log()[said..].contains("did not answer").then_some(());
    load.run_during(&[0, 1], eventually("its dial hung", GIVEN_UP + SLACK, given_up)).await;
    assert_eq!(fleet.plane(0).metrics().await.sum("shadowcat_config_version", &[]), Some(1.0));

    fleet.control().process().signal(Signal::CONT);
    let back = Instant::now();
    let version = load.run_during(&[0, 1], fleet.apply(&two_routes(&upstream.url()))).await;
    load.run_during(&[0, 1], fleet.runs(version)).await;
    assert!(back.elapsed() < CURRENT + SLACK, "{:?}", back.elapsed());
    assert!(serves(&fleet, 0, "/second").await && serves(&fleet, 1, "/second").await);
    assert_nothing_failed(load, &upstream).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_falls_silent_is_seen_to_be_away_and_gets_what_it_missed() {
    let upstream = Upstream::start().await;
    let fleet = managed().data_planes(2).upstream(&upstream).start().await;
    let state = async || {
        let nodes = fleet.control().ctl(&["nodes", "list", "-o", "json"]).await.json();
        let rows = nodes["nodes"].as_array().unwrap();
        rows.iter().find(|node| node["name"] == "plane-0").unwrap()["state"].as_str().unwrap().to_owned()
    };
    eventually("it is connected", SOON, async || (state().await == "CONNECTED").then_some(())).await;

    fleet.plane(0).process().signal(Signal::STOP);
    eventually("it is away", NOTICED + SLACK, async || (state().await == "AWAY").then_some(())).await;
    // Who is away is not waited for.
    let applied = fleet.control().ctl(&["apply", "-f", &fleet.file(&two_routes(&upstream.url()))]).await.ok();
    assert!(applied.contains("1/1"), "{applied}");

    fleet.plane(0).process().signal(Signal::CONT);
    let back = Instant::now();
    fleet.runs(2).await;
    assert!(back.elapsed() < CURRENT + SLACK, "{:?}", back.elapsed());
    assert!(serves(&fleet, 0, "/second").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_control_planes_on_one_postgres_see_each_other_s_versions() {
    let upstream = Upstream::start().await;
    let mut fleet = managed().postgres().control_planes(2).upstream(&upstream).start().await;
    let elsewhere = fleet.control_mut(1).url();
    let token = fleet.control().token();
    let file = fleet.file(&two_routes(&upstream.url()));
    let began = Instant::now();
    fleet.control().ctl_at(&elsewhere, &token, &["apply", "-f", &file, "--no-wait"]).await.ok();
    fleet.runs(2).await;
    assert!(began.elapsed() < Duration::from_secs(2) + SLACK, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_away_changes_nothing_for_the_nodes_and_a_change_is_refused_in_time() {
    let upstream = Upstream::start().await;
    let mut fleet = managed().postgres().data_planes(2).redis().upstream(&upstream).start().await;
    let mut load = load(&fleet).await;
    fleet.postgres_mut().stop();
    let file = fleet.file(&two_routes(&upstream.url()));
    let began = Instant::now();
    let refused = load.run_during(&[0, 1], fleet.control().ctl(&["apply", "-f", &file])).await;
    assert!(refused.code != 0 && refused.err.contains("database"), "{refused:?}");
    assert!(began.elapsed() < Duration::from_secs(2) + SLACK, "{:?}", began.elapsed());
    assert_eq!(fleet.plane(0).metrics().await.sum("shadowcat_control_plane_connected", &[]), Some(1.0));
    load.run_during(&[0, 1], Box::pin(fleet.postgres_mut().start_again())).await;
    let again = async || (fleet.control().ctl(&["apply", "-f", &file]).await.code == 0).then_some(());
    load.run_during(&[0, 1], eventually("changes are taken again", SOON, again)).await;
    fleet.runs(2).await;
    assert_nothing_failed(load, &upstream).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_and_sessions_are_seen_and_ended_from_the_command_line() {
    let upstream = Upstream::start().await;
    let mut fleet = managed().data_planes(2).upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let nodes = fleet.control().ctl(&["nodes", "list", "-o", "json"]).await.json();
    let names: Vec<_> = nodes["nodes"].as_array().unwrap().iter().map(|node| node["name"].clone()).collect();
    assert_eq!(names, ["plane-0", "plane-1"]);

    let id = client.session().unwrap().to_owned();
    let sessions = fleet.control().ctl(&["sessions", "list", "-o", "json"]).await.json();
    assert_eq!(sessions["sessions"][0]["session"]["id"], id);
    fleet.control().ctl(&["sessions", "kill", &id]).await.ok();
    let refused = client.call("echo", json!({})).await.unwrap_err();
    assert_eq!(refused.status, Some(StatusCode::NOT_FOUND), "{refused}");

    fleet.control().ctl(&["nodes", "drain", "plane-1"]).await.ok();
    assert!(fleet.plane_mut(1).program().end(Duration::from_secs(40)).await.success());
    // A node that was removed is sent away at once, and stays away.
    fleet.control().ctl(&["nodes", "remove", "plane-0"]).await.ok();
    fleet.plane(0).metric_is("shadowcat_control_plane_connected", 0.0, Duration::from_secs(1) + SLACK).await;
    let served = fleet.client(0).await.call_text("echo", json!({ "token": "on its last version" })).await;
    assert_eq!(served.unwrap(), "on its last version");
}
