//! What a person meets at the shell: addresses, environment, exit codes, and one clear sentence when something is wrong.

use std::net::TcpListener;
use std::process::Output;

use serde_json::{Value, json};

use crate::help;
use crate::support::{Program, SHADOWCAT, call, command, keep_in, soon, text};

#[tokio::test]
async fn up_serves_where_its_banner_says() {
    let mut gateway = Program::start(command(&["up", "--bind", "127.0.0.1:0"]));
    let answer = post(&gateway.url().await, &call(1, "echo", &json!({ "text": "hello" }))).await;
    assert_eq!(text(&answer), "hello");
    assert!(gateway.end_with("INT").await.success());
}

#[tokio::test]
async fn every_option_is_also_a_variable_and_none_of_them_disturbs_the_demo_server() {
    let mut command = command(&["up"]);
    command.env("SHADOWCAT_BIND", "127.0.0.1:0").env("SHADOWCAT_LOG", "warn").env("SHADOWCAT_LOG_FORMAT", "json");
    let mut gateway = Program::start(command);
    let answer = post(&gateway.url().await, &call(1, "add", &json!({ "a": 1, "b": 1 }))).await;
    assert_eq!(answer["result"]["structuredContent"]["sum"], 2.0, "{answer}");
    assert!(gateway.end_with("TERM").await.success());
}

#[tokio::test]
async fn a_taken_address_is_one_sentence_with_the_cure() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    for arguments in [["up", "--bind", &address].as_slice(), &["demo-server", "--http", "--bind", &address]] {
        let (code, stderr) = fails(arguments).await;
        assert_eq!((code, stderr.lines().count()), (2, 1), "{stderr}");
        assert!(stderr.contains(&address) && stderr.contains("--bind"), "{stderr}");
        assert_eq!(stderr.matches("in use").count(), 1, "its cause is said once: {stderr}");
    }
}

#[tokio::test]
async fn every_mistake_in_a_file_is_reported_with_its_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("fleet.yaml");
    let mistakes = "routes:\n  - name: demo\n    match: { path: mcp }\n    targets: [{ upstream: nowhere }]\n";
    std::fs::write(&file, mistakes).expect("written");
    let (code, stderr) = fails(&["reverse", "--config", file.to_str().expect("UTF-8")]).await;
    assert_eq!(code, 2);
    assert!(stderr.contains("fleet.yaml:3:") && stderr.contains("fleet.yaml:4:"), "{stderr}");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let (code, stderr) = fails(&["reverse", "--config", "no-such-file.yaml"]).await;
    assert_eq!(code, 2);
    assert!(stderr.contains("no-such-file.yaml"), "{stderr}");
}

#[tokio::test]
async fn a_wrong_option_ends_with_2_and_says_what_would_be_right() {
    for (arguments, cure) in [
        (["up", "--upstream", "localhost:3001/mcp"].as_slice(), "did you mean http://localhost:3001/mcp?"),
        (&["up", "--bind", "8080"], "127.0.0.1:8080"),
        (&["reverse"], "--config"),
        (&["up", "--log-format", "xml"], "json"),
        (&["demo-server", "--bind", "127.0.0.1:0"], "--http"),
        (&["upp"], "'up'"),
    ] {
        let (code, stderr) = fails(arguments).await;
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(cure), "{stderr}");
    }
}

#[tokio::test]
async fn log_directives_that_are_none_are_refused() {
    let (code, stderr) = fails(&["up", "--bind", "127.0.0.1:0", "--log", "proxy=loud"]).await;
    assert_eq!(code, 2);
    assert!(stderr.contains("--log") && stderr.contains("proxy=loud"), "{stderr}");
}

#[test]
fn every_help_text_is_as_it_was() {
    help::is_as_it_was(SHADOWCAT);
}

#[tokio::test]
async fn the_version_is_printed() {
    let output = soon("the version", command(&["--version"]).output()).await.expect("shadowcat runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), concat!("shadowcat ", env!("CARGO_PKG_VERSION"), "\n"));
}

/// The exit code and standard error of a run that must fail and print nothing else.
async fn fails(arguments: &[&str]) -> (i32, String) {
    let kept = tempfile::tempdir().expect("a directory");
    let mut command = command(arguments);
    keep_in(&mut command, kept.path());
    let output = soon("the end of shadowcat", command.output()).await.expect("shadowcat runs");
    let Output { status, stdout, stderr } = output;
    assert!(stdout.is_empty(), "{arguments:?} printed {}", String::from_utf8_lossy(&stdout));
    (status.code().expect("an exit code"), String::from_utf8_lossy(&stderr).into_owned())
}

/// A call as a bare `curl` makes it: no session, no version.
async fn post(url: &str, message: &Value) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = soon("an answer", client.post(url).json(message).send()).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.json().await.expect("JSON")
}
