//! The demo server, spoken to as its clients do: over its pipes and over HTTP, in both eras.

use std::time::{Duration, Instant};

use crate::support::{PipeClient, call, initialize, modern, soon, text};
use serde_json::{Value, json};
use shadowcat_cli::demo::HttpListener;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn the_tools_are_listed_in_a_stable_order_with_their_schemas() {
    let mut client = PipeClient::initialized(&json!({})).await;
    let answer = client.ask(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })).await;
    let tools = answer["result"]["tools"].as_array().expect("tools");
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["add", "count", "echo", "greet", "now"]);
    assert!(tools.iter().all(|tool| tool["inputSchema"]["type"] == "object" && tool["description"].is_string()));
    assert_eq!(tools[1]["inputSchema"]["properties"]["to"]["maximum"], 10_000);
}

#[tokio::test]
async fn plain_and_structured_results_come_back() {
    let mut client = PipeClient::initialized(&json!({})).await;
    let echo = client.ask(&call(1, "echo", &json!({ "text": "näh \u{2028} \"quoted\"" }))).await;
    assert_eq!(text(&echo), "näh \u{2028} \"quoted\"");
    let add = client.ask(&call(2, "add", &json!({ "a": 2, "b": 0.5 }))).await;
    assert_eq!(add["result"]["structuredContent"], json!({ "sum": 2.5 }));
    let now = client.ask(&call(3, "now", &json!({}))).await;
    assert!(now["result"]["structuredContent"]["utc"].as_str().expect("a time").ends_with('Z'), "{now}");
}

#[tokio::test]
async fn a_count_reports_each_step_before_its_result() {
    let mut client = PipeClient::initialized(&json!({})).await;
    let mut request = call(7, "count", &json!({ "to": 3, "delay_ms": 1 }));
    request["params"]["_meta"] = json!({ "progressToken": "steps" });
    client.send(&request).await;
    for step in 1..=3 {
        let message = client.receive().await;
        assert_eq!(message["method"], "notifications/progress");
        assert_eq!(message["params"]["progressToken"], "steps");
        assert_eq!(message["params"]["progress"], f64::from(step));
        assert_eq!(message["params"]["message"], format!("{step} of 3"));
    }
    let answer = client.receive().await;
    assert_eq!((answer["id"].clone(), text(&answer)), (json!(7), "counted to 3"));
}

#[tokio::test]
async fn a_count_out_of_bounds_is_a_tool_error_that_names_the_bound() {
    let mut client = PipeClient::initialized(&json!({})).await;
    for (arguments, bound) in
        [(json!({ "to": 0 }), "from 1 to 10000"), (json!({ "delay_ms": 30_001 }), "at most 30000")]
    {
        let answer = client.ask(&call(1, "count", &arguments)).await;
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        assert!(text(&answer).contains(bound), "{answer}");
    }
}

#[tokio::test]
async fn greet_asks_a_legacy_client_while_the_call_waits() {
    let answers = [
        (json!({ "action": "accept", "content": { "name": "Ada" } }), "Hello, Ada!"),
        (json!({ "action": "decline" }), "you declined to say"),
        (json!({ "action": "cancel" }), "without an answer"),
    ];
    let mut client = PipeClient::initialized(&json!({ "elicitation": {} })).await;
    for (answer, greeting) in answers {
        let question = client.ask(&call(1, "greet", &json!({}))).await;
        assert_eq!(question["method"], "elicitation/create", "{question}");
        assert!(question["params"]["requestedSchema"]["properties"]["name"].is_object(), "{question}");
        let greeted = client.ask(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer })).await;
        assert!(text(&greeted).contains(greeting), "{greeted}");
    }
}

#[tokio::test]
async fn greet_tells_a_client_that_cannot_answer_why_it_fails() {
    let mut client = PipeClient::initialized(&json!({})).await;
    let answer = client.ask(&call(1, "greet", &json!({}))).await;
    assert_eq!(answer["result"]["isError"], true);
    assert!(text(&answer).contains("`elicitation` capability"), "{answer}");
}

