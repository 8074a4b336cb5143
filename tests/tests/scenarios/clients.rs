//! MCP clients that nobody here wrote, before the gateway.

use std::process::Output;
use std::time::Duration;

use shadowcat_tests::{Client, Fleet, Lab, Program, eventually, fleet};
use tempfile::TempDir;

/// A gateway before the Python server, which speaks every version and asks its client questions.
struct Before {
    fleet: Fleet,
    lab: Lab,
    _server: Program,
    _dir: TempDir,
}

async fn before_the_python_server() -> Before {
    let (lab, dir) = (Lab::open(), TempDir::new().unwrap());
    let (server, url) = lab.start_python_server(dir.path());
    eventually("the server answers", Duration::from_secs(30), async || Client::to(&*url).send("{}").await.ok()).await;
    Before { fleet: fleet().redis().http(&url).start().await, lab, _server: server, _dir: dir }
}

fn assert_success(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    out.into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typescript_sdk_1() {
    let before = before_the_python_server().await;
    assert_success(&before.lab.run_client("typescript_sdk_1.mjs", &[&before.fleet.url(0)]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typescript_sdk_2_in_both_eras() {
    let before = before_the_python_server().await;
    for era in ["legacy", "modern"] {
        assert_success(&before.lab.run_client("typescript_sdk_2.mjs", &[&before.fleet.url(0), era]).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_sdk_in_both_eras() {
    let before = before_the_python_server().await;
    for era in ["legacy", "modern"] {
        assert_success(&before.lab.run_client("python_sdk.py", &[&before.fleet.url(0), era]).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inspector_lists_and_calls() {
    let before = before_the_python_server().await;
    let url = before.fleet.url(0);
    let common = ["--cli", url.as_str(), "--transport", "http", "--method"];
    let listed = before.lab.run_inspector(&[&common[..], &["tools/list"]].concat()).await;
    assert!(assert_success(&listed).contains("\"greet\""));
    let called = before
        .lab
        .run_inspector(&[&common[..], &["tools/call", "--tool-name", "echo", "--tool-arg", "message=hello"]].concat())
        .await;
    assert!(assert_success(&called).contains("hello"));
}
