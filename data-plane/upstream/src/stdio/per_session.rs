//! `Sharing::PerSession`: every session has a child of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderValue, Response, StatusCode};
use shadowcat_mcp::header::SESSION_ID;
use shadowcat_mcp::{Envelope, Id, Kind};

use super::INITIALIZE;
use super::context::Context;
use super::conversation::Conversation;
use super::exchange::Unanswered;
use super::nursery::Nursery;
use super::observer::ChildEvent;
use super::reply::{self, Head};
use super::session_id;
use crate::{Call, UpstreamBody, UpstreamError, Verb};

/// The sessions of one upstream, each with its child, and the children that wait for work.
pub(super) struct PerSession {
    context: Arc<Context>,
    /// No more than there are slots for children.
    sessions: Mutex<HashMap<Box<str>, Arc<Conversation>>>,
    nursery: Arc<Nursery>,
}

impl PerSession {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { nursery: Nursery::new(Arc::clone(&context)), sessions: Mutex::default(), context }
    }

    pub(super) async fn call(&self, call: Call) -> Result<Response<UpstreamBody>, UpstreamError> {
        let Call { verb, session, exchange, .. } = call;
        let Some(id) = session else {
            return match verb {
                Verb::Post(message) => self.without_session(exchange, &message).await,
                Verb::Get | Verb::Delete => Ok(reply::not_without_session()),
            };
        };
        let id = id.to_str().unwrap_or_default();
        let Some(conversation) = self.sessions().get(id).cloned() else { return Ok(reply::no_session()) };
        match verb {
            Verb::Post(message) => self.post(id, &conversation, &message).await,
            Verb::Get => Ok(conversation.listen().map_or_else(|| self.over(id), reply::stream)),
            Verb::Delete => {
                self.forget(id);
                conversation.stop();
                Ok(reply::empty(StatusCode::NO_CONTENT))
            }
        }
    }

    /// Ends the sessions whose children have been idle too long, and stops idle children.
    pub(super) fn sweep(&self) {
        let limit = self.context.settings.stop_when_idle_for;
        let mut sessions = self.sessions();
        let before = sessions.len();
        sessions.retain(|_id, conversation| !conversation.stop_if_idle(limit));
        self.context.count_ended(before - sessions.len());
        drop(sessions);
        self.nursery.sweep();
    }

    /// Ends every session.
    pub(super) fn clear(&self) {
        let ended = self.sessions().drain().count();
        self.context.count_ended(ended);
        self.nursery.clear();
    }

    async fn post(
        &self,
        session: &str,
        conversation: &Conversation,
        message: &Envelope,
    ) -> Result<Response<UpstreamBody>, UpstreamError> {
        let answered = match message.id().filter(|_| message.kind() == Kind::Request) {
            Some(id) => conversation.ask(id, message).await.map(reply::response),
            None => conversation.tell(message.body().clone()).await.map(|()| reply::empty(StatusCode::ACCEPTED)),
        };
        if answered.as_ref().is_err_and(Unanswered::is_final) {
            self.forget(session);
        }
        answered.or_else(Unanswered::settle)
    }

    async fn without_session(
        &self,
        exchange: Option<u64>,
        message: &Envelope,
    ) -> Result<Response<UpstreamBody>, UpstreamError> {
        match message.id().filter(|_| message.kind() == Kind::Request) {
            Some(id) if message.method() == Some(INITIALIZE) => self.open(exchange, id, message).await,
            Some(id) => self.once(id, message).await,
            // Whom could it be for? No child has been told anything it could refer to.
            None => Ok(reply::empty(StatusCode::ACCEPTED)),
        }
    }

    /// Opens a session. If the client goes away meanwhile, or the server refuses, the child is stopped.
    async fn open(
        &self,
        exchange: Option<u64>,
        id: Id<'_>,
        message: &Envelope,
    ) -> Result<Response<UpstreamBody>, UpstreamError> {
        let conversation = self.nursery.fresh().await?;
        let head = match conversation.ask(id, message).await {
            Ok(Head::Error(refusal)) => return Ok(reply::json(StatusCode::OK, refusal)),
            Ok(head) => head,
            Err(unanswered) => return unanswered.settle(),
        };
        let session = session_id::mint(&self.context.name)?;
        let mut response = reply::response(head);
        if let Ok(value) = HeaderValue::from_str(&session) {
            response.headers_mut().insert(SESSION_ID, value);
        }
        if let Some(exchange) = exchange {
            self.context.tell(conversation.child(), ChildEvent::Session { exchange });
        }
        self.remember(session, conversation);
        let nursery = Arc::clone(&self.nursery);
        self.context.tasks.spawn(async move { nursery.prepare_spare() });
        Ok(response)
    }

    /// One call with a child to itself.
    async fn once(&self, id: Id<'_>, message: &Envelope) -> Result<Response<UpstreamBody>, UpstreamError> {
        let lease = self.nursery.lease().await?;
        let Some(conversation) = lease.conversation() else { return Ok(reply::no_session()) };
        match conversation.ask(id, message).await {
            Ok(Head::Stream(mut body)) => {
                body.hold(lease);
                Ok(reply::stream(body))
            }
            Ok(head) => Ok(reply::response_alone(message, head)),
            Err(unanswered) => unanswered.settle(),
        }
    }

    fn remember(&self, session: Box<str>, conversation: Conversation) {
        let mut sessions = self.sessions();
        // Living sessions hold a slot each. Those of children that ended wait for a call to tell, but not in any number.
        if sessions.len() >= self.context.slots.total() {
            let before = sessions.len();
            sessions.retain(|_id, conversation| !conversation.has_ended());
            self.context.count_ended(before - sessions.len());
        }
        sessions.insert(session, Arc::new(conversation));
        self.context.metrics.sessions.increment(1.0);
    }

    /// The answer in a session whose child is gone.
    fn over(&self, session: &str) -> Response<UpstreamBody> {
        self.forget(session);
        reply::no_session()
    }

    fn forget(&self, session: &str) {
        let known = self.sessions().remove(session).is_some();
        self.context.count_ended(usize::from(known));
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Conversation>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
