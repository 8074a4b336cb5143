//! Messages of 2024-11-05 to 2025-11-25 on Streamable HTTP: `initialize` opens a session, and what follows names it.

use std::sync::Arc;

use http::header::HeaderMap;
use http::{HeaderValue, Response, StatusCode};
use shadowcat_config::SessionMode;
use shadowcat_mcp::header::{LAST_EVENT_ID, SESSION_ID, accepts};
use shadowcat_mcp::{Envelope, ErrorKind, GatewayError, Kind};
use shadowcat_session::{EventId, Principal, Session, SessionId, StreamHead};
use shadowcat_upstream::{Call, UpstreamBody, UpstreamError, Verb};

use super::headers::{for_upstream, supply_version};
use super::{Exchange, Refusal, header_version, initialize};
use crate::observe::Short;
use crate::refuse;
use crate::stream::{Account, Answer, EventLog, GatewayBody, resume};

/// A POST: `initialize`, a message of a session, or, where the route allows it, a message without one.
pub(crate) async fn post(
    exchange: Exchange,
    headers: HeaderMap,
    message: Envelope,
    account: &mut Account,
) -> Result<Response<GatewayBody>, Refusal> {
    if let Err(error) = header_version(&headers) {
        return Err(Refusal::of(&message, error));
    }
    if message.kind() == Kind::Request && message.method() == Some("initialize") {
        // The rare ways are boxed, so that the common one does not carry room for them.
        return Box::pin(initialize::open(&exchange, headers, message, account)).await;
    }
    match session_id(&headers) {
        Some(id) => match find(&exchange, id).await {
            Ok(session) => post_in(exchange, session, headers, message, account).await,
            Err(error) => Err(Refusal::of(&message, error)),
        },
        None => Box::pin(post_without(exchange, headers, message, account)).await,
    }
}

/// A message of a session.
async fn post_in(
    exchange: Exchange,
    session: Arc<Session>,
    headers: HeaderMap,
    message: Envelope,
    account: &mut Account,
) -> Result<Response<GatewayBody>, Refusal> {
    let answer = Answer::to(&exchange, &message);
    let head =
        answer.request_json().map(|id| StreamHead { request_id: Some(id), writer: exchange.shared.instance.clone() });
    let mut headers = for_upstream(headers);
    supply_version(&mut headers, &session);
    let recorded = account.exchange();
    let call = Call { verb: Verb::Post(message), headers, session: upstream_id(&session), exchange: recorded };
    if let Some(tap) = account.tap() {
        tap.speaks(session.protocol_version);
    }
    account.go().map_err(|error| answer.refusal(error))?;
    let response = exchange.route.call(call).await.map_err(|error| answer.refuse(&error))?;
    if lost(&session, &response) {
        forget(&exchange, &session).await;
        return Err(answer.refusal(ErrorKind::SessionUnknown.into()));
    }
    let log = head.map(|head| EventLog::new(Arc::clone(&exchange.shared.store), session.id, head));
    answer.relay(response, log, account).await
}

/// A message that names no session, on a route that allows it: in an upstream session which the gateway keeps for such messages.
async fn post_without(
    exchange: Exchange,
    headers: HeaderMap,
    message: Envelope,
    account: &mut Account,
) -> Result<Response<GatewayBody>, Refusal> {
    if exchange.route.config.sessions.mode == SessionMode::Required {
        return Err(Refusal::of(&message, ErrorKind::SessionRequired.into()));
    }
    let answer = Answer::to(&exchange, &message);
    account.go().map_err(|error| answer.refusal(error))?;
    let response = exchange.route.target.held.call(&exchange, for_upstream(headers), message, account.exchange()).await;
    let (response, lease) = response.map_err(|error| answer.refusal(error))?;
    if let Some(lease) = lease {
        account.keep(lease);
    }
    answer.relay(response, None, account).await
}

