//! A configuration file that changes, and one that is wrong.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shadowcat_tests::{Client, Fleet, Program, Upstream, binary, eventually, fleet};

/// A change of the file is at work within this.
const AT_WORK: Duration = Duration::from_secs(1);

/// What a machine busy with other tests may add to some changes, though not to most.
const BUSY: Duration = Duration::from_secs(3);

/// How often a route comes and goes.
const ROUNDS: u32 = 4;

const SOON: Duration = Duration::from_secs(10);

/// Quicker than a file is taken to be at rest.
const NEIGHBOUR_WRITES_EVERY: Duration = Duration::from_millis(20);

fn with_second_route(fleet: &Fleet) -> Value {
    let mut configuration = fleet.configuration().clone();
    let mut route = configuration["routes"][0].clone();
    route["name"] = json!("second");
    route["match"]["path"] = json!("/second");
    configuration["routes"].as_array_mut().unwrap().push(route);
    configuration
}

async fn opens(fleet: &Fleet, path: &str) -> bool {
    Client::to(fleet.plane(0).url(path)).open_session().await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_is_at_work_within_a_second_and_sessions_stay() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    assert!(!opens(&fleet, "/second").await);

    let mut took = Vec::new();
    for round in 0..ROUNDS {
        fleet.write(&with_second_route(&fleet).to_string());
        took.push(at_work_after("the new route is served", async || opens(&fleet, "/second").await).await);
        client.call("echo", json!({ "token": format!("two routes, {round}") })).await.unwrap();
        fleet.write(&fleet.configuration().to_string());
        took.push(at_work_after("it is gone again", async || !opens(&fleet, "/second").await).await);
        client.call("echo", json!({ "token": format!("one route, {round}") })).await.unwrap();
    }
    took.sort();
    assert!(took[took.len() / 2] < AT_WORK, "half of the changes took longer: {took:?}");
    assert!(*took.last().unwrap() < AT_WORK + BUSY, "one was not simply delayed: {took:?}");
    assert_eq!(upstream.repeated(), Vec::<String>::new());
}

async fn at_work_after(what: &str, is_at_work: impl AsyncFn() -> bool) -> Duration {
    let written = Instant::now();
    eventually(what, SOON, async || is_at_work().await.then_some(())).await;
    written.elapsed()
}

/// Five mistakes of meaning, each in its own place.
const WRONG: &str = "routes:
  - name: Not A Label
    match: { path: mcp }
    targets: [{ upstream: nobody }]
    policies: [later]
upstreams:
  - name: origin
    http: { endpoints: [{ url: 'ftp://127.0.0.1/' }] }
";

/// Where each of them is.
const PLACES: &[&str] = &[
    "routes[0].name",
    "routes[0].match.path",
    "routes[0].targets[0].upstream",
    "routes[0].policies",
    "upstreams[0].http.endpoints[0].url",
];

fn assert_names_every_mistake(log: &str) {
    for place in PLACES {
        let line = log
            .lines()
            .find(|line| line.contains(place))
            .unwrap_or_else(|| panic!("nothing is said of {place}:\n{log}"));
        assert!(line.contains("fleet.yaml:"), "without file, line and column: {line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_file_is_refused_with_every_mistake_and_the_running_one_stays() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    fleet.write(WRONG);
    eventually("the mistakes are logged", SOON, async || fleet.plane(0).log().contains(PLACES[4]).then_some(())).await;
    assert_names_every_mistake(&fleet.plane(0).log());
    client.call("echo", json!({ "token": "unimpressed" })).await.unwrap();

    // Half a file, as a slow editor leaves it, and then the right one.
    fleet.write("routes: [{");
    fleet.write(&with_second_route(&fleet).to_string());
    eventually("the right one is served", SOON, async || opens(&fleet, "/second").await.then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_file_keeps_a_program_from_starting_and_names_every_mistake() {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("fleet.yaml");
    std::fs::write(&file, WRONG).unwrap();
    for (name, words) in [("shadowcat-data-plane", vec!["--config"]), ("shadowcat", vec!["reverse", "--config"])] {
        let mut command = std::process::Command::new(binary(name));
        let mut program = Program::start(name, dir.path(), command.args(words).arg(&file));
        let status = program.end(SOON).await;
        assert_eq!(status.code(), Some(2), "{name}: {status}");
        assert_names_every_mistake(&program.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_come_from_the_environment() {
    let upstream = Upstream::start().await;
    let text = "{ \"routes\": [{ \"name\": \"tools\", \"match\": { \"path\": \"${PLACE:-/mcp}\" }, \"targets\": [{ \"upstream\": \"origin\" }] }],
        \"upstreams\": [{ \"name\": \"origin\", \"http\": { \"endpoints\": [{ \"url\": \"${ORIGIN}\" }] } }] }";
    let configuration: Value = serde_json::from_str(text).unwrap();
    let fleet = fleet().configuration(configuration).environment("ORIGIN", &upstream.url()).start().await;
    fleet.client(0).await.call("echo", json!({ "token": "there" })).await.unwrap();
    assert_eq!(upstream.calls("there"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbour_that_never_rests_does_not_keep_a_change_from_being_seen() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let neighbour = fleet.dir().join("neighbour.log");
    let writing = tokio::spawn(async move {
        loop {
            std::fs::write(&neighbour, "a line\n").unwrap();
            tokio::time::sleep(NEIGHBOUR_WRITES_EVERY).await;
        }
    });
    fleet.write(&with_second_route(&fleet).to_string());
    eventually("the new route is served", SOON, async || opens(&fleet, "/second").await.then_some(())).await;
    writing.abort();
}
