//! What a client is told when its upstream has answered: the same bytes, once they have been seen to be an answer.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ALT_SVC, CONNECTION,
    CONTENT_LENGTH, CONTENT_TYPE, LOCATION, SET_COOKIE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::Body;
use shadowcat_mcp::header::{SESSION_ID, is_event_stream, is_json};
use shadowcat_mcp::{Envelope, GatewayError, Id, Kind, Limits, RequestId};
use shadowcat_upstream::{UpstreamBody, UpstreamError};

use super::events::{Awaits, EventStream, EventStreamSettings};
use super::{Account, EventLog, GatewayBody};
use crate::drain::Drain;
use crate::observe::Outcome;
use crate::refuse::{self, broke_protocol};
use crate::route::{Exchange, Refusal};

/// JSON answers up to this size are read whole and checked before a byte goes out, so that a server that lies is an honest
/// error; larger ones are passed on as they come.
const CHECKED_BYTES_MAX: usize = 64 * 1024;

/// What an upstream says to its own client only. CORS, cookies and where else it can be reached are the gateway's to say.
const ENDING_HERE: [HeaderName; 8] = [
    SESSION_ID,
    CONNECTION,
    SET_COOKIE,
    LOCATION,
    ALT_SVC,
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
];

/// Tells reverse proxies in front of us not to hold events back (MCP 2026-07-28, "Transports").
pub(super) const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The answer that is due to one message.
#[derive(Debug)]
pub(crate) struct Answer {
    exchange: Exchange,
    kind: Due,
    /// Its stream ends when its client says so, and a drain does not wait for it (MCP 2026-07-28, "Subscriptions").
    endless: bool,
}

#[derive(Debug)]
enum Due {
    /// To a request: a response with this id.
    Response { id: RequestId, json: Arc<str> },
    /// To a notification or a response: that it was taken.
    Receipt,
    /// To a GET: a stream.
    Stream,
}

impl Answer {
    pub(crate) fn to(exchange: &Exchange, message: &Envelope) -> Self {
        let kind = match (message.kind(), message.id()) {
            (Kind::Request, Some(id)) => Due::Response { id: id.to_owned(), json: id.as_json().into() },
            _ => Due::Receipt,
        };
        Self { exchange: exchange.clone(), kind, endless: message.method() == Some("subscriptions/listen") }
    }

    pub(crate) fn to_nothing(exchange: &Exchange) -> Self {
        Self { exchange: exchange.clone(), kind: Due::Stream, endless: true }
    }

    /// To the request that a resumed stream answers, given by its id's JSON text.
    pub(crate) fn resumed(exchange: &Exchange, request: Option<&str>) -> Self {
        let due =
            request.and_then(|json| Some(Due::Response { id: Id::from_json(json)?.to_owned(), json: json.into() }));
        let endless = due.is_none();
        Self { exchange: exchange.clone(), kind: due.unwrap_or(Due::Stream), endless }
    }

    /// The id of the request, as JSON text.
    pub(crate) fn request_json(&self) -> Option<Arc<str>> {
        match &self.kind {
            Due::Response { json, .. } => Some(Arc::clone(json)),
            Due::Receipt | Due::Stream => None,
        }
    }

    pub(crate) fn refusal(&self, error: GatewayError) -> Refusal {
        Refusal { error: Box::new(error), id: self.request_json().map(|json| (*json).into()) }
    }

    pub(crate) fn refuse(&self, error: &UpstreamError) -> Refusal {
        self.refusal(refuse::upstream_failed(&self.exchange.route.name, error))
    }

    /// Turns the upstream's answer into the client's. `log` is there in a session: its event streams can be resumed.
    pub(crate) async fn relay(
        self,
        response: Response<UpstreamBody>,
        log: Option<EventLog>,
        account: &mut Account,
    ) -> Result<Response<GatewayBody>, Refusal> {
        let (mut head, body) = response.into_parts();
        for name in &ENDING_HERE {
            head.headers.remove(name);
        }
        head.extensions.clear();
        let body = match media(&head.headers) {
            Media::Events if head.status.is_success() => {
                // Event ids of ours make it another length.
                head.headers.remove(CONTENT_LENGTH);
                head.headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
                GatewayBody::events(self.stream(body, log, account))
            }
            Media::Json if matches!(self.kind, Due::Response { .. }) => {
                self.checked((head.status, &head.headers), body, account).await.map_err(|error| self.refusal(error))?
            }
            media => match &self.kind {
                // A page or an empty body is no answer to a call.
                Due::Response { .. } => return Err(self.refusal(self.not_an_answer(head.status, &head.headers))),
                Due::Receipt | Due::Stream => {
                    let refused = media == Media::Events || !head.status.is_success();
                    account.settle(if refused { Outcome::ServerError } else { Outcome::Ok });
                    if let Some(tap) = account.tap() {
                        tap.receipt(head.status, &head.headers);
                    }
                    GatewayBody::relayed(Bytes::new(), body)
                }
            },
        };
        Ok(Response::from_parts(head, body))
    }

