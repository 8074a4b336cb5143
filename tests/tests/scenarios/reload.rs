//! A configuration file that changes, and one that is wrong.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shadowcat_tests::{Client, Fleet, Program, Upstream, binary, eventually, fleet};

/// A change of the file is at work within this.
const AT_WORK: Duration = Duration::from_secs(1);

const SOON: Duration = Duration::from_secs(10);

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

    // The quickest of a few: a machine busy with other tests adds its own delays to some.
    let mut quickest = SOON;
    for round in 0..3 {
        fleet.write(&with_second_route(&fleet).to_string());
        let written = Instant::now();
        eventually("the new route is served", SOON, async || opens(&fleet, "/second").await.then_some(())).await;
        quickest = quickest.min(written.elapsed());
        client.call("echo", json!({ "token": format!("two routes, {round}") })).await.unwrap();
        fleet.write(&fleet.configuration().to_string());
        eventually("it is gone again", SOON, async || (!opens(&fleet, "/second").await).then_some(())).await;
        client.call("echo", json!({ "token": format!("one route, {round}") })).await.unwrap();
    }
    assert!(quickest < AT_WORK, "{quickest:?}");
    assert_eq!(upstream.repeated(), Vec::<String>::new());
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
