//! A gateway with a scripted server behind it and a sink that keeps what it is given.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::Response;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use shadowcat_config::{Config, parse_local_in};
use shadowcat_proxy::record::TapeSink;
use shadowcat_proxy::{Control, Gateway, GatewayBuilder, Stop};
use shadowcat_tape::line::{Message, encode, encode_message};
use shadowcat_tape::record::Record;
use shadowcat_upstream::{Call, Upstream, UpstreamBody, UpstreamError, UpstreamStatus, Verb};

/// What a test waits for comes within this, or does not.
const SOON: Duration = Duration::from_secs(20);

/// What was recorded, as JSON.
#[derive(Clone, Default)]
pub(crate) struct Recorded {
    lines: Arc<Mutex<Vec<String>>>,
    lost: Arc<Mutex<Vec<(u64, String)>>>,
    fails: Arc<AtomicBool>,
    held: Arc<AtomicBool>,
    breaks: Arc<AtomicBool>,
}

impl Recorded {
    /// From now on the sink keeps nothing.
    pub(crate) fn fail(&self) {
        self.fails.store(true, Ordering::Relaxed);
    }

    /// It keeps what it is given again.
    pub(crate) fn mend(&self) {
        self.fails.store(false, Ordering::Relaxed);
    }

    /// The next record is the sink's undoing.
    pub(crate) fn break_once(&self) {
        self.breaks.store(true, Ordering::Relaxed);
    }

    /// From now on the sink takes nothing, as a disk that hangs.
    pub(crate) fn hold(&self) {
        self.held.store(true, Ordering::Relaxed);
    }

    /// It goes on.
    pub(crate) fn release(&self) {
        self.held.store(false, Ordering::Relaxed);
    }

    /// The record that `wanted` is true for, once there is one.
    pub(crate) async fn find(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                let lines = self.lines.lock().unwrap().clone();
                let mut records = lines.iter().map(|line| serde_json::from_str(line).unwrap());
                if let Some(found) = records.find(|record| wanted(record)) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let found = tokio::time::timeout(SOON, found).await;
        found.unwrap_or_else(|_| panic!("{what} is due, and there are:\n{}", self.text()))
    }

    /// How many frames were lost, and why.
    pub(crate) fn lost(&self) -> Vec<(u64, String)> {
        self.lost.lock().unwrap().clone()
    }

