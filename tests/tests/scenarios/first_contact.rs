//! What a client that gets something wrong is told: the specification's status, and one sentence that names the cure.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;
use shadowcat_tests::{Client, Upstream, fleet, message, reverse};

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// One mistake.
struct Mistake {
    client: Client,
    method: Method,
    body: Bytes,
    status: u16,
    code: i64,
    /// A word of the cure.
    says: &'static str,
}

fn mistake(client: Client, body: impl Into<Bytes>, status: u16, code: i64, says: &'static str) -> Mistake {
    Mistake { client, method: Method::POST, body: body.into(), status, code, says }
}

async fn check(mistakes: Vec<Mistake>) {
    for Mistake { client, method, body, status, code, says } in mistakes {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let failure = client.exchange(method, body).await.unwrap().failure().await;
        assert_eq!(failure.status_and_code(), (status, code), "{shown}: {failure}");
        assert!(failure.message.contains(says), "{shown}: {:?} does not say {says:?}", failure.message);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_no_message_is_refused_with_the_reason() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let deep =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{}{}}}"#, "[".repeat(2_000), "]".repeat(2_000));
    let large =
        message(1, "tools/call", &json!({ "name": "echo", "arguments": { "message": "x".repeat(5 * 1024 * 1024) } }));
    let post = |body: &str| (client.clone(), Bytes::from(body.to_owned()));
    let all = [
        (post(r#"{"jsonrpc":"2.0","id":1,"#), 400, -32700, ""),
        (post("hello"), 400, -32700, ""),
        (post(""), 400, -32700, ""),
        (post("[]"), 400, -32600, ""),
        (post(&format!("[{CALL},{CALL}]")), 400, -32600, "batch"),
        (post(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}"#), 400, -32600, "id"),
        (post(r#"{"jsonrpc":"1.0","id":1,"method":"x"}"#), 400, -32600, "2.0"),
        (post(r#"{"jsonrpc":"2.0","id":{},"method":"x"}"#), 400, -32600, "id"),
        (post(r#"{"jsonrpc":"2.0","id":1,"method":7}"#), 400, -32600, "method"),
        (post(&deep), 400, -32600, ""),
        (post(&large), 413, -32600, "4 MiB"),
    ];
    let before = upstream.messages("tools/list");
    check(
        all.into_iter().map(|((client, body), status, code, says)| mistake(client, body, status, code, says)).collect(),
    )
    .await;
    let not_utf8 = mistake(client, &b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}"[..], 400, -32700, "UTF-8");
    check(vec![not_utf8]).await;
    assert_eq!(upstream.messages("tools/list"), before, "nothing of it reached the upstream");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_cannot_be_served_is_refused_with_the_cure() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let forged = "AAAAAAAAAAAAAAAAAAAAAA";
    let elsewhere = Client::to(fleet.plane(0).url("/elsewhere"));
    let put = Mistake { method: Method::PUT, ..mistake(client.clone(), CALL, 405, -32600, "Allow") };
    let get = Mistake {
        method: Method::GET,
        ..mistake(client.with("accept", "application/json"), "", 406, -32600, "text/event-stream")
    };
    check(vec![
        mistake(client.with("mcp-session-id", forged), CALL, 404, -32600, "initialize"),
        mistake(client.with("mcp-session-id", "not one of ours"), CALL, 404, -32600, "initialize"),
        mistake(client.without("mcp-session-id"), CALL, 400, -32600, "initialize"),
        mistake(client.with("content-type", "text/plain"), CALL, 415, -32600, "application/json"),
        mistake(client.without("content-type"), CALL, 415, -32600, "application/json"),
        mistake(client.without("accept"), CALL, 406, -32600, "text/event-stream"),
        mistake(client.with("accept", "application/json"), CALL, 406, -32600, "text/event-stream"),
        mistake(client.with("mcp-protocol-version", "1999-01-01"), CALL, 400, -32022, "2025-11-25"),
        mistake(client.with("host", "evil.example"), CALL, 403, -32600, "localhost"),
        mistake(client.with("origin", "https://evil.example"), CALL, 403, -32600, "allow_origins"),
        mistake(elsewhere, CALL, 404, -32600, "/mcp"),
        put,
        get,
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_answer_carries_the_id_of_its_request() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let client = Client::to(fleet.url(0));
    for (request, id) in [
        (r#"{"jsonrpc":"2.0","id":"seven","method":"x"}"#, json!("seven")),
        (r#"{"jsonrpc":"2.0","id":7,"method":"x"}"#, json!(7)),
    ] {
        let answer = client.send(request).await.unwrap().text().await.unwrap();
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["id"], id, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_route_allows_it_a_bare_call_works() {
    let upstream = Upstream::start().await;
    let fleet =
        reverse().upstream(&upstream).route_settings(json!({ "sessions": { "mode": "OPTIONAL" } })).start().await;
    let client = Client::to(fleet.url(0));
    client.request("ping", json!({})).await.unwrap().result().await.unwrap();
    for number in 0..20 {
        let answer = client.call_text("echo", json!({ "token": format!("bare-{number}") })).await.unwrap();
        assert_eq!(answer, format!("bare-{number}"));
    }
    assert!(upstream.sessions() <= 2, "the gateway keeps upstream sessions for such calls and reuses them");
    let session = client.open_session().await.unwrap();
    assert!(session.session().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_the_upstream_forgot_is_refused_so_that_the_client_starts_anew() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    upstream.forget_sessions();
    let failure = client.call("echo", json!({})).await.unwrap_err();
    assert_eq!(failure.status, Some(StatusCode::NOT_FOUND), "{failure}");
    fleet.client(0).await.call("echo", json!({ "token": "anew" })).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_says_in_plain_text_where_no_message_is_due_is_no_fault_of_the_server() {
    let upstream = Upstream::start().await;
    upstream.script("notifications/initialized", "text/plain", "Accepted");
    upstream.script("GET", "text/plain", "no stream here");
    let fleet = fleet().upstream(&upstream).start().await;
    // Sends the notification, and insists on 202.
    let client = fleet.client(0).await;
    assert_eq!(upstream.messages("notifications/initialized"), 1);
    let refused = client.listen().await.unwrap();
    assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(refused.headers()["content-type"], "text/plain");
    assert_eq!(refused.text().await.unwrap(), "no stream here");
    client.call("echo", json!({ "token": "goes on" })).await.unwrap();
}
