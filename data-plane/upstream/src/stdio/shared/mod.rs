//! `Sharing::Shared`: one child for all sessions.
//!
//! What a session is to the child, it does not know: it is initialized once and sees one client. So
//!
//! - request ids and progress tokens are replaced by numbers on the way in and restored on the way out;
//! - later initializations are answered from the first one's result, version and capabilities included;
//! - the child cannot ask its clients anything: its requests are refused, but for `ping`;
//! - what it says unasked goes to the GET stream of every session, and to none where none is open;
//! - `subscriptions/listen` is refused, since its notifications carry the id of a request that the client would not know;
//! - a slow reader is cut off rather than waited for: the others must not feel it.
//!
//! Sessions end with the child.

mod multiplex;
mod switch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderValue, Response, StatusCode};
use shadowcat_mcp::header::SESSION_ID;
use shadowcat_mcp::{Envelope, Id, Kind};

use self::multiplex::{Initialized, Multiplex};
use super::INITIALIZE;
use super::context::Context;
use super::exchange::Unanswered;
use super::reply;
use super::session_id;
use crate::{Call, UpstreamBody, UpstreamError, Verb};

/// Whose message it is.
#[derive(Debug, Clone, Copy)]
struct Caller<'a> {
    session: Option<&'a str>,
    /// As the call names it, for observers.
    exchange: Option<u64>,
}

/// The one child of an upstream, while there is one.
pub(super) struct Shared {
    context: Arc<Context>,
    current: Mutex<Option<Arc<Multiplex>>>,
}

impl Shared {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context, current: Mutex::new(None) }
    }

    pub(super) async fn call(&self, call: Call) -> Result<Response<UpstreamBody>, UpstreamError> {
        let Call { verb, session, exchange, .. } = call;
        match (verb, session) {
            (Verb::Post(message), None) => self.without_session(Caller { session: None, exchange }, &message).await,
            (Verb::Get | Verb::Delete, None) => Ok(reply::not_without_session()),
            (verb, Some(session)) => {
                let current = self.current().clone();
                match current {
                    Some(multiplex) => {
                        let session = session.to_str().unwrap_or_default();
                        in_session(&multiplex, session, exchange, verb).await
                    }
                    None => Ok(reply::no_session()),
                }
            }
        }
    }

    /// Ends idle sessions, and the child when nobody has used it for long.
    pub(super) fn sweep(&self) {
        let mut current = self.current();
        if current.as_ref().is_some_and(|multiplex| multiplex.sweep()) {
            *current = None;
        }
    }

    /// Lets go of the child.
    pub(super) fn clear(&self) {
        *self.current() = None;
    }

    async fn without_session(
        &self,
        caller: Caller<'_>,
        message: &Envelope,
    ) -> Result<Response<UpstreamBody>, UpstreamError> {
        let Some(id) = message.id().filter(|_| message.kind() == Kind::Request) else {
            return Ok(reply::empty(StatusCode::ACCEPTED));
        };
        let multiplex = self.running().await?;
        if message.method() == Some(INITIALIZE) {
            return self.open(&multiplex, caller, id, message).await;
        }
        let answered = multiplex.ask(caller, id, message).await;
        answered.map_or_else(Unanswered::settle, |head| Ok(reply::response_alone(message, head)))
    }

    async fn open(
        &self,
        multiplex: &Multiplex,
        caller: Caller<'_>,
        id: Id<'_>,
        message: &Envelope,
    ) -> Result<Response<UpstreamBody>, UpstreamError> {
        let result = match multiplex.initialize(caller, id, message).await {
            Ok(Initialized::Accepted(result)) => result,
            Ok(Initialized::Refused(error)) => return Ok(reply::json(StatusCode::OK, error)),
            Err(unanswered) => return unanswered.settle(),
        };
        let session = session_id::mint(&self.context.name)?;
        let mut response = reply::json(StatusCode::OK, result);
        if let Ok(value) = HeaderValue::from_str(&session) {
            response.headers_mut().insert(SESSION_ID, value);
        }
        multiplex.remember(session)?;
        Ok(response)
    }

    /// The child, started if there is none.
    async fn running(&self) -> Result<Arc<Multiplex>, UpstreamError> {
        if let Some(multiplex) = self.living() {
            return Ok(multiplex);
        }
        let slot = self.context.slots.take().await?;
        let mut current = self.current();
        // Somebody else may have started it while this waited.
        if let Some(multiplex) = current.as_ref().filter(|multiplex| !multiplex.has_ended()) {
            return Ok(Arc::clone(multiplex));
        }
        let multiplex = Arc::new(Multiplex::start(&self.context, slot)?);
        *current = Some(Arc::clone(&multiplex));
        Ok(multiplex)
    }

    fn living(&self) -> Option<Arc<Multiplex>> {
        self.current().as_ref().filter(|multiplex| !multiplex.has_ended()).cloned()
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Multiplex>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn in_session(
    multiplex: &Multiplex,
    session: &str,
    exchange: Option<u64>,
    verb: Verb,
) -> Result<Response<UpstreamBody>, UpstreamError> {
    if !multiplex.knows(session) {
        return Ok(reply::no_session());
    }
    let caller = Caller { session: Some(session), exchange };
    let answered = match verb {
        Verb::Get => return Ok(multiplex.listen(session).map_or_else(reply::no_session, reply::stream)),
        Verb::Delete => {
            multiplex.forget(session);
            return Ok(reply::empty(StatusCode::NO_CONTENT));
        }
        Verb::Post(message) => match message.id().filter(|_| message.kind() == Kind::Request) {
            Some(id) => multiplex.ask(caller, id, &message).await.map(reply::response),
            None => multiplex.tell(session, exchange, &message).await.map(|()| reply::empty(StatusCode::ACCEPTED)),
        },
    };
    answered.or_else(Unanswered::settle)
}
