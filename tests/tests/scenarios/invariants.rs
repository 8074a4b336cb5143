//! The invariants of ARCHITECTURE.md that can be seen from outside, by their names.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use shadowcat_tests::{Client, Upstream, eventually, fleet, message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::odd_json::OddJson;

/// A configuration that sends calls without a session to `upstream` and marks them with `version`.
pub(crate) fn marked(upstream: &Upstream, version: &str) -> Value {
    let http = json!({ "endpoints": [{ "url": upstream.url() }], "headers": [{ "name": "x-configuration", "value": version }] });
    json!({
        "routes": [{ "name": "tools", "match": { "path": "/mcp" }, "targets": [{ "upstream": version }], "sessions": { "mode": "OPTIONAL" } }],
        "upstreams": [{ "name": version, "http": http }],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_sees_one_configuration() {
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let fleet = fleet().configuration(marked(&one, "one")).start().await;
    let client = Client::to(fleet.url(0));
    one.gate("long").release(1);
    let mut long = client.start("stream", json!({ "token": "long", "events": 2 })).await.unwrap().events();
    long.next_message().await.unwrap();

    let (done, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load = tokio::spawn({
        let (client, done, sent) = (client.clone(), Arc::clone(&done), Arc::clone(&sent));
        async move {
            while !done.load(Ordering::SeqCst) {
                let token = format!("call-{}", sent.fetch_add(1, Ordering::SeqCst));
                client.call("echo", json!({ "token": token })).await.unwrap();
            }
        }
    });
    for round in 0..6 {
        let (target, name) = if round % 2 == 0 { (&two, "two") } else { (&one, "one") };
        let before = target.distinct_calls();
        fleet.write(&marked(target, name).to_string());
        eventually("calls reach the other upstream", Duration::from_secs(5), async || {
            (target.distinct_calls() > before + 10).then_some(())
        })
        .await;
    }
    done.store(true, Ordering::SeqCst);
    load.await.unwrap();

    for number in 0..sent.load(Ordering::SeqCst) {
        let token = format!("call-{number}");
        let arrivals = [(&one, "one"), (&two, "two")]
            .map(|(upstream, name)| upstream.seen(&token).into_iter().map(move |seen| (name, seen)));
        let arrivals: Vec<_> = arrivals.into_iter().flatten().collect();
        let [(at, seen)] = arrivals.as_slice() else { panic!("{token} arrived {} times", arrivals.len()) };
        assert_eq!(
            seen.headers["x-configuration"], *at,
            "{token} was sent by one configuration to the upstream of another"
        );
    }
    // The call that began under the first configuration is served by it to its end.
    one.gate("long").release(1);
    assert_eq!(long.result().await.unwrap()["content"][0]["text"], "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_never_the_source_of_configuration() {
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let mut fleet = fleet().redis().configuration(marked(&one, "one")).start().await;
    let client = fleet.client(0).await;
    client.call("echo", json!({ "token": "before" })).await.unwrap();
    let keys = fleet.redis().send("KEYS *").await.unwrap();
    for word in ["config", "endpoint", &one.url()] {
        assert!(!keys.contains(word), "Redis holds something named {word}: {keys}");
    }

    fleet.redis().send("FLUSHALL").await.unwrap();
    Client::to(fleet.url(0)).call("echo", json!({ "token": "emptied" })).await.unwrap();
    fleet.redis_mut().kill();
    let mut configuration = marked(&two, "two");
    configuration["node"] = fleet.configuration()["node"].clone();
    fleet.write(&configuration.to_string());
    eventually("a new configuration works without Redis", Duration::from_secs(5), async || {
        let answer = Client::to(fleet.url(0)).call("echo", json!({ "token": "after" })).await;
        answer.expect("a call that needs no session");
        (two.calls("after") > 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tools_call_runs_at_most_once() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let server = tokio::spawn(hang_up_on_calls(listener, Arc::clone(&calls)));
    let fleet = fleet().http(&url).start().await;
    let client = fleet.client(0).await;
    for number in 0..50 {
        // A ping first, so that the call finds a connection in the pool, which closes under it.
        client.request("ping", json!({})).await.unwrap().result().await.unwrap();
        let failure = client.call("echo", json!({ "token": number })).await.unwrap_err();
        assert_eq!(failure.data["upstream"], "origin", "{failure}");
    }
    let calls = calls.lock().unwrap().clone();
    assert_eq!(calls.len(), 50, "each call arrives once, though its connection closed without an answer");
    server.abort();
}

/// A server that reads a `tools/call` and closes the connection without a word.
async fn hang_up_on_calls(listener: TcpListener, calls: Arc<Mutex<Vec<Value>>>) {
    loop {
        let (mut connection, _) = listener.accept().await.unwrap();
        let calls = Arc::clone(&calls);
        tokio::spawn(async move {
            while let Some(message) = read_message(&mut connection).await {
                let result = match message["method"].as_str() {
                    Some("tools/call") => {
                        calls.lock().unwrap().push(message["params"]["arguments"]["token"].clone());
                        return;
                    }
                    Some("initialize") => {
                        json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "n", "version": "1" } })
                    }
                    _ => json!({}),
                };
                let body = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }).to_string();
                let (status, body) =
                    if message.get("id").is_some() { ("200 OK", body) } else { ("202 Accepted", String::new()) };
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                connection.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            }
        });
    }
}

/// The message of one HTTP/1.1 request.
async fn read_message(connection: &mut TcpStream) -> Option<Value> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.lines().next()?.trim().parse().ok())
                .unwrap_or(0);
            if body.len() >= length {
                return serde_json::from_slice(&read[read.len() - length..]).ok();
            }
        }
        let mut chunk = [0; 4096];
        match connection.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => read.extend_from_slice(&chunk[..length]),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_pass_unchanged() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let mut odd = OddJson::with_seed(20_251_125);
    for round in 0..300 {
        let token = format!("bytes-{round}");
        let (request, id) = odd.request(&token);
        let response = odd.response(id);
        upstream.script(&token, "application/json", response.clone());
        let reply = client.send(request.clone()).await.unwrap();
        assert_eq!(reply.status(), StatusCode::OK, "{request}");
        assert_eq!(reply.text().await.unwrap(), response);
        assert_eq!(upstream.seen(&token)[0].body, request);
    }
    for round in 0..300 {
        let token = format!("event-{round}");
        let (request, id) = odd.request(&token);
        let response = odd.response(id).replace(['\r', '\n'], " ");
        upstream.script(&token, "text/event-stream", format!("event: message\ndata: {response}\n\n"));
        let mut events = client.send(request.clone()).await.unwrap().events();
        let event = events.next_message().await.unwrap();
        assert_eq!(event.map(|event| event.data), Some(response), "{request}");
    }
    // Larger than what is checked before it is passed on.
    let response = format!("{{\"id\":1,\"result\":{{\"text\":\"{}\"}},\"jsonrpc\":\"2.0\"}}", "x".repeat(1024 * 1024));
    upstream.script("large", "application/json", response.clone());
    let request = message(1, "tools/call", &json!({ "name": "scripted", "arguments": { "token": "large" } }));
    assert_eq!(client.send(request).await.unwrap().text().await.unwrap(), response);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_token_never_reaches_an_upstream() {
    let upstream = Upstream::start().await;
    let headers = json!({ "headers": [{ "name": "x-api-key", "secret": "env:ORIGIN_KEY" }, { "name": "authorization", "secret": "env:ORIGIN_TOKEN" }] });
    let fleet = fleet()
        .upstream(&upstream)
        .upstream_settings(headers)
        .environment("ORIGIN_KEY", "the gateway's")
        .environment("ORIGIN_TOKEN", "Bearer ours")
        .start()
        .await;
    let client = fleet.client(0).await;
    let client = client.with("authorization", "Bearer client-secret").with("cookie", "sid=client-secret");
    let client = client.with("proxy-authorization", "Basic client-secret").with("x-api-key", "client-secret");
    let client =
        client.with("connection", "x-private, keep-alive").with("x-private", "client-secret").with("te", "trailers");
    client.with("x-end-to-end", "kept").call("echo", json!({ "token": "secret" })).await.unwrap();

    let headers = &upstream.seen("secret")[0].headers;
    for (name, value) in headers {
        assert!(!value.to_str().unwrap().contains("client-secret"), "{name} carries what is the client's");
    }
    for name in ["cookie", "proxy-authorization", "x-private", "te"] {
        assert!(!headers.contains_key(name), "{name} crossed");
    }
    assert_eq!(
        (&headers["x-api-key"], &headers["authorization"], &headers["x-end-to-end"]),
        (&"the gateway's".parse().unwrap(), &"Bearer ours".parse().unwrap(), &"kept".parse().unwrap())
    );
    assert_ne!(headers["mcp-session-id"], client.session().unwrap(), "session ids of the gateway's are the gateway's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_belongs_to_its_principal() {
    // Without authentication everybody is the same principal, so what can be seen from outside is the route; the session
    // store's own tests use two principals.
    let upstream = Upstream::start().await;
    let route = |name: &str| json!({ "name": name, "match": { "path": format!("/{name}") }, "targets": [{ "upstream": "origin" }] });
    let configuration = json!({ "routes": [route("blue"), route("green")], "upstreams": [{ "name": "origin", "http": { "endpoints": [{ "url": upstream.url() }] } }] });
    let fleet = fleet().data_planes(2).redis().configuration(configuration).start().await;
    let client = Client::connect(fleet.plane(0).url("/blue")).await;
    for plane in [0, 1] {
        client.at(fleet.plane(plane).url("/blue")).call("echo", json!({})).await.unwrap();
        let failure = client.at(fleet.plane(plane).url("/green")).call("echo", json!({})).await.unwrap_err();
        assert_eq!(failure.status_and_code(), (404, -32600), "{failure}");
    }
}
