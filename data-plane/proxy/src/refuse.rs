//! Errors of ours as a client receives them.

use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response};
use shadowcat_mcp::{ErrorKind, GatewayError};
use shadowcat_session::StoreError;
use shadowcat_upstream::{Stage, UpstreamError, Why};

use crate::route::RouteRuntime;
use crate::stream::GatewayBody;

/// A store that refused is asked again after this many seconds.
const STORE_RETRY_SECONDS: u64 = 1;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The answer that says `error`; `id` is the JSON text of the request's id, where it could be read.
pub(crate) fn answer(error: &GatewayError, id: Option<&str>) -> Response<GatewayBody> {
    let mut response = Response::new(GatewayBody::full(error.to_json(id)));
    *response.status_mut() = error.kind().status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    match error.kind() {
        ErrorKind::MethodNotAllowed => {
            headers.insert(ALLOW, HeaderValue::from_static("GET, POST, DELETE"));
        }
        // What is left of the body is not worth reading.
        ErrorKind::TooLarge | ErrorKind::TooSlow => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    if let Some(seconds) = error.retry_after_seconds() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// An upstream's failure in the words of the error table.
pub(crate) fn upstream_failed(route: &str, error: &UpstreamError) -> GatewayError {
    let kind = match error.why {
        Why::Unreachable => ErrorKind::UpstreamUnreachable,
        Why::TimedOut => ErrorKind::UpstreamTimedOut,
        Why::BrokeProtocol => ErrorKind::UpstreamBrokeProtocol,
        Why::Overloaded => ErrorKind::Overloaded,
    };
    let failure = GatewayError::new(kind, error.to_string())
        .on_route(route)
        .at_upstream(&error.upstream)
        .in_stage(stage(error.stage));
    if error.sent { failure.may_have_run() } else { failure }
}

/// An upstream that began to answer and did not come to the end of a small answer.
pub(crate) fn too_slow(route: &RouteRuntime) -> GatewayError {
    let wait = route.config.timeouts.request;
    let text = format!("upstream {} did not finish its answer within {wait:?} (timeouts.request)", route.target.name);
    GatewayError::new(ErrorKind::UpstreamTimedOut, text)
        .on_route(&route.name)
        .at_upstream(&route.target.name)
        .in_stage("body")
        .may_have_run()
}

/// An upstream that answered, but not as the protocol allows; `what` goes on from "upstream NAME".
pub(crate) fn broke_protocol(route: &RouteRuntime, what: &str) -> GatewayError {
    GatewayError::new(ErrorKind::UpstreamBrokeProtocol, format!("upstream {} {what}", route.target.name))
        .on_route(&route.name)
        .at_upstream(&route.target.name)
        .in_stage("body")
}

const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Queue => "queue",
        Stage::Connect => "connect",
        Stage::Spawn => "spawn",
        Stage::Write => "write",
        Stage::FirstByte => "first_byte",
        Stage::Body => "body",
    }
}

/// The session store's refusal.
pub(crate) fn store_failed(route: &str, error: &StoreError) -> GatewayError {
    let kind = match error {
        StoreError::RouteFull { .. } | StoreError::PrincipalFull { .. } => ErrorKind::Overloaded,
        StoreError::Conflict | StoreError::Unavailable(_) => ErrorKind::NotReady,
    };
    let message = match kind {
        ErrorKind::Overloaded => format!("{error}; end one with DELETE or wait until one expires"),
        _ => format!("sessions cannot be looked up right now ({error}); try again"),
    };
    let after = std::time::Duration::from_secs(STORE_RETRY_SECONDS);
    GatewayError::new(kind, message).on_route(route).retry_after(after)
}
