//! The opening of a legacy session: the server answers, the gateway mints (MCP 2025-11-25, "Lifecycle"; "Transports", session
//! management).

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{HeaderValue, Response};
use shadowcat_config::SessionMode;
use shadowcat_mcp::header::{SESSION_ID, is_event_stream};
use shadowcat_mcp::sse::Decoder;
use shadowcat_mcp::{Envelope, ErrorKind, GatewayError, Kind, Limits, ProtocolVersion};
use shadowcat_session::{NewSession, Owner, Principal, StoreError, UpstreamSession};
use shadowcat_upstream::{Call, UpstreamBody, Verb};

use super::headers::for_upstream;
use super::{Exchange, Refusal, RouteRuntime, SessionsLive};
use crate::observe::Outcome;
use crate::refuse::{self, broke_protocol};
use crate::stream::{Account, Answer, GatewayBody, gather};

/// Capabilities are kept with the session, on every replica that serves it; those of real peers are below 1 KiB.
const CAPABILITIES_BYTES_MAX: usize = 64 * 1024;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Passes `initialize` on and, if the server accepts, opens the session.
///
/// The answer goes out as JSON even if the server streamed it: our session id stands in the response head, and which
/// version was agreed on is known only when the answer has been read.
pub(super) async fn open(
    exchange: &Exchange,
    headers: HeaderMap,
    message: Envelope,
    account: &mut Account,
) -> Result<Response<GatewayBody>, Refusal> {
    let answer = Answer::to(exchange, &message);
    let route = &exchange.route;
    let client_capabilities: Arc<str> = message.capabilities().unwrap_or("{}").into();
    if client_capabilities.len() > CAPABILITIES_BYTES_MAX {
        let text = format!("params.capabilities is larger than {CAPABILITIES_BYTES_MAX} bytes: declare less");
        return Err(answer.refusal(GatewayError::new(ErrorKind::InvalidRequest, text)));
    }
    if let Err(away) = exchange.shared.store.health() {
        // Before the server opens a session that we could not keep.
        return Err(answer.refusal(refuse::store_failed(&route.name, &StoreError::Unavailable(away))));
    }
    let recorded = account.exchange();
    account.may_run().map_err(|error| answer.refusal(error))?;
    let call = Call { verb: Verb::Post(message), headers: for_upstream(headers), session: None, exchange: recorded };
    let response = route.call(call).await.map_err(|error| answer.refuse(&error))?;
    if !response.status().is_success() {
        return answer.relay(response, None, account).await;
    }
    let (upstream_id, status) = (response.headers().get(SESSION_ID).cloned(), response.status());
    let initialized = Initialized::read(route, response).await.map_err(|error| answer.refusal(error))?;
    let mut reply = Response::new(GatewayBody::full(initialized.bytes.clone()));
    reply.headers_mut().insert(CONTENT_TYPE, JSON);
    if initialized.answer.kind() != Kind::Response {
        account.settle(Outcome::ServerError);
        if let Some(tap) = account.tap() {
            tap.answer(&initialized.answer, status, reply.headers());
        }
        return Ok(reply);
    }
    if upstream_id.is_some() || route.config.sessions.mode == SessionMode::Required {
        let opened = create(exchange, &initialized, client_capabilities, upstream_id.clone()).await;
        match opened {
            Ok(id) => {
                account.opened(&id);
                reply.headers_mut().insert(SESSION_ID, id);
            }
            Err(error) => {
                if let Some(session) = upstream_id {
                    route.abandon(session, &exchange.shared.tasks);
                }
                if let Some(tap) = account.tap() {
                    tap.rejected(initialized.bytes);
                }
                return Err(answer.refusal(error));
            }
        }
    }
    if let Some(tap) = account.tap() {
        tap.answer(&initialized.answer, status, reply.headers());
    }
    account.settle(Outcome::Ok);
    Ok(reply)
}

