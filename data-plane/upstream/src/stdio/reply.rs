//! The answer to one call, in the shape of Streamable HTTP (2025-11-25, "Transports"): JSON if the answer is the first
//! thing the child says about the call, else a stream of events that ends with it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use shadowcat_mcp::{Envelope, Kind, sse};
use tokio::sync::oneshot;

use super::context::{Context, Ticket};
use crate::body::Idle;
use crate::{FrameSender, Stage, UpstreamBody, UpstreamError};

/// Messages a stream holds before its reader is slow. Servers send progress a few times a second; this is a burst of it.
/// What happens at the bound depends on who else uses the child: see `exclusive` and `shared`.
pub(super) const STREAM_CAPACITY: usize = 64;

/// What `data: ` and the line ends add to a message.
const EVENT_FRAME: usize = 8;

/// JSON-RPC 2.0, section 5.1.
const METHOD_NOT_FOUND: i64 = -32601;

/// Of 2026-07-28: a version the server does not speak, a capability the client lacks, a header that says something else than the body.
const UNSUPPORTED_VERSION: i64 = -32022;
const HEADER_MISMATCH: i64 = -32020;

/// How an answer begins.
pub(super) enum Head {
    /// It is whole: one response with a result.
    Result(Bytes),
    /// It is whole: one response with an error.
    Error(Bytes),
    /// Something else came first.
    Stream(UpstreamBody),
}

pub(super) type Outcome = Result<Head, UpstreamError>;

/// Where the messages of one call go. Dropping it without an answer breaks the call off.
pub(super) struct Sink {
    state: State,
    _ticket: Ticket,
}

enum State {
    Waiting(oneshot::Sender<Outcome>),
    Streaming(FrameSender),
}

impl Sink {
    /// A sink, and the end at which the call waits for its head.
    pub(super) fn new(context: &Arc<Context>) -> (Self, oneshot::Receiver<Outcome>) {
        let (head, waiting) = oneshot::channel();
        (Self { state: State::Waiting(head), _ticket: Ticket::new(context) }, waiting)
    }

    /// False once the client went away.
    pub(super) fn is_open(&self) -> bool {
        match &self.state {
            State::Waiting(head) => !head.is_closed(),
            State::Streaming(frames) => !frames.is_closed(),
        }
    }

    /// The stream of the answer; asking for it makes the answer one.
    pub(super) fn stream(&mut self, context: &Context) -> FrameSender {
        if let State::Streaming(frames) = &self.state {
            return frames.clone();
        }
        let (frames, body) =
            UpstreamBody::frames(Arc::clone(&context.name), STREAM_CAPACITY, Idle::after(context.settings.idle));
        if let State::Waiting(head) = std::mem::replace(&mut self.state, State::Streaming(frames.clone())) {
            // A client that went away takes its body with it, which the stream then notices.
            let _ = head.send(Ok(Head::Stream(body)));
        }
        frames
    }

    /// Ends the call with its response: at once, or through the stream that is returned.
    ///
    /// # Errors
    /// The client went away, and took no notice.
    pub(super) fn finish(self, kind: Kind, response: Bytes) -> Result<Option<FrameSender>, Abandoned> {
        let waiting = match self.state {
            State::Streaming(frames) => return Ok(Some(frames)),
            State::Waiting(waiting) => waiting,
        };
        let head = if kind == Kind::ErrorResponse { Head::Error(response) } else { Head::Result(response) };
        waiting.send(Ok(head)).map(|()| None).map_err(|_| Abandoned)
    }

    /// Breaks the call off, with what `error` makes of the stage it had reached.
    pub(super) fn fail(self, error: impl FnOnce(Stage) -> UpstreamError) {
        match self.state {
            // Nobody waits if nobody receives.
            State::Waiting(head) => _ = head.send(Err(error(Stage::FirstByte))),
            State::Streaming(frames) => frames.fail(error(Stage::Body)),
        }
    }
}

/// The client of a call went away.
#[derive(Debug)]
pub(super) struct Abandoned;

/// A message as one event without an id: whoever resumes streams gives them ids.
pub(super) fn event(message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(message.len() + EVENT_FRAME);
    sse::encode(&mut out, None, None, None, message);
    out.freeze()
}

/// The response to a message that stands alone. Since 2026-07-28 its status says which error the body holds ("Transports", "Error
/// responses"); a child knows nothing of statuses.
pub(super) fn response_alone(message: &Envelope, head: Head) -> Response<UpstreamBody> {
    let modern = message.meta_protocol_version().is_some();
    match head {
        Head::Error(error) if modern => json(status_of(&error), error),
        head => response(head),
    }
}

fn status_of(error: &[u8]) -> StatusCode {
    let error: serde_json::Value = serde_json::from_slice(error).unwrap_or_default();
    match error["error"]["code"].as_i64() {
        Some(METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(UNSUPPORTED_VERSION..=HEADER_MISMATCH) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

/// The response that begins with `head`.
pub(super) fn response(head: Head) -> Response<UpstreamBody> {
    match head {
        Head::Result(message) | Head::Error(message) => json(StatusCode::OK, message),
        Head::Stream(body) => stream(body),
    }
}

pub(super) fn json(status: StatusCode, message: impl Into<Bytes>) -> Response<UpstreamBody> {
    let mut response = Response::new(UpstreamBody::full(message));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) fn stream(body: UpstreamBody) -> Response<UpstreamBody> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

pub(super) fn empty(status: StatusCode) -> Response<UpstreamBody> {
    let mut response = Response::new(UpstreamBody::empty());
    *response.status_mut() = status;
    response
}

/// A session that has ended, or never was: the client has to start anew (2025-11-25, "Transports", session management).
pub(super) fn no_session() -> Response<UpstreamBody> {
    const TEXT: &str = r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"There is no such session: send initialize without a session id"}}"#;
    json(StatusCode::NOT_FOUND, TEXT)
}

/// GET and DELETE without a session have no object.
pub(super) fn not_without_session() -> Response<UpstreamBody> {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

/// A JSON-RPC error that answers the request with the JSON id `id`.
pub(super) fn error(id: &str, code: i32, message: &str) -> Bytes {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"{message}"}}}}"#).into()
}

/// The notification by which a caller gives up on its request (2025-11-25, "Cancellation"; "Lifecycle", timeouts).
pub(super) fn cancelled(id: &str, limit: Duration) -> Bytes {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"no answer within {limit:?}"}}}}"#
    )
    .into()
}
