//! Upstream sessions that the gateway keeps for messages without one, so that a bare `curl` of `tools/call` works on a server
//! which demands a handshake.
//!
//! One session serves one call at a time. Two clients may use the same request id, and a server that asks its client a
//! question must not ask the wrong one; with a session to itself, a call needs no id rewritten and keeps its bytes.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use shadowcat_mcp::header::{PROTOCOL_VERSION, SESSION_ID};
use shadowcat_mcp::{Envelope, ErrorKind, GatewayError, Kind, Limits, ProtocolVersion};
use shadowcat_upstream::{Call, Upstream, UpstreamBody, Verb};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::initialize::Initialized;
use super::{Exchange, RouteRuntime};
use crate::refuse;

/// Calls without a session that may be under way at once at an upstream that keeps sessions. Each may cost a child process, and
/// whoever needs more opens a session. One more waits for [`HELD_WAIT`] and is refused as overloaded, which
/// `shadowcat_requests_total{outcome="failed"}` counts.
const HELD_MAX: usize = 16;

/// A call waits this long for a held session before it is refused as overloaded.
const HELD_WAIT: Duration = Duration::from_secs(1);

/// Ending the sessions at rest takes no longer than this; what a server has not heard of by then it expires by itself.
const END_WAIT: Duration = Duration::from_secs(1);

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const JSON_OR_EVENTS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// The held sessions of an upstream: at most [`HELD_MAX`].
#[derive(Debug)]
pub(crate) struct HeldSessions {
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Held>>>,
    /// Set once the upstream was seen to keep no sessions; read by every call without one.
    sessionless: RwLock<Option<ProtocolVersion>>,
}

/// An upstream session of ours.
#[derive(Debug, Clone)]
struct Held {
    /// Absent where the upstream keeps no sessions.
    id: Option<HeaderValue>,
    version: ProtocolVersion,
}

/// A held session while a call has it.
#[derive(Debug)]
pub(crate) struct HeldLease {
    held: Option<Held>,
    idle: Arc<Mutex<Vec<Held>>>,
    route: Arc<RouteRuntime>,
    tasks: TaskTracker,
    _permit: OwnedSemaphorePermit,
}

impl HeldSessions {
    pub(crate) fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(HELD_MAX)), idle: Arc::default(), sessionless: RwLock::default() }
    }

    /// Sends `message`, of the exchange with this number if it is recorded, in a held session; the lease belongs to the answer's end.
    pub(crate) async fn call(
        &self,
        exchange: &Exchange,
        headers: HeaderMap,
        message: Envelope,
        recorded: Option<u64>,
    ) -> Result<(Response<UpstreamBody>, Option<HeldLease>), GatewayError> {
        let route = &*exchange.route;
        if let Some(version) = self.without_sessions() {
            let held = Held { id: None, version };
            let response = send(route, &held, headers, (message, recorded)).await?;
            if response.status() == StatusCode::BAD_REQUEST {
                // It may want a session by now: the next call finds out.
                *self.sessionless.write().unwrap_or_else(PoisonError::into_inner) = None;
            }
            return Ok((response, None));
        }
        if message.kind() != Kind::Request {
            return Ok((accepted(), None));
        }
        let mut lease = self.lease(exchange).await?;
        let known = lease.held.clone();
        let held = match known {
            Some(held) => held,
            None => lease.open().await?,
        };
        self.note(&held);
        let (again, its_headers) = (message.clone(), headers.clone());
        let response = send(route, &held, headers, (message, recorded)).await?;
        if response.status() != StatusCode::NOT_FOUND || held.id.is_none() {
            // Many servers say 400 where they mean that the session is gone: the next call opens another.
            let keep = !response.status().is_client_error();
            return Ok((response, keep.then_some(lease)));
        }
        // The upstream has forgotten the session and so did nothing: the one retry runs the call for the first time.
        let held = lease.open().await?;
        let response = send(route, &held, its_headers, (again, recorded)).await?;
        Ok((response, Some(lease)))
    }

    /// True if no call has a session.
    pub(crate) fn are_at_rest(&self) -> bool {
        self.permits.available_permits() == HELD_MAX
    }

    /// Ends the sessions at rest: the upstream is not called any more.
    pub(crate) async fn end(&self, upstream: &dyn Upstream) {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        let ending = idle.into_iter().filter_map(|held| held.id).map(|id| upstream.call(Call::delete(id)));
        let _ = tokio::time::timeout(END_WAIT, join_all(ending)).await;
    }

    /// The version to speak with an upstream that was seen to keep no sessions: its calls need no turn.
    fn without_sessions(&self) -> Option<ProtocolVersion> {
        *self.sessionless.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, held: &Held) {
        let sessionless = held.id.is_none().then_some(held.version);
        if self.without_sessions() != sessionless {
            *self.sessionless.write().unwrap_or_else(PoisonError::into_inner) = sessionless;
        }
    }

    async fn lease(&self, exchange: &Exchange) -> Result<HeldLease, GatewayError> {
        let route = &exchange.route;
        let wait = tokio::time::timeout(HELD_WAIT, Arc::clone(&self.permits).acquire_owned());
        let Ok(Ok(permit)) = wait.await else {
            let message = format!(
                "{HELD_MAX} calls without a session are under way; send initialize to have a session of your own"
            );
            return Err(GatewayError::new(ErrorKind::Overloaded, message).on_route(&route.name).retry_after(HELD_WAIT));
        };
        let held = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (idle, tasks) = (Arc::clone(&self.idle), exchange.shared.tasks.clone());
        Ok(HeldLease { held, idle, route: Arc::clone(route), tasks, _permit: permit })
    }
}

