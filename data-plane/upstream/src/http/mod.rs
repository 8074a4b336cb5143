//! Servers that speak Streamable HTTP (MCP 2025-03-26 and later).
//!
//! An exchange is one request on one pooled connection. What the client sent goes on as it is, and the body is the bytes of
//! the message. Nothing that may have run is repeated here.

mod answer;
mod connect;
mod dials;
mod failure;
mod link;
mod pool;
mod resting;
mod settings;
#[cfg(test)]
mod tests;
mod trunk;
mod trunks;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::Full;
use shadowcat_mcp::header::{SESSION_ID, strip_hop_by_hop};

pub(crate) use self::answer::Answer;
pub use self::settings::{HttpSettings, InvalidUrl};

use self::pool::{Answered, Pool};
use crate::body::Idle;
use crate::slots::{Slot, Slots};
use crate::{Call, Upstream, UpstreamBody, UpstreamError, UpstreamMetrics, UpstreamStatus, Verb, Why};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const JSON_AND_EVENTS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// A Streamable HTTP server behind a pool of connections. Dropping it closes the idle ones.
pub struct HttpUpstream {
    settings: HttpSettings,
    host: HeaderValue,
    pool: Pool,
    slots: Arc<Slots>,
    /// False after a failure; read on every success, written only when it changes.
    reachable: AtomicBool,
    last_error: Mutex<Option<String>>,
}

impl HttpUpstream {
    /// An upstream that connects when it is first called.
    ///
    /// # Errors
    /// The endpoint is not an absolute `http` or `https` URL.
    pub fn new(settings: HttpSettings, metrics: &UpstreamMetrics) -> Result<Self, InvalidUrl> {
        let (host, security) = settings.endpoint()?;
        let slots = Slots::new(
            settings.name.as_str().into(),
            "connections",
            settings.max_connections,
            metrics.in_flight.clone(),
            metrics,
        );
        Ok(Self {
            pool: Pool::new(&settings, security),
            host,
            slots,
            settings,
            reachable: AtomicBool::new(true),
            last_error: Mutex::new(None),
        })
    }

    async fn exchange(&self, call: Call) -> Result<Response<UpstreamBody>, UpstreamError> {
        let slot = self.slots.take().await?;
        let idle = match &call.verb {
            Verb::Get => Idle::never(),
            // A subscription may have nothing to say for as long as a GET stream (MCP 2026-07-28, "Subscriptions").
            Verb::Post(message) if message.method() == Some("subscriptions/listen") => Idle::never(),
            Verb::Post(_) | Verb::Delete => Idle::after(self.settings.idle),
        };
        let answered = self.pool.request(&self.settings, self.request(call)).await?;
        Ok(wrap(answered, idle, slot))
    }

    fn request(&self, call: Call) -> Request<Full<Bytes>> {
        let (method, accept, body) = match call.verb {
            Verb::Post(message) => (Method::POST, JSON_AND_EVENTS, message.into_body()),
            Verb::Get => (Method::GET, EVENTS, Bytes::new()),
            Verb::Delete => (Method::DELETE, JSON, Bytes::new()),
        };
        let mut headers = call.headers;
        if method == Method::POST {
            headers.entry(CONTENT_TYPE).or_insert(JSON);
        }
        // Ours, not the client's: it is the gateway that reads the answer, and `*/*` satisfies a gateway but not every server.
        headers.insert(ACCEPT, accept);
        if let Some(session) = call.session {
            headers.insert(SESSION_ID, session);
        }
        self.own_headers(&mut headers);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        request
    }

    /// Sets what is the gateway's to say, and removes what described the client's own message transfer: the length is
    /// taken from the body, encodings are not read here, and `100-continue` was answered where the body was received.
    fn own_headers(&self, headers: &mut HeaderMap) {
        headers.remove(CONTENT_LENGTH);
        headers.remove(ACCEPT_ENCODING);
        headers.remove(EXPECT);
        headers.insert(HOST, self.host.clone());
        for (name, value) in &self.settings.headers {
            headers.insert(name, value.clone());
        }
    }

    fn note(&self, outcome: &Result<Response<UpstreamBody>, UpstreamError>) {
        match outcome {
            Ok(_) => {
                if !self.reachable.load(Ordering::Relaxed) {
                    self.reachable.store(true, Ordering::Relaxed);
                }
            }
            // The gateway's own bound says nothing about the server.
            Err(error) if error.why == Why::Overloaded => {}
            Err(error) => {
                self.reachable.store(false, Ordering::Relaxed);
                *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.detail.clone());
            }
        }
    }
}

/// The server's answer as ours: no hop-by-hop headers, and a body with its bound and its slot.
fn wrap(answered: Answered, idle: Idle, slot: Slot) -> Response<UpstreamBody> {
    let Answered { response, held } = answered;
    let (mut head, incoming) = response.into_parts();
    strip_hop_by_hop(&mut head.headers);
    Response::from_parts(head, UpstreamBody::http(Answer::new(incoming, held, idle, slot)))
}

#[async_trait]
impl Upstream for HttpUpstream {
    fn name(&self) -> &str {
        &self.settings.name
    }

    async fn call(&self, call: Call) -> Result<Response<UpstreamBody>, UpstreamError> {
        let outcome = self.exchange(call).await;
        self.note(&outcome);
        outcome
    }

    fn status(&self) -> UpstreamStatus {
        UpstreamStatus {
            reachable: self.reachable.load(Ordering::Relaxed),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            in_flight: self.slots.in_use(),
            children: 0,
        }
    }

    /// Refuses further calls. Exchanges under way go on until their bodies are dropped, and their connections with them; the
    /// others close when the upstream is dropped.
    async fn shutdown(&self) {
        self.slots.close();
    }
}
