//! An MCP client over Streamable HTTP that does what a test tells it to and no more: it never retries, reconnects or resumes.

mod events;
mod failure;
mod reply;
mod trust;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode, Version};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::{Value, json};

pub use events::{Event, Events};
pub use failure::Failure;
pub use reply::Reply;
pub use trust::secured;

use trust::Connector;

const VERSION: &str = "2025-11-25";
const SESSION_HEADER: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION_HEADER: HeaderName = HeaderName::from_static("mcp-protocol-version");

type Http = hyper_util::client::legacy::Client<Connector, Full<Bytes>>;

/// A client at one URL, with or without a session. Clones share the session, the connections and the request ids.
#[derive(Debug, Clone)]
pub struct Client {
    http: Http,
    url: String,
    headers: HeaderMap,
    ids: Arc<AtomicU64>,
}

/// A JSON-RPC request as text.
pub fn message(id: u64, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

impl Client {
    /// One without a session, which sends what every client of MCP sends.
    pub fn to(url: impl Into<String>) -> Self {
        Self::over(url, http_client().build(trust::nobody()))
    }

    /// As [`to`](Self::to), over HTTP/2 without asking first.
    pub fn over_http2(url: impl Into<String>) -> Self {
        Self::over(url, http_client().http2_only(true).build(trust::nobody()))
    }

    /// As [`to`](Self::to), over TLS with the one server whose certificate lies at `certificate`, offering `versions` of HTTP.
    pub fn over_tls(url: impl Into<String>, certificate: &Path, versions: &[Version]) -> Self {
        Self::over(url, http_client().build(trust::only(certificate, versions)))
    }

    fn over(url: impl Into<String>, http: Http) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        Self { http, url: url.into(), headers, ids: Arc::new(AtomicU64::new(1)) }
    }

    /// One with a new session.
    ///
    /// # Panics
    ///
    /// If the session is refused.
    pub async fn connect(url: impl Into<String>) -> Self {
        Self::to(url).open_session().await.unwrap_or_else(|failure| panic!("initialize: {failure}"))
    }

    /// `initialize` and `notifications/initialized`.
    pub async fn open_session(mut self) -> Result<Self, Failure> {
        let params = json!({ "protocolVersion": VERSION, "capabilities": { "elicitation": {} },
            "clientInfo": { "name": "scenario", "version": "1" } });
        let reply = self.send(message(self.next_id(), "initialize", &params)).await?;
        let session = reply.header(&SESSION_HEADER).cloned();
        let result = reply.result().await?;
        let version = result["protocolVersion"].as_str().unwrap_or(VERSION);
        self.headers.insert(VERSION_HEADER, version.parse().expect("a version is a header value"));
        if let Some(session) = session {
            self.headers.insert(SESSION_HEADER, session);
        }
        let initialized = self.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await?;
        match initialized.status() {
            StatusCode::ACCEPTED => Ok(self),
            status => Err(Failure::unreadable(status, "notifications/initialized was not accepted")),
        }
    }

    /// The same client, session included, at another URL.
    pub fn at(&self, url: impl Into<String>) -> Self {
        Self { url: url.into(), ..self.clone() }
    }

    /// The same client, sending `value` as `name` from now on.
    pub fn with(&self, name: &'static str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.insert(HeaderName::from_static(name), value.parse().expect("a header value"));
        client
    }

    /// The same client, no longer sending `name`.
    pub fn without(&self, name: &'static str) -> Self {
        let mut client = self.clone();
        client.headers.remove(name);
        client
    }

    /// The id of its session.
    pub fn session(&self) -> Option<&str> {
        self.headers.get(&SESSION_HEADER).and_then(|id| id.to_str().ok())
    }

    /// Calls a tool and waits for its result.
    pub async fn call(&self, tool: &str, arguments: Value) -> Result<Value, Failure> {
        self.start(tool, arguments).await?.result().await
    }

    /// As [`call`](Self::call): the text of the result.
    pub async fn call_text(&self, tool: &str, arguments: Value) -> Result<String, Failure> {
        let result = self.call(tool, arguments).await?;
        Ok(result["content"][0]["text"].as_str().unwrap_or_default().to_owned())
    }

    /// Calls a tool and returns when the head of the answer is there.
    pub async fn start(&self, tool: &str, arguments: Value) -> Result<Reply, Failure> {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }

    /// Sends a request and returns when the head of the answer is there.
    #[allow(clippy::needless_pass_by_value, reason = "callers write the parameters in place")]
    pub async fn request(&self, method: &str, params: Value) -> Result<Reply, Failure> {
        self.send(message(self.next_id(), method, &params)).await
    }

    /// Posts `body` as it is.
    pub async fn send(&self, body: impl Into<Bytes>) -> Result<Reply, Failure> {
        self.exchange(Method::POST, body.into()).await
    }

    /// Opens the stream for what the server says unasked.
    pub async fn listen(&self) -> Result<Reply, Failure> {
        self.with("accept", "text/event-stream").without("content-type").exchange(Method::GET, Bytes::new()).await
    }

    /// Goes on with a stream after the event with this id.
    pub async fn resume(&self, last_event_id: &str) -> Result<Reply, Failure> {
        self.with("last-event-id", last_event_id).listen().await
    }

    /// Ends its session.
    pub async fn end_session(&self) -> Result<Reply, Failure> {
        self.exchange(Method::DELETE, Bytes::new()).await
    }

    /// Sends a request of another method.
    pub async fn exchange(&self, method: Method, body: Bytes) -> Result<Reply, Failure> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.url.parse().expect("the harness makes valid URLs");
        *request.headers_mut() = self.headers.clone();
        let response = self.http.request(request).await.map_err(|error| Failure::broken(&error))?;
        Ok(Reply::new(response))
    }

    fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }
}

fn http_client() -> hyper_util::client::legacy::Builder {
    let mut builder = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
    // A retry of the transport's own would hide what the gateway did.
    builder.retry_canceled_requests(false).pool_timer(TokioTimer::new());
    builder
}
