//! What the tests share: calls, answers, counters, and stdio servers that misbehave on request.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use metrics::{Counter, CounterFn};
use serde_json::{Value, json};
use shadowcat_mcp::{Envelope, Limits, sse};
use shadowcat_upstream::reaper::Reaper;
use shadowcat_upstream::{
    Call, Sharing, StdioSettings, StdioUpstream, Upstream, UpstreamBody, UpstreamError, UpstreamMetrics, Verb,
};

/// Longest event of a test.
const MAX_EVENT: usize = 1024 * 1024;

/// How long a test waits for what must come. Generous: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks. On the tests' one thread every task that can go on has done so by the next.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// So many equal looks are rest: longer than TCP delays an acknowledgement or asks again whether its peer has room.
const STILL_LOOKS: u32 = 50;

pub(crate) fn post(message: &Value, session: Option<&HeaderValue>) -> Call {
    post_text(message.to_string(), session)
}

pub(crate) fn post_text(message: impl Into<Bytes>, session: Option<&HeaderValue>) -> Call {
    let message = Envelope::read(message.into(), Limits::default()).expect("a message");
    Call { verb: Verb::Post(message), headers: HeaderMap::new(), session: session.cloned(), exchange: None }
}

pub(crate) fn get(session: &HeaderValue) -> Call {
    Call { verb: Verb::Get, headers: HeaderMap::new(), session: Some(session.clone()), exchange: None }
}

pub(crate) fn delete(session: &HeaderValue) -> Call {
    Call { verb: Verb::Delete, headers: HeaderMap::new(), session: Some(session.clone()), exchange: None }
}

pub(crate) fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// A request that wants progress under `token`.
pub(crate) fn with_token(id: u64, method: &str, token: &str, count: usize) -> Value {
    request(id, method, &json!({"count": count, "_meta": {"progressToken": token}}))
}

pub(crate) async fn body(response: Response<UpstreamBody>) -> Bytes {
    response.into_body().collect().await.expect("a whole body").to_bytes()
}

/// A JSON answer.
pub(crate) async fn message(response: Response<UpstreamBody>) -> Value {
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/json");
    serde_json::from_slice(&body(response).await).expect("JSON")
}

/// The messages of a stream.
pub(crate) async fn events(response: Response<UpstreamBody>) -> Vec<Value> {
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = Events::of(response);
    let mut all = Vec::new();
    while let Some(event) = events.next().await {
        all.push(event.expect("no failure"));
    }
    all
}

/// A stream, message by message.
pub(crate) struct Events {
    body: UpstreamBody,
    decoder: sse::Decoder,
}

impl Events {
    pub(crate) fn of(response: Response<UpstreamBody>) -> Self {
        Self { body: response.into_body(), decoder: sse::Decoder::new(MAX_EVENT) }
    }

    pub(crate) async fn next(&mut self) -> Option<Result<Value, UpstreamError>> {
        loop {
            if let Some(event) = self.decoder.next().expect("events of moderate length") {
                let data = event.data().expect("data");
                return Some(Ok(serde_json::from_slice(&data).expect("JSON")));
            }
            let mut chunks = Vec::new();
            match poll_fn(|cx| Pin::new(&mut self.body).poll_burst(cx, &mut chunks)).await? {
                Ok(()) => chunks.into_iter().for_each(|chunk| self.decoder.push(chunk)),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    pub(crate) async fn next_message(&mut self) -> Value {
        self.next().await.expect("an open stream").expect("no failure")
    }
}

/// A counter that can be read.
#[derive(Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn new() -> (Arc<Self>, Counter) {
        let count = Arc::new(Self::default());
        (Arc::clone(&count), Counter::from_arc(count))
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// The server of `server.py`.
pub(crate) fn python() -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/upstream/server.py");
    ["python3", "-S", script].map(str::to_owned).to_vec()
}

/// A server that is a shell script.
pub(crate) fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

pub(crate) fn settings(command: Vec<String>) -> StdioSettings {
    StdioSettings::new("files", command)
}

pub(crate) fn shared(command: Vec<String>) -> StdioSettings {
    StdioSettings { sharing: Sharing::Shared, ..settings(command) }
}

pub(crate) fn upstream(settings: StdioSettings) -> StdioUpstream {
    StdioUpstream::new(settings, Reaper::absent(), UpstreamMetrics::default())
}

/// Opens a session: its id, and the child's process id.
pub(crate) async fn open(upstream: &StdioUpstream) -> (HeaderValue, i32) {
    let response = upstream.call(post(&request(0, "initialize", &json!({})), None)).await.expect("an answer");
    let session = response.headers()["mcp-session-id"].clone();
    let answer = message(response).await;
    assert_eq!(answer["id"], 0);
    (session, pid(&answer["result"]))
}

pub(crate) fn pid(result: &Value) -> i32 {
    result["pid"].as_i64().and_then(|pid| pid.try_into().ok()).expect("a process id")
}

/// One request in a session, answered with JSON.
pub(crate) async fn ask(upstream: &StdioUpstream, session: &HeaderValue, message_: &Value) -> Value {
    message(upstream.call(post(message_, Some(session))).await.expect("an answer")).await
}

/// Waits until `seen` is true.
pub(crate) async fn until(what: &str, mut seen: impl FnMut() -> bool) {
    let waiting = async {
        while !seen() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never seen: {what}");
}

/// What `look` sees once it sees the same [`STILL_LOOKS`] times in a row; `None` is something in motion.
pub(crate) async fn at_rest<T: PartialEq + Copy>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let (mut seen, mut same) = (None, 0);
    let waiting = async {
        loop {
            let now = look();
            same = if now.is_some() && now == seen { same + 1 } else { 0 };
            seen = now;
            match seen {
                Some(seen) if same >= STILL_LOOKS => return seen,
                _ => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never at rest: {what}"))
}

/// A process, seen from outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(pub(crate) i32);

impl Process {
    /// Bytes it has written, to wherever.
    pub(crate) fn written(self) -> u64 {
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.0)).expect("a living process");
        let written = io.lines().find_map(|line| line.strip_prefix("wchar: ")).expect("a count of bytes");
        written.parse().expect("a number")
    }

    /// Whether it waits for something, rather than runs or wants to.
    pub(crate) fn waits(self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).expect("a living process");
        // Behind the name, which stands in parentheses and may hold others.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
    }
}

/// True while a process of the group is left.
pub(crate) fn group_lives(leader: i32) -> bool {
    let leader = rustix::process::Pid::from_raw(leader).expect("a process id");
    rustix::process::test_kill_process_group(leader).is_ok()
}
