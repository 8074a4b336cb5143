//! What the data plane writes for machines to read.

use std::time::Duration;

use serde_json::{Value, json};
use shadowcat_tests::{Upstream, eventually, fleet};

const SOON: Duration = Duration::from_secs(10);

/// The trace that the call below belongs to.
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_line_is_json_and_that_of_a_call_says_whose_it_was_and_how_it_ended() {
    let upstream = Upstream::start().await;
    let fleet = fleet()
        .upstream(&upstream)
        .environment("SHADOWCAT_LOG", "info,shadowcat_proxy=debug")
        .environment("SHADOWCAT_LOG_FORMAT", "json")
        .start()
        .await;
    let client = fleet.client(0).await;
    let traced = client.with("traceparent", &format!("00-{TRACE_ID}-00f067aa0ba902b7-01"));
    traced.call("echo", json!({ "message": "said by the client" })).await.unwrap();
    traced.with("mcp-session-id", "AAAAAAAAAAAAAAAAAAAAAA").call("echo", json!({})).await.unwrap_err();

    let lines = async || {
        let log = fleet.plane(0).log();
        // The last line may be half written.
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let lines: Vec<Value> = whole.lines().map(read).collect();
        let of_the_trace = lines.iter().filter(|line| line["trace"] == TRACE_ID).count();
        (of_the_trace >= 2).then_some(lines)
    };
    let lines = eventually("both calls are logged", SOON, lines).await;
    for line in &lines {
        for field in ["timestamp", "level", "message", "target"] {
            assert!(line[field].is_string(), "{field} is missing: {line}");
        }
        assert!(!line.to_string().contains("said by the client"), "what a client says is none of the log's: {line}");
    }
    let ended = lines.iter().find(|line| line["trace"] == TRACE_ID && line["outcome"] == "ok");
    let ended = ended.unwrap_or_else(|| panic!("no line of the call: {lines:?}"));
    assert_eq!((&ended["route"], &ended["method"]), (&json!("tools"), &json!("tools/call")), "{ended}");
    // The beginning of the session's id is enough to find its calls; the whole is a credential.
    let (session, shown) = (client.session().unwrap(), ended["session"].as_str().unwrap_or_default());
    assert!(shown.len() >= 8 && shown.len() < session.len() && session.starts_with(shown), "{ended}");
    assert!(!fleet.plane(0).log().contains(session), "a session's id is in the log");
    // The client named none, so the gateway did.
    assert!(ended["request"].as_str().is_some_and(|id| !id.is_empty()), "{ended}");
}
