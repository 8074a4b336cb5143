//! MCP servers that nobody here wrote, behind the gateway.

use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use shadowcat_tests::{Client, Lab, Program, binary, command, eventually, fleet};
use tempfile::TempDir;

/// An interpreter starts, on a machine busy with other tests.
const STARTED: Duration = Duration::from_secs(30);

/// Of the 47 checks of the conformance suite that server-everything passes by itself, in the pinned versions of both; two may depend
/// on the clock.
const CHECKS_PASSED_MIN: u32 = 45;

async fn listening(url: &str) {
    eventually("the server answers", STARTED, async || Client::to(url).send("{}").await.ok()).await;
}

async fn tools(client: &Client) -> Vec<String> {
    let listed = client.request("tools/list", json!({})).await.unwrap().result().await.unwrap();
    listed["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// What server-everything does, over any transport, for a client with a session.
async fn assert_everything_works(client: Client) {
    let tools = tools(&client).await;
    assert!(tools.len() >= 8 && tools.contains(&"echo".to_owned()), "{tools:?}");
    let echoed = client.call_text("echo", json!({ "message": "ü世界😀" })).await.unwrap();
    assert!(echoed.contains("ü世界😀"), "{echoed}");

    let arguments = json!({ "duration": 0.5, "steps": 5 });
    let params =
        json!({ "name": "trigger-long-running-operation", "arguments": arguments, "_meta": { "progressToken": "p" } });
    let mut events = client.request("tools/call", params).await.unwrap().events();
    let mut steps = Vec::new();
    loop {
        let message: Value = events.next_message().await.unwrap().expect("an answer comes").json();
        match message["params"]["progress"].as_u64() {
            Some(step) => steps.push(step),
            None if message.get("result").is_some() => break,
            None => {}
        }
    }
    assert_eq!(steps, [1, 2, 3, 4, 5]);
    client.end_session().await.unwrap();
    assert_eq!(client.call("echo", json!({ "message": "" })).await.unwrap_err().status_and_code().0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_everything_over_stdio() {
    let fleet = fleet().stdio(&Lab::open().everything()).start().await;
    assert_everything_works(fleet.client(0).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_everything_over_http() {
    let dir = TempDir::new().unwrap();
    let (_server, url) = Lab::open().start_everything(dir.path());
    listening(&url).await;
    let fleet = fleet().data_planes(2).redis().http(&url).start().await;
    assert_everything_works(fleet.client(0).await).await;
}

/// `shadowcat up` in front of `upstream`, and where its banner says it is.
async fn up(dir: &Path, upstream: &str) -> (Program, String) {
    let mut command = command(binary("shadowcat"));
    // What it keeps is the test's own, not the user's.
    command.env("SHADOWCAT_DATA_DIR", dir.join("up-data")).env("SHADOWCAT_CONTEXTS", dir.join("contexts.yaml"));
    let mut gateway = Program::start("up", dir, command.args(["up", "--bind", "127.0.0.1:0", "--upstream", upstream]));
    let url = eventually("the banner", STARTED, async || {
        assert_eq!(gateway.ended(), None, "{}", gateway.log());
        let banner = gateway.log();
        let (url, rest) = banner.split_once("Shadowcat listens on ")?.1.split_once(" in front of ")?;
        assert!(rest.starts_with(&format!("{upstream}.\n")), "{banner}");
        Some(url.to_owned())
    });
    let url = url.await;
    (gateway, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_everything_behind_up_by_its_url() {
    let dir = TempDir::new().unwrap();
    let (_server, upstream) = Lab::open().start_everything(dir.path());
    listening(&upstream).await;
    let (_gateway, url) = up(dir.path(), &upstream).await;
    assert_everything_works(Client::connect(url).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_everything_behind_up_by_its_command() {
    let dir = TempDir::new().unwrap();
    // As a person writes it in a shell: a path may hold spaces.
    let words = Lab::open().everything().into_iter().map(|word| format!("'{word}'"));
    let (_gateway, url) = up(dir.path(), &words.collect::<Vec<_>>().join(" ")).await;
    assert_everything_works(Client::connect(url).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_filesystem_server_reads_a_file() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("note.txt"), "kept in a file").unwrap();
    let fleet = fleet().stdio(&Lab::open().filesystem(dir.path())).start().await;
    let client = fleet.client(0).await;
    let text = client.call_text("read_text_file", json!({ "path": dir.path().join("note.txt") })).await.unwrap();
    assert!(text.contains("kept in a file"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_server_asks_and_is_answered() {
    let dir = TempDir::new().unwrap();
    let (_server, url) = Lab::open().start_python_server(dir.path());
    listening(&url).await;
    let fleet = fleet().data_planes(2).redis().http(&url).start().await;
    let client = fleet.client(0).await;
    assert_eq!(client.call_text("echo", json!({ "message": "a" })).await.unwrap(), "a");
    let mut events = client.start("greet", json!({})).await.unwrap().events();
    let question = events.next_message().await.unwrap().unwrap().json();
    assert_eq!(question["method"], "elicitation/create");
    let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "accept", "content": { "name": "Ada" } } });
    let taken = client.at(fleet.url(1)).send(answer.to_string()).await.unwrap();
    assert_eq!(taken.status(), StatusCode::ACCEPTED, "{:?}", taken.text().await);
    assert_eq!(events.result().await.unwrap()["content"][0]["text"], "Hello, Ada!");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_conformance_check_that_passes_directly_passes_through() {
    let (lab, dir) = (Lab::open(), TempDir::new().unwrap());
    let (_server, url) = lab.start_everything(dir.path());
    listening(&url).await;
    let fleet = fleet().redis().http(&url).start().await;
    let directly = lab.run_conformance(&url, dir.path()).await;
    let through = lab.run_conformance(&fleet.url(0), dir.path()).await;
    // Of a suite that fails everywhere, everything would pass through.
    let total: u32 = directly.values().sum();
    assert!(directly.len() > 30 && total >= CHECKS_PASSED_MIN, "{total} checks pass directly: {directly:?}");
    for (scenario, passed) in &directly {
        assert!(
            through[scenario] >= *passed,
            "{scenario}: {} checks pass, {passed} without the gateway",
            through[scenario]
        );
    }
}