#[tokio::test]
async fn a_modern_client_needs_no_handshake() {
    let mut client = PipeClient::start();
    let found = client.ask(&modern(1, "server/discover", json!({}), &json!({}))).await;
    let versions = found["result"]["supportedVersions"].as_array().expect("versions");
    assert!(versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2025-11-25")), "{found}");
    let echo = client
        .ask(&modern(2, "tools/call", json!({ "name": "echo", "arguments": { "text": "hi" } }), &json!({})))
        .await;
    assert_eq!(text(&echo), "hi");
}

#[tokio::test]
async fn greet_asks_a_modern_client_by_its_result() {
    let mut client = PipeClient::start();
    let able = json!({ "elicitation": {} });
    let asked = client.ask(&modern(1, "tools/call", json!({ "name": "greet" }), &able)).await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    assert_eq!(asked["result"]["inputRequests"]["name"]["method"], "elicitation/create");
    let answer = json!({ "name": { "action": "accept", "content": { "name": "Ada" } } });
    let greeted =
        client.ask(&modern(2, "tools/call", json!({ "name": "greet", "inputResponses": answer }), &able)).await;
    assert_eq!(text(&greeted), "Hello, Ada!");
    let unable = client.ask(&modern(3, "tools/call", json!({ "name": "greet" }), &json!({}))).await;
    assert_eq!(unable["error"]["code"], -32021, "{unable}");
}

#[tokio::test]
async fn the_server_ends_when_its_input_does() {
    let client = PipeClient::initialized(&json!({})).await;
    assert!(client.close().await.success());
}

#[tokio::test]
async fn a_session_lives_over_http() {
    let server = HttpDemo::start().await;
    let opened = server.post(&[], &initialize(&json!({}))).await;
    let session = opened.headers()["mcp-session-id"].to_str().expect("visible ASCII").to_owned();
    opened.text().await.expect("an answer");
    let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
    let ready = server.post(&headers, &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
    assert_eq!(ready.status(), 202);
    let answer = server.post(&headers, &call(1, "echo", &json!({ "text": "over HTTP" }))).await;
    assert!(answer.text().await.expect("events").contains("over HTTP"));
    server.stop().await;
}

#[tokio::test]
async fn a_modern_call_over_http_needs_no_session() {
    let server = HttpDemo::start().await;
    let message = modern(1, "tools/call", json!({ "name": "echo", "arguments": { "text": "hi" } }), &json!({}));
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "echo")];
    let answer = server.post(&headers, &message).await;
    assert!(!answer.headers().contains_key("mcp-session-id"));
    assert!(answer.text().await.expect("an answer").contains("\"hi\""));
    server.stop().await;
}

#[tokio::test]
async fn another_path_is_not_found_and_names_the_right_one() {
    let server = HttpDemo::start().await;
    let answer = soon("an answer", server.client.get(server.url.replace("/mcp", "/")).send()).await.expect("an answer");
    assert_eq!(answer.status(), 404);
    assert!(answer.text().await.expect("text").contains("/mcp"));
    server.stop().await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_within_six_seconds() {
    let server = HttpDemo::start().await;
    let address = server.url.trim_start_matches("http://").trim_end_matches("/mcp");
    let mut silent = TcpStream::connect(address).await.expect("connected");
    let begun = Instant::now();
    let read = soon("the end of a silent connection", silent.read(&mut [0; 1])).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    assert!(begun.elapsed() <= Duration::from_secs(6), "{:?}", begun.elapsed());
    server.stop().await;
}

/// The server over HTTP, in this process.
struct HttpDemo {
    url: String,
    stop: CancellationToken,
    served: JoinSet<()>,
    client: reqwest::Client,
}

impl HttpDemo {
    async fn start() -> Self {
        let listener = HttpListener::bind(([127, 0, 0, 1], 0).into()).await.expect("a free port");
        let (url, stop, mut served) = (listener.url(), CancellationToken::new(), JoinSet::new());
        served.spawn(listener.serve(stop.clone()));
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { url, stop, served, client }
    }

    async fn post(&self, headers: &[(&str, &str)], message: &Value) -> reqwest::Response {
        let request = self.client.post(&self.url).header("accept", "application/json, text/event-stream").json(message);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        soon("an answer", request.send()).await.expect("an answer")
    }

    async fn stop(mut self) {
        self.stop.cancel();
        soon("the server's end", self.served.join_next()).await.expect("one task").expect("no panic");
    }
}