impl HeldLease {
    /// A new session in place of the one it had, which is gone.
    async fn open(&mut self) -> Result<Held, GatewayError> {
        self.held = None;
        Ok(self.held.insert(open(&self.route).await?).clone())
    }

    /// Lets the next call have the session: this one's answer is complete.
    pub(crate) fn give_back(mut self) {
        if let Some(held) = self.held.take() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(held);
        }
    }
}

impl Drop for HeldLease {
    /// A call that was left in the middle takes its session with it: its late answer could be taken for the next call's.
    fn drop(&mut self) {
        let Some(session) = self.held.take().and_then(|held| held.id) else { return };
        self.route.abandon(session, &self.tasks);
    }
}

async fn send(
    route: &RouteRuntime,
    held: &Held,
    mut headers: HeaderMap,
    (message, exchange): (Envelope, Option<u64>),
) -> Result<Response<UpstreamBody>, GatewayError> {
    headers.entry(PROTOCOL_VERSION).or_insert(HeaderValue::from_static(held.version.as_str()));
    let call = Call { verb: Verb::Post(message), headers, session: held.id.clone(), exchange };
    route.call(call).await.map_err(|error| refuse::upstream_failed(&route.name, &error))
}

/// What a notification or response without a session comes to: there is no exchange it could belong to.
fn accepted() -> Response<UpstreamBody> {
    let mut response = Response::new(UpstreamBody::full(Bytes::new()));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// Opens an upstream session in the gateway's own name, with no capability that would let the server ask questions.
async fn open(route: &RouteRuntime) -> Result<Held, GatewayError> {
    let opening = serde_json::json!({
        "jsonrpc": "2.0", "id": "shadowcat", "method": "initialize",
        "params": {
            "protocolVersion": ProtocolVersion::LATEST_LEGACY.as_str(),
            "capabilities": {},
            "clientInfo": { "name": "shadowcat", "version": env!("CARGO_PKG_VERSION") },
        },
    });
    let response = post(route, &opening, None).await?;
    let id = response.headers().get(SESSION_ID).cloned();
    let initialized = Initialized::read(route, response).await?;
    let version = initialized.version(route)?;
    let held = Held { id, version };
    let done = serde_json::json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    post(route, &done, Some(&held)).await?;
    Ok(held)
}

async fn post(
    route: &RouteRuntime,
    message: &serde_json::Value,
    held: Option<&Held>,
) -> Result<Response<UpstreamBody>, GatewayError> {
    let message = Envelope::read(Bytes::from(message.to_string()), Limits::default())
        .map_err(|error| GatewayError::from(&error))?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(ACCEPT, JSON_OR_EVENTS);
    if let Some(held) = held {
        headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(held.version.as_str()));
    }
    let session = held.and_then(|held| held.id.clone());
    let call = Call { verb: Verb::Post(message), headers, session, exchange: None };
    route.call(call).await.map_err(|error| refuse::upstream_failed(&route.name, &error))
}