/// A GET: the stream of what the server sends unasked, or the rest of a stream that broke.
pub(crate) async fn listen(
    exchange: Exchange,
    headers: HeaderMap,
    account: &mut Account,
) -> Result<Response<GatewayBody>, Refusal> {
    header_version(&headers)?;
    if !accepts(&headers).event_stream {
        let message = "a GET opens an event stream: send Accept: text/event-stream";
        return Err(GatewayError::new(ErrorKind::NotAcceptable, message).into());
    }
    let Some(id) = session_id(&headers) else {
        if exchange.route.config.sessions.mode == SessionMode::Required {
            return Err(GatewayError::from(ErrorKind::SessionRequired).into());
        }
        let answer = Answer::to_nothing(&exchange);
        let call = Call { verb: Verb::Get, headers: for_upstream(headers), session: None, exchange: None };
        account.go()?;
        let response = exchange.route.call(call).await.map_err(|error| answer.refuse(&error))?;
        return answer.relay(response, None, account).await;
    };
    let session = find(&exchange, id).await?;
    let resumed = headers.get(LAST_EVENT_ID).map(parse_event_id).transpose()?;
    let mut headers = for_upstream(headers);
    headers.remove(LAST_EVENT_ID);
    supply_version(&mut headers, &session);
    if let Some(last) = resumed {
        return Box::pin(resume(exchange, session, last, headers, account)).await;
    }
    let answer = Answer::to_nothing(&exchange);
    account.go()?;
    let response = call_get(&exchange, &session, headers).await.map_err(|error| answer.refuse(&error))?;
    if lost(&session, &response) {
        forget(&exchange, &session).await;
        return Err(GatewayError::from(ErrorKind::SessionUnknown).into());
    }
    let head = StreamHead { request_id: None, writer: exchange.shared.instance.clone() };
    let log = EventLog::new(Arc::clone(&exchange.shared.store), session.id, head);
    answer.relay(response, Some(log), account).await
}

/// The upstream's stream of what it sends unasked, or of what `Last-Event-ID` says was missed.
pub(crate) async fn call_get(
    exchange: &Exchange,
    session: &Session,
    headers: HeaderMap,
) -> Result<Response<UpstreamBody>, UpstreamError> {
    exchange.route.call(Call { verb: Verb::Get, headers, session: upstream_id(session), exchange: None }).await
}

/// A DELETE: the client is done with its session.
pub(crate) async fn end_session(
    exchange: Exchange,
    headers: HeaderMap,
    account: &mut Account,
) -> Result<Response<GatewayBody>, Refusal> {
    let id = session_id(&headers).ok_or(GatewayError::from(ErrorKind::SessionRequired))?;
    let session = find(&exchange, id).await?;
    account.go()?;
    // A client that is told its session has ended must be able to rely on it, on every replica.
    let deleted = exchange.shared.store.delete(&session.id).await;
    deleted.map_err(|error| refuse::store_failed(&exchange.route.name, &error))?;
    let mut headers = for_upstream(headers);
    supply_version(&mut headers, &session);
    if session.upstream.id.is_some() {
        let call = Call { verb: Verb::Delete, headers, session: upstream_id(&session), exchange: None };
        // Ours is over whatever the upstream says: it may refuse with 405, and it expires sessions by itself.
        if let Err(error) = exchange.route.call(call).await {
            tracing::debug!(session = %Short(&session.id), %error, "upstream session not ended");
        }
    }
    let mut response = Response::new(GatewayBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// The session a request names, if it is this route's and this caller's and can be served here.
async fn find(exchange: &Exchange, id: Option<SessionId>) -> Result<Arc<Session>, GatewayError> {
    let id = id.ok_or(ErrorKind::SessionUnknown)?;
    let store = &exchange.shared.store;
    let session = match store.peek(&id) {
        Some(session) => session,
        None => {
            let found = store.get(&id).await.map_err(|error| refuse::store_failed(&exchange.route.name, &error))?;
            found.ok_or(ErrorKind::SessionUnknown)?
        }
    };
    let ours = *session.route == *exchange.route.name
        && *session.upstream.name == *exchange.route.target.name
        && session.principal == Principal::anonymous()
        && session.owner.as_ref().is_none_or(|owner| owner.instance == exchange.shared.instance);
    // Somebody else's session looks like none at all.
    if ours { Ok(session) } else { Err(ErrorKind::SessionUnknown.into()) }
}

/// The session header: `None` without one, `Some(None)` if no gateway can have minted it.
#[expect(clippy::option_option, reason = "absent and forged are refused differently")]
fn session_id(headers: &HeaderMap) -> Option<Option<SessionId>> {
    headers.get(SESSION_ID).map(|value| value.to_str().ok().and_then(|text| SessionId::parse(text).ok()))
}

fn upstream_id(session: &Session) -> Option<HeaderValue> {
    session.upstream.id.as_ref().and_then(|id| HeaderValue::from_str(id).ok())
}

/// The upstream no longer knows its half of the session.
fn lost<B>(session: &Session, response: &Response<B>) -> bool {
    response.status() == StatusCode::NOT_FOUND && session.upstream.id.is_some()
}

async fn forget(exchange: &Exchange, session: &Session) {
    if let Err(error) = exchange.shared.store.delete(&session.id).await {
        tracing::warn!(session = %Short(&session.id), %error, "session not deleted; it expires when idle");
    }
}

fn parse_event_id(value: &HeaderValue) -> Result<EventId, GatewayError> {
    value.to_str().ok().and_then(|text| EventId::parse(text.trim()).ok()).ok_or(ErrorKind::ResumptionRefused.into())
}
