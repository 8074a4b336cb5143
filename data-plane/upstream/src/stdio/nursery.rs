//! Children that wait for work: one spare for the next session, and those that answer calls without a session.
//!
//! A call without a session has a child to itself for as long as it lasts, so its ids need no rewriting. A child that
//! has answered goes back to the idle ones. One that still owes an answer when its client goes away is stopped: what it
//! says later would reach the next client, and the end of its input cancels the call as clearly as a message would.
//!
//! Bounds: every child, idle or busy, holds one of the upstream's slots. Where none is free a call waits for a slot or a
//! returning child, whichever comes first, and is refused as overloaded after [`QUEUE_WAIT`](crate::slots::QUEUE_WAIT).

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::context::Context;
use super::conversation::Conversation;
use crate::UpstreamError;

/// The waiting children of one upstream.
pub(super) struct Nursery {
    context: Arc<Context>,
    waiting: Mutex<Waiting>,
    /// Told when a child comes back.
    returned: Notify,
}

#[derive(Default)]
struct Waiting {
    /// Fresh, for the next session: what it has been told before would be part of the session's state.
    spare: Option<Conversation>,
    /// Used, for calls without a session; the last one in is the first one out, so that the others can be stopped.
    idle: Vec<Conversation>,
}

impl Nursery {
    pub(super) fn new(context: Arc<Context>) -> Arc<Self> {
        Arc::new(Self { context, waiting: Mutex::default(), returned: Notify::new() })
    }

    /// A fresh child: the spare one, or a new one. Where no slot is free, an idle child makes room.
    pub(super) async fn fresh(&self) -> Result<Conversation, UpstreamError> {
        let spare = self.waiting().spare.take();
        if let Some(spare) = spare.filter(Conversation::is_at_rest) {
            return Ok(spare);
        }
        if let Some(slot) = self.context.slots.try_take() {
            return Conversation::start(&self.context, slot);
        }
        let longest_idle = {
            let idle = &mut self.waiting().idle;
            (!idle.is_empty()).then(|| idle.remove(0))
        };
        drop(longest_idle);
        Conversation::start(&self.context, self.context.slots.take().await?)
    }

    /// Makes the next session quick to open. Does nothing if there is a spare, or no slot for one.
    pub(super) fn prepare_spare(&self) {
        if self.waiting().spare.is_some() {
            return;
        }
        let Some(slot) = self.context.slots.try_take() else { return };
        // A failure is noted where it is made; the next session meets it again and reports it.
        if let Ok(spare) = Conversation::start(&self.context, slot) {
            self.waiting().spare = Some(spare);
        }
    }

    /// A child for one call without a session.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease, UpstreamError> {
        let mut slot = pin!(self.context.slots.take());
        let conversation = loop {
            if let Some(idle) = self.pop() {
                break idle;
            }
            tokio::select! {
                biased;
                slot = &mut slot => break Conversation::start(&self.context, slot?)?,
                () = self.returned.notified() => {}
            }
        };
        Ok(Lease { nursery: Arc::clone(self), conversation: Some(conversation) })
    }

    /// Stops what has waited too long, or has ended.
    pub(super) fn sweep(&self) {
        let limit = self.context.settings.stop_when_idle_for;
        let of_use = |child: &Conversation| child.is_at_rest() && !child.stop_if_idle(limit);
        let mut waiting = self.waiting();
        waiting.idle.retain(of_use);
        if waiting.spare.as_ref().is_some_and(|spare| !of_use(spare)) {
            waiting.spare = None;
        }
    }

    /// Stops every waiting child.
    pub(super) fn clear(&self) {
        *self.waiting() = Waiting::default();
    }

    fn pop(&self) -> Option<Conversation> {
        let mut waiting = self.waiting();
        while let Some(idle) = waiting.idle.pop() {
            if idle.is_at_rest() {
                return Some(idle);
            }
        }
        None
    }

    fn take_back(&self, conversation: Conversation) {
        self.waiting().idle.push(conversation);
        self.returned.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A child for one call. Dropping it gives the child back, or stops it if it still owes an answer.
pub(super) struct Lease {
    nursery: Arc<Nursery>,
    /// Present until dropped.
    conversation: Option<Conversation>,
}

impl Lease {
    pub(super) fn conversation(&self) -> Option<&Conversation> {
        self.conversation.as_ref()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(conversation) = self.conversation.take().filter(Conversation::is_at_rest) {
            self.nursery.take_back(conversation);
        }
    }
}
