//! A child with the one client it talks to.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use shadowcat_mcp::{Envelope, Id};

use super::INITIALIZE;
use super::child::Child;
use super::context::Context;
use super::exchange::{Unanswered, exchange, tell};
use super::exclusive::Exclusive;
use super::reply::{self, Head};
use crate::slots::Slot;
use crate::{UpstreamBody, UpstreamError};

/// A child and its inbox. Dropping it stops the child.
pub(super) struct Conversation {
    context: Arc<Context>,
    child: Child,
    inbox: Arc<Exclusive>,
}

impl Conversation {
    pub(super) fn start(context: &Arc<Context>, slot: Slot) -> Result<Self, UpstreamError> {
        let inbox = Exclusive::new(Arc::clone(context));
        let child = Child::start(context, Arc::clone(&inbox), slot)?;
        Ok(Self { context: Arc::clone(context), child, inbox })
    }

    /// The child's number, as observers know it.
    pub(super) fn child(&self) -> u64 {
        self.child.number()
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn ask(&self, id: Id<'_>, request: &Envelope) -> Result<Head, Unanswered> {
        let token = request.progress_token().map(Id::to_owned);
        let head = self.inbox.expect(id.to_owned(), token);
        let head = head.map_err(|refusal| Unanswered::refused(&self.context.name, Some(id), &refusal))?;
        let cancellable = request.method() != Some(INITIALIZE);
        let cancel = cancellable.then(|| reply::cancelled(id.as_json(), self.context.settings.first_byte));
        exchange(&self.context, &self.child, request.body().clone(), head, cancel).await
    }

    /// Sends a message that needs no answer.
    pub(super) async fn tell(&self, message: Bytes) -> Result<(), Unanswered> {
        self.inbox.touch().map_err(|refusal| Unanswered::refused(&self.context.name, None, &refusal))?;
        tell(&self.context, &self.child, message).await
    }

    /// Opens the stream for what was not asked for; `None` if the child is gone.
    pub(super) fn listen(&self) -> Option<UpstreamBody> {
        self.inbox.listen()
    }

    /// Begins to stop the child. Calls in flight learn of its end; further ones are refused.
    pub(super) fn stop(&self) {
        self.inbox.retire();
        self.child.stop();
    }

    /// Stops the child if nobody has used or is waiting on it for `limit`.
    pub(super) fn stop_if_idle(&self, limit: Duration) -> bool {
        let idle = self.inbox.retire_if_idle(limit);
        if idle {
            self.child.stop();
        }
        idle
    }

    /// True once the child is gone, or about to go.
    pub(super) fn has_ended(&self) -> bool {
        self.inbox.has_ended()
    }

    /// True if the child lives and owes nobody an answer.
    pub(super) fn is_at_rest(&self) -> bool {
        self.inbox.is_at_rest()
    }
}
