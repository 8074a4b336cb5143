//! Secrets in every place of the traffic, and where they are afterwards: nowhere.

use std::time::Duration;

use serde_json::{Value, json};
use shadowcat_tests::{Client, Managed, Program, Upstream, binary, eventually, managed, message};

use super::fragments::{Fragments, Secret};
use super::node::recorded;
use super::tapes::{search, shipped};

/// What is said is shown by `tail` and stored within this, on a machine busy with other tests.
const SOON: Duration = Duration::from_secs(60);

/// A node without a control plane has nobody to wait for when it ends.
const END_WITHIN: Duration = Duration::from_secs(30);

/// More than a message has that stands in its record. Unpacked and searched they take long in a debug build: one in so many secrets is sent
/// in such a one.
const LARGE_BYTES: usize = 70_000;
const LARGE_EVERY: usize = 4;

/// A request id that no other request of the session has.
const ID: u64 = 1_000_000;

/// A route to a server over HTTP and one to a child, both recorded.
fn configuration(upstream: &Upstream) -> Value {
    let mut configuration = recorded(&upstream.url());
    let child = json!({ "name": "child", "match": { "path": "/stdio" }, "targets": [{ "upstream": "child" }], "recording": "all" });
    configuration["routes"].as_array_mut().unwrap().push(child);
    let command = json!({ "name": "child", "stdio": { "command": [binary("scripted-stdio-server")] } });
    configuration["upstreams"].as_array_mut().unwrap().push(command);
    configuration
}

/// One client of each route.
struct Clients<'a> {
    upstream: &'a Upstream,
    http: Client,
    child: Client,
    url: String,
}

impl<'a> Clients<'a> {
    async fn connect(fleet: &Managed, upstream: &'a Upstream) -> Self {
        let child = Client::connect(fleet.plane(0).url("/stdio")).await;
        Self { upstream, http: fleet.client(0).await, child, url: fleet.url(0) }
    }

    /// Sends a secret in every place where it can stand. Most of it is refused by somebody, which is as good.
    async fn send(&self, secret: &Secret) {
        self.send_in_messages(secret).await;
        self.send_in_answers(secret).await;
        self.send_beside_json(secret).await;
        if secret.is_word() {
            self.send_in_headers(secret).await;
        }
        if secret.is_word() && secret.has_form() {
            self.send_as_name(secret).await;
        }
        if secret.fits_url() {
            self.send_in_urls(secret).await;
        }
    }

    /// Arguments, JSON in a string, what is echoed, and what a child says to stderr.
    async fn send_in_messages(&self, secret: &Secret) {
        let (text, prose) = (&secret.text, secret.in_prose());
        let nested = json!({ "user": 1, "password": text }).to_string();
        let twice = json!({ "text": nested }).to_string();
        // A session's cookie among others, as a log has it.
        let cookies = format!("Set-Cookie: session={text}; HttpOnly");
        let cookies = if secret.is_word() { &cookies } else { &prose };
        for message in [&prose, &nested, &twice, cookies] {
            for client in [&self.http, &self.child] {
                let arguments =
                    json!({ "message": message, "api_key": text, "env": [{ "name": "TOKEN", "value": text }] });
                client.call("echo", arguments).await.unwrap();
            }
            self.child.call("mutter", json!({ "message": message })).await.unwrap();
        }
        let client_info = json!({ "name": prose, "version": "1", "token": text });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client_info });
        let _ = Client::to(&*self.url).send(message(ID, "initialize", &params)).await.unwrap().text().await;
    }

    /// A message that is kept apart, for its size, and so is its answer.
    async fn send_in_large(&self, secret: &Secret) {
        let message = format!("{}{}", "on and on, ".repeat(LARGE_BYTES / 11), secret.in_prose());
        self.http.call("echo", json!({ "message": message, "password": secret.text })).await.unwrap();
    }

    /// A result in an event, and an answer that is none.
    async fn send_in_answers(&self, secret: &Secret) {
        let content = json!([{ "type": "text", "text": secret.in_prose() }]);
        let answer = json!({ "jsonrpc": "2.0", "id": ID, "result": { "content": content, "password": secret.text } });
        let error = json!({ "jsonrpc": "2.0", "id": ID, "error": { "code": -32000, "message": secret.in_prose(), "data": { "token": secret.text } } });
        for (name, media_type, body) in [
            ("event", "text/event-stream", format!("data: {answer}\n\n")),
            ("error", "application/json", error.to_string()),
            ("no JSON", "application/json", secret.in_prose()),
            ("no JSON-RPC", "application/json", json!({ "password": secret.text }).to_string()),
            ("no message", "text/plain", secret.in_prose()),
        ] {
            self.upstream.script(name, media_type, body);
            let request = message(ID, "tools/call", &json!({ "name": "scripted", "arguments": { "token": name } }));
            let _ = self.http.send(request).await.unwrap().text().await;
        }
    }

    /// Bodies that are no messages.
    async fn send_beside_json(&self, secret: &Secret) {
        let quoted = json!(secret.text).to_string();
        let cut = format!(r#"{{"jsonrpc":"2.0","id":{ID},"method":"tools/call","params":{{"password":{quoted}"#);
        for body in [secret.in_prose(), cut] {
            let _ = self.http.send(body).await.unwrap().text().await;
        }
    }

    async fn send_in_headers(&self, secret: &Secret) {
        let text = &*secret.text;
        let client = self.http.with("authorization", &format!("Bearer {text}"));
        let client = client.with("cookie", &format!("session={text}; theme=dark")).with("x-api-key", text);
        let client = client.with("proxy-authorization", text).with("mcp-param-token", text);
        client.call("echo", json!({ "message": "headers" })).await.unwrap();
        let _ = self.http.with("mcp-session-id", text).call("echo", json!({ "message": "headers" })).await;
        if secret.has_form() {
            let client = self.http.with("user-agent", &format!("agent/1 ({text})")).with("mcp-param-note", text);
            let client = client.with("last-event-id", text).with("x-request-id", text);
            client.call("echo", json!({ "message": "headers" })).await.unwrap();
        }
    }

    /// Names of tools, prompts, resources, methods and requests: the server refuses them by their names.
    async fn send_as_name(&self, secret: &Secret) {
        let text = &*secret.text;
        for client in [&self.http, &self.child] {
            let _ = client.call(text, json!({})).await;
            let _ = client.request("prompts/get", json!({ "name": text })).await.unwrap().text().await;
            let _ = client.request("resources/read", json!({ "uri": text })).await.unwrap().text().await;
            let _ = client.request(text, json!({})).await.unwrap().text().await;
            let request = json!({ "jsonrpc": "2.0", "id": text, "method": "tools/call", "params": { "name": "echo" } });
            let _ = client.send(request.to_string()).await.unwrap().text().await;
        }
        let modern = Client::to(&*self.url).with("mcp-protocol-version", "2026-07-28").with("mcp-method", "tools/call");
        let request = message(ID, "tools/call", &json!({ "name": "echo", "arguments": {} }));
        let _ = modern.with("mcp-name", text).send(request).await.unwrap().text().await;
    }

    async fn send_in_urls(&self, secret: &Secret) {
        let text = &*secret.text;
        let client = self.http.at(format!("{}?access_token={text}", self.url));
        client.call("echo", json!({ "message": "URL" })).await.unwrap();
        for uri in [
            format!("postgres://app:{text}@db.example:5432/app"),
            format!("https://h.example/x?a=b&access_token={text}"),
        ] {
            let _ = self.http.request("resources/read", json!({ "uri": uri })).await.unwrap().text().await;
            self.http.call("echo", json!({ "message": format!("connecting to {uri}") })).await.unwrap();
        }
    }
}