    /// The upstream's events, with what is needed to number, log and finish them.
    fn stream(&self, body: UpstreamBody, log: Option<EventLog>, account: &mut Account) -> EventStream {
        let (trace, tap) = (account.trace().map(Into::into), account.take_tap());
        let Exchange { route, shared } = &self.exchange;
        let awaits = match &self.kind {
            Due::Response { id, .. } => Awaits::Answer(id.clone()),
            Due::Receipt | Due::Stream => Awaits::Nothing,
        };
        let leaving = || Box::pin(route.target.leaving.clone().cancelled_owned());
        let reconnect = self.endless.then(|| (leaving(), Drain::reconnect_after()));
        let settings = EventStreamSettings {
            awaits,
            log,
            route: Arc::clone(&route.name),
            upstream: Arc::clone(&route.target.name),
            trace,
            tap,
            reconnect,
            tasks: shared.tasks.clone(),
            drain: shared.drain.clone(),
            detached: Arc::clone(&shared.detached),
            open: route.calls.streams.clone(),
        };
        EventStream::new(body, settings)
    }

    /// A JSON answer, read whole and checked where it is small.
    async fn checked(
        &self,
        head: (StatusCode, &HeaderMap),
        mut body: UpstreamBody,
        account: &mut Account,
    ) -> Result<GatewayBody, GatewayError> {
        let (status, headers) = head;
        let route = &self.exchange.route;
        let reading = gather(&mut body, CHECKED_BYTES_MAX);
        let begin = tokio::time::timeout(route.config.timeouts.request, reading)
            .await
            .map_err(|_elapsed| refuse::too_slow(route))?
            .map_err(|error| refuse::upstream_failed(&route.name, &error))?;
        if !body.is_end_stream() && begin.len() > CHECKED_BYTES_MAX {
            let gathering = account.take_tap().map(|tap| tap.gather(&begin, status, headers));
            return Ok(GatewayBody::relayed(begin, body).gathered(gathering));
        }
        match self.check(status, begin.clone()) {
            Ok((outcome, message)) => {
                account.settle(outcome);
                if let Some(tap) = account.tap() {
                    tap.answer(&message, status, headers);
                }
                Ok(GatewayBody::full(begin))
            }
            Err(error) => {
                if let Some(tap) = account.tap() {
                    tap.rejected(begin);
                }
                Err(error)
            }
        }
    }

    /// The message, and how it ends the call.
    fn check(&self, status: StatusCode, bytes: Bytes) -> Result<(Outcome, Envelope), GatewayError> {
        let message = Envelope::read(bytes, Limits::default())
            .map_err(|error| broke_protocol(&self.exchange.route, &format!("answered with {error}")))?;
        Ok((self.outcome(status, &message)?, message))
    }

    fn outcome(&self, status: StatusCode, message: &Envelope) -> Result<Outcome, GatewayError> {
        let Due::Response { id: expected, json } = &self.kind else { return Ok(Outcome::Ok) };
        let answers = message.id().map(|id| id.to_owned() == *expected);
        match (message.kind(), answers) {
            (Kind::Response, Some(true)) if message.is_error_result() => Ok(Outcome::ToolError),
            (Kind::Response, Some(true)) => Ok(Outcome::Ok),
            // An error may leave the id out (MCP 2025-11-25, "Transports").
            (Kind::ErrorResponse, Some(true) | None) => Ok(Outcome::ServerError),
            (_, Some(false)) => {
                Err(broke_protocol(&self.exchange.route, &format!("answered request {json} with another id")))
            }
            _ => Err(broke_protocol(
                &self.exchange.route,
                &format!("answered request {json} (status {}) without a response", status.as_u16()),
            )),
        }
    }

    fn not_an_answer(&self, status: StatusCode, headers: &HeaderMap) -> GatewayError {
        let media = headers
            .get(CONTENT_TYPE)
            .map_or("no content type".into(), |value| String::from_utf8_lossy(value.as_bytes()));
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "; give the upstream credentials under headers",
            StatusCode::NOT_FOUND => "; check the path of its URL",
            _ => "",
        };
        broke_protocol(
            &self.exchange.route,
            &format!(
                "answered with status {} and {media}, which is neither JSON nor an event stream{hint}",
                status.as_u16()
            ),
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Media {
    Json,
    Events,
    Other,
}

fn media(headers: &HeaderMap) -> Media {
    match headers.get(CONTENT_TYPE) {
        Some(value) if is_json(value) => Media::Json,
        Some(value) if is_event_stream(value) => Media::Events,
        _ => Media::Other,
    }
}

/// Reads up to a little more than `limit` bytes, without a copy when they come in one piece.
pub(crate) async fn gather(body: &mut UpstreamBody, limit: usize) -> Result<Bytes, UpstreamError> {
    use http_body_util::BodyExt;
    let mut first: Option<Bytes> = None;
    let mut whole = bytes::BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        match (&first, whole.is_empty()) {
            (None, true) => first = Some(data),
            (Some(_), _) => {
                whole.extend_from_slice(&first.take().unwrap_or_default());
                whole.extend_from_slice(&data);
            }
            (None, false) => whole.extend_from_slice(&data),
        }
        if first.as_ref().map_or(whole.len(), Bytes::len) > limit || body.is_end_stream() {
            break;
        }
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}