async fn create(
    exchange: &Exchange,
    initialized: &Initialized,
    client_capabilities: Arc<str>,
    upstream_id: Option<HeaderValue>,
) -> Result<HeaderValue, GatewayError> {
    let Exchange { route, shared } = exchange;
    let upstream_id = match upstream_id.map(|id| id.to_str().map(Arc::from)).transpose() {
        Ok(id) => id,
        Err(_) => return Err(broke_protocol(route, "minted a session id outside visible ASCII")),
    };
    let new = NewSession {
        route: Arc::clone(&route.name),
        principal: Principal::anonymous(),
        upstream: UpstreamSession { name: Arc::clone(&route.target.name), id: upstream_id },
        protocol_version: initialized.version(route)?,
        client_capabilities,
        server_capabilities: initialized.capabilities(route)?,
        owner: (route.target.sessions == SessionsLive::Here).then(|| Owner { instance: Arc::clone(&shared.instance) }),
        idle_timeout: route.config.sessions.idle_timeout,
        max_per_route: route.config.sessions.max,
    };
    let session = shared.store.create(new).await.map_err(|error| refuse::store_failed(&route.name, &error))?;
    HeaderValue::from_str(&session.id.to_string())
        .map_err(|_| GatewayError::new(ErrorKind::Internal, "the session id is not a header value"))
}

/// A server's answer to `initialize`.
pub(super) struct Initialized {
    /// The JSON-RPC response as the server wrote it.
    pub(super) bytes: Bytes,
    answer: Envelope,
}

impl Initialized {
    /// Reads the answer, whether it came as JSON or as the one response of an event stream.
    pub(super) async fn read(route: &RouteRuntime, response: Response<UpstreamBody>) -> Result<Self, GatewayError> {
        let streamed = response.headers().get(CONTENT_TYPE).is_some_and(is_event_stream);
        let status = response.status();
        let mut body = response.into_body();
        let reading =
            async { if streamed { first_response(route, &mut body).await } else { whole(route, &mut body).await } };
        let wait = route.config.timeouts.request;
        let bytes = tokio::time::timeout(wait, reading).await.map_err(|_elapsed| refuse::too_slow(route))??;
        let answer = Envelope::read(bytes.clone(), Limits::default()).map_err(|error| {
            broke_protocol(route, &format!("answered initialize (status {}) with {error}", status.as_u16()))
        })?;
        if !matches!(answer.kind(), Kind::Response | Kind::ErrorResponse) {
            return Err(broke_protocol(route, "answered initialize without a response"));
        }
        Ok(Self { bytes, answer })
    }

    /// The server's capabilities, as JSON text.
    fn capabilities(&self, route: &RouteRuntime) -> Result<Arc<str>, GatewayError> {
        let capabilities = self.answer.capabilities().unwrap_or("{}");
        if capabilities.len() > CAPABILITIES_BYTES_MAX {
            return Err(broke_protocol(route, "declared more capabilities than a session keeps"));
        }
        Ok(capabilities.into())
    }

    /// The version the server chose.
    pub(super) fn version(&self, route: &RouteRuntime) -> Result<ProtocolVersion, GatewayError> {
        let chosen = self.answer.protocol_version().unwrap_or_default();
        chosen.parse().map_err(|error| broke_protocol(route, &format!("answered initialize, but: {error}")))
    }
}

async fn whole(route: &RouteRuntime, body: &mut UpstreamBody) -> Result<Bytes, GatewayError> {
    let limit = Limits::default().size;
    let bytes = gather(body, limit).await.map_err(|error| refuse::upstream_failed(&route.name, &error))?;
    if bytes.len() > limit {
        return Err(broke_protocol(route, "answered initialize with more than fits a message"));
    }
    Ok(bytes)
}

/// The data of the first event that is a response; what a server says before it belongs to no session yet.
async fn first_response(route: &RouteRuntime, body: &mut UpstreamBody) -> Result<Bytes, GatewayError> {
    use http_body_util::BodyExt;
    let mut decoder = Decoder::new(Limits::default().size);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| refuse::upstream_failed(&route.name, &error))?;
        decoder.push(frame.into_data().unwrap_or_default());
        while let Some(event) = decoder.next().map_err(|error| broke_protocol(route, &error.to_string()))? {
            let Some(data) = event.data().filter(|data| !data.is_empty()) else { continue };
            let is_response = Envelope::read(data.clone(), Limits::default())
                .is_ok_and(|message| matches!(message.kind(), Kind::Response | Kind::ErrorResponse));
            if is_response {
                return Ok(data);
            }
        }
    }
    Err(broke_protocol(route, "closed its event stream before it answered initialize"))
}