/// `tapes tail` of everything, once it follows the node.
async fn tail(fleet: &Managed) -> Program {
    let tail = fleet.control().start_ctl("tail", &["tapes", "tail", "--frames", "-o", "jsonl"]);
    eventually("the node is followed", SOON, async || tail.log().contains("followed live: plane-0").then_some(()))
        .await;
    tail
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_on_disk_in_the_index_in_logs_or_in_tail() {
    let upstream = Upstream::start().await;
    let mut fleet = managed().data_planes(0).start().await;
    fleet.apply(&configuration(&upstream)).await;
    fleet.add_data_plane(&["--log", "debug"]).await;
    fleet.plane_mut(0).ready().await;
    let tail = tail(&fleet).await;
    let clients = Clients::connect(&fleet, &upstream).await;
    let secrets = Secret::all();
    for secret in &secrets {
        clients.send(secret).await;
    }
    for secret in secrets.iter().step_by(LARGE_EVERY) {
        clients.send_in_large(secret).await;
    }
    clients.http.call("echo", json!({ "message": "the last of them" })).await.unwrap();
    eventually("tail has told everything", SOON, async || tail.log().contains("the last of them").then_some(())).await;
    shipped(&fleet.plane(0).data_dir().join("spool")).await;
    let stored = search(fleet.control(), &["--frames"]).await;
    assert!(stored.len() > secrets.len() * 20, "they were recorded: {} frames", stored.len());
    let bytes = |frame: &Value| frame["size"].as_str().and_then(|size| size.parse::<usize>().ok());
    let large = stored.iter().filter(|frame| bytes(frame).is_some_and(|bytes| bytes >= LARGE_BYTES));
    assert!(large.count() >= 2 * secrets.len() / LARGE_EVERY, "large messages were recorded too");
    let muttered = |line: &str| line.contains("the server said ⟦r:") && line.contains("stderr");
    assert!(fleet.plane(0).log().lines().any(muttered), "what children say to stderr is logged");

    // What comes now stays in the spool.
    fleet.control_mut(0).program().kill();
    for secret in &secrets {
        clients.send(secret).await;
    }
    clients.send_in_large(&secrets[0]).await;
    let plane = fleet.plane_mut(0).program();
    plane.signal(shadowcat_tests::Signal::TERM);
    plane.end(END_WITHIN).await;
    let (found, files) = Fragments::of(&secrets).find_below(fleet.dir());
    for (path, found) in &found {
        eprintln!("{}: {found}\n", path.display());
    }
    assert!(found.is_empty(), "something is left in {} of {files} files", found.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_an_index_in_postgres() {
    let upstream = Upstream::start().await;
    let mut fleet = managed().postgres().data_planes(0).start().await;
    fleet.apply(&configuration(&upstream)).await;
    fleet.add_data_plane(&[]).await;
    fleet.plane_mut(0).ready().await;
    let clients = Clients::connect(&fleet, &upstream).await;
    let secrets = Secret::all();
    for secret in &secrets {
        clients.send(secret).await;
    }
    shipped(&fleet.plane(0).data_dir().join("spool")).await;
    let stored = search(fleet.control(), &["--frames"]).await;
    assert!(stored.len() > secrets.len() * 20, "they were recorded: {} frames", stored.len());
    // As text, because the server packs what is long.
    let dump = fleet.postgres_mut().dump();
    assert!(String::from_utf8_lossy(&dump).contains("tools/call"), "the index is in it");
    std::fs::write(fleet.dir().join("postgres.sql"), dump).unwrap();
    let (found, files) = Fragments::of(&secrets).find_below(fleet.dir());
    for (path, found) in &found {
        eprintln!("{}: {found}\n", path.display());
    }
    assert!(found.is_empty(), "something is left in {} of {files} files", found.len());
}