    /// Every line, as it would be written.
    pub(crate) fn text(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// The records, once there are so many.
    pub(crate) async fn records(&self, count: usize) -> Vec<Value> {
        let enough = async {
            loop {
                let lines = self.lines.lock().unwrap().clone();
                if lines.len() >= count {
                    return lines;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let lines = tokio::time::timeout(SOON, enough).await;
        let lines = lines.unwrap_or_else(|_| panic!("{count} records are due, and there are:\n{}", self.text()));
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Keeps lines.
struct Sink(Recorded, u64);

impl TapeSink for Sink {
    fn append(&mut self, mut record: Record<'_>, message: Option<Message<'_>>) -> u64 {
        while self.0.held.load(Ordering::Relaxed) {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        assert!(!self.0.breaks.swap(false, Ordering::Relaxed), "a sink that breaks");
        self.1 += 1;
        record.seq = self.1;
        let mut line = Vec::new();
        match message {
            Some(message) => encode_message(&record, message, &mut line),
            None => encode(&record, &mut line),
        }
        self.0.lines.lock().unwrap().push(String::from_utf8(line).unwrap());
        self.1
    }

    fn lost(&mut self, frames: u64, why: &str) {
        self.0.lost.lock().unwrap().push((frames, why.to_owned()));
    }

    fn rekeyed(&mut self, _: &str) {}

    fn settle(&mut self, _: Duration) -> Duration {
        Duration::from_millis(10)
    }

    fn can_promise(&self) -> bool {
        !self.0.fails.load(Ordering::Relaxed)
    }

    fn end(&mut self, _: Duration) {}
}

/// Answers a POST with what it makes of the message; a session if it says so.
type Answer = dyn Fn(&Value) -> Said + Send + Sync;

/// What a server says.
pub(crate) enum Said {
    Json(String),
    Events(Vec<String>),
    /// Server-sent events as they are written.
    Stream(&'static str),
    Status(u16),
    /// Nothing, as long as anybody waits.
    Nothing,
    /// With a session.
    Session(String),
}

struct Scripted {
    answer: Box<Answer>,
    calls: Arc<Mutex<u64>>,
}

#[async_trait]
impl Upstream for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    async fn call(&self, call: Call) -> Result<Response<UpstreamBody>, UpstreamError> {
        *self.calls.lock().unwrap() += 1;
        let message = match &call.verb {
            Verb::Post(message) => serde_json::from_slice(message.body()).unwrap(),
            Verb::Get => serde_json::json!({"method": "GET"}),
            Verb::Delete => serde_json::json!({"method": "DELETE"}),
        };
        let (media, body, session, status) = match (self.answer)(&message) {
            Said::Json(text) => ("application/json", text, false, 200),
            Said::Session(text) => ("application/json", text, true, 200),
            Said::Events(events) => {
                let text = events.iter().map(|data| format!("data: {data}\n\n")).collect();
                ("text/event-stream", text, false, 200)
            }
            Said::Stream(text) => ("text/event-stream", text.to_owned(), false, 200),
            Said::Status(status) => ("application/json", String::new(), false, status),
            Said::Nothing => std::future::pending().await,
        };
        let mut response = Response::new(UpstreamBody::full(body));
        *response.status_mut() = status.try_into().unwrap();
        response.headers_mut().insert(CONTENT_TYPE, media.parse().unwrap());
        if session {
            response.headers_mut().insert("mcp-session-id", "of-the-server".parse().unwrap());
        }
        Ok(response)
    }

    fn status(&self) -> UpstreamStatus {
        UpstreamStatus { reachable: true, ..UpstreamStatus::default() }
    }

    async fn shutdown(&self) {}
}

/// What a test has in its hands.
pub(crate) struct Bench {
    pub(crate) url: String,
    pub(crate) recorded: Recorded,
    pub(crate) client: reqwest::Client,
    pub(crate) calls: Arc<Mutex<u64>>,
    pub(crate) control: Control,
}

impl Bench {
    /// Sends a message as a client of 2026-07-28 does; the answer's status and text.
    pub(crate) async fn modern(&self, message: &str) -> (u16, String) {
        self.post(message, &[("mcp-protocol-version", "2026-07-28")]).await
    }

    pub(crate) async fn post(&self, message: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let response = self.send(message, headers).await;
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub(crate) async fn send(&self, message: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let request = self.client.post(&self.url).header("content-type", "application/json");
        let request = request.header("accept", "application/json, text/event-stream").body(message.to_owned());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.unwrap()
    }

    /// Opens a session of 2025-11-25 with a server that takes one; its id.
    pub(crate) async fn session(&self) -> String {
        let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
        let opened = self.send(initialize, &[]).await;
        let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        opened.text().await.unwrap();
        session
    }

    /// Asks for the messages that come unasked.
    pub(crate) async fn listen(&self, session: &str) -> reqwest::Response {
        let get = self.client.get(&self.url).header("accept", "text/event-stream");
        get.header("mcp-session-id", session).send().await.unwrap()
    }

    /// The same bench, for another client.
    pub(crate) fn again(&self) -> Self {
        let Self { url, recorded, client, calls, control } = self;
        let (recorded, client, control) = (recorded.clone(), client.clone(), control.clone());
        Self { url: url.clone(), recorded, client, calls: Arc::clone(calls), control }
    }

    /// How many calls came to the server.
    pub(crate) fn calls(&self) -> u64 {
        *self.calls.lock().unwrap()
    }
}

fn config(recording: &str) -> Config {
    let text = format!(
        "routes: [{{ name: r, match: {{ path: /mcp }}, targets: [{{ upstream: u }}], recording: all, \
         sessions: {{ mode: OPTIONAL }} }}]\n\
         upstreams: [{{ name: u, http: {{ endpoints: [{{ url: 'http://127.0.0.1:9/mcp?key=of-the-operator' }}] }} }}]\n\
         recordings: [{{ name: all{recording} }}]"
    );
    parse_local_in(&text, "", &|_| None).expect("valid").config
}

/// Runs `test` against a gateway that records as `recording` says, before a server that answers with `answer`.
pub(crate) async fn bench(
    recording: &str,
    answer: impl Fn(&Value) -> Said + Send + Sync + 'static,
    test: impl AsyncFnOnce(Bench),
) {
    let (recorded, calls) = (Recorded::default(), Arc::new(Mutex::new(0)));
    let scripted = Scripted { answer: Box::new(answer), calls: Arc::clone(&calls) };
    let builder = Gateway::builder(config(recording)).upstream("u", Arc::new(scripted));
    serve(builder, recorded, calls, test).await;
}

/// The same for a server that is a child process, as `stdio` says: a shell script behind further settings.
pub(crate) async fn child_bench(recording: &str, stdio: (&str, &str), test: impl AsyncFnOnce(Bench)) {
    let config = child_config(Some(recording), stdio);
    serve(Gateway::builder(config), Recorded::default(), Arc::default(), test).await;
}

/// A route to a child process, recorded as `recording` says if it says anything.
pub(crate) fn child_config(recording: Option<&str>, (more, script): (&str, &str)) -> Config {
    let route = recording.map_or("", |_| ", recording: all");
    let recordings = recording.map(|more| format!("recordings: [{{ name: all{more} }}]")).unwrap_or_default();
    let text = format!(
        "routes: [{{ name: r, match: {{ path: /mcp }}, targets: [{{ upstream: u }}]{route}, \
         sessions: {{ mode: OPTIONAL }} }}]\n\
         upstreams: [{{ name: u, stdio: {{ command: {}{more} }} }}]\n\
         {recordings}",
        serde_json::json!(["sh", "-c", script, "server", "--token", "argv-secret-0123456789"])
    );
    parse_local_in(&text, "", &|_| None).expect("valid").config
}

async fn serve(builder: GatewayBuilder, recorded: Recorded, calls: Arc<Mutex<u64>>, test: impl AsyncFnOnce(Bench)) {
    let gateway = builder
        .bind("127.0.0.1:0".parse().unwrap())
        .tape_sink(Box::new(Sink(recorded.clone(), 0)))
        .build()
        .await
        .unwrap();
    let url = format!("http://{}/mcp", gateway.local_addr().unwrap());
    let client = one_connection();
    let control = gateway.control();
    let testing = async {
        test(Bench { url, recorded, client, calls, control }).await;
        Stop::PROMPT
    };
    gateway.serve(testing).await;
}

/// A client that keeps to one connection, and so to one tape: over HTTP/1 it may open a second before the first is free.
fn one_connection() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap()
}

/// A result for whatever was asked.
pub(crate) fn result(message: &Value, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, message["id"])
}

/// What `members` of a record are, as one line.
pub(crate) fn told(record: &Value, members: &[&str]) -> String {
    members.iter().map(|member| format!("{member}={}", record[*member])).collect::<Vec<_>>().join(" ")
}
