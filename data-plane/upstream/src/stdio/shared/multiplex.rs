//! A child that talks to many clients and believes they are one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use shadowcat_mcp::{Envelope, Id, Limits};
use tokio::sync::OnceCell;

use super::super::INITIALIZE;
use super::super::child::Child;
use super::super::context::Context;
use super::super::exchange::{Unanswered, exchange, tell};
use super::super::observer::{ChildEvent, Passed};
use super::super::reply::{self, Head};
use super::Caller;
use super::switch::Switch;
use crate::slots::Slot;
use crate::{Stage, UpstreamBody, UpstreamError, Why};

/// JSON-RPC 2.0, section 5.1.
const METHOD_NOT_FOUND: i32 = -32601;

const LISTEN: &str = "subscriptions/listen";
const INITIALIZED: &str = "notifications/initialized";
const CANCELLED: &str = "notifications/cancelled";

/// A child, its inbox, and what it agreed on with its first client. Dropping it stops the child.
pub(super) struct Multiplex {
    context: Arc<Context>,
    child: Child,
    switch: Arc<Switch>,
    /// The response to the first `initialize`. Whoever comes while it is under way waits for it.
    agreed: OnceCell<Envelope>,
    /// The child has been told that its one client is ready.
    announced: AtomicBool,
}

/// The answer to an `initialize`.
pub(super) enum Initialized {
    /// The response, with the client's own id.
    Accepted(Bytes),
    /// The server's error, with the client's own id.
    Refused(Bytes),
}

/// Why the first initialization brought no result.
enum NotAgreed {
    Refused(Bytes),
    Unanswered(Unanswered),
}

impl Multiplex {
    pub(super) fn start(context: &Arc<Context>, slot: Slot) -> Result<Self, UpstreamError> {
        let switch = Switch::new(Arc::clone(context));
        let child = Child::start(context, Arc::clone(&switch), slot)?;
        Ok(Self {
            context: Arc::clone(context),
            child,
            switch,
            agreed: OnceCell::new(),
            announced: AtomicBool::new(false),
        })
    }

    /// Initializes the child, or answers as it did the first time.
    ///
    /// If the first client goes away before it has its answer, the next one initializes the child again, which servers
    /// bear.
    pub(super) async fn initialize(
        &self,
        caller: Caller<'_>,
        id: Id<'_>,
        message: &Envelope,
    ) -> Result<Initialized, Unanswered> {
        match self.agreed.get_or_try_init(|| self.agree(caller, id, message)).await {
            Ok(agreed) => Ok(Initialized::Accepted(agreed.with_id(id.as_json()))),
            Err(NotAgreed::Refused(error)) => Ok(Initialized::Refused(error)),
            Err(NotAgreed::Unanswered(unanswered)) => Err(unanswered),
        }
    }

    async fn agree(&self, caller: Caller<'_>, id: Id<'_>, message: &Envelope) -> Result<Envelope, NotAgreed> {
        match self.exchange(Caller { session: None, ..caller }, id, message).await.map_err(NotAgreed::Unanswered)? {
            Head::Error(error) => Err(NotAgreed::Refused(error)),
            Head::Result(result) => reread(result).ok_or_else(|| NotAgreed::Unanswered(self.broke_protocol())),
            Head::Stream(_) => Err(NotAgreed::Unanswered(self.broke_protocol())),
        }
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn ask(&self, caller: Caller<'_>, id: Id<'_>, request: &Envelope) -> Result<Head, Unanswered> {
        match request.method() {
            Some(INITIALIZE) => match self.initialize(caller, id, request).await? {
                Initialized::Accepted(result) => Ok(Head::Result(result)),
                Initialized::Refused(error) => Ok(Head::Error(error)),
            },
            Some(LISTEN) => {
                let text = "This server is shared among sessions, where subscriptions cannot be told apart: set sharing to PER_SESSION";
                Ok(Head::Error(reply::error(id.as_json(), METHOD_NOT_FOUND, text)))
            }
            _ => self.exchange(caller, id, request).await,
        }
    }

    async fn exchange(&self, caller: Caller<'_>, id: Id<'_>, request: &Envelope) -> Result<Head, Unanswered> {
        let expected = self.switch.expect(caller, id, request.progress_token());
        let (number, head) = expected.map_err(|refusal| Unanswered::refused(&self.context.name, Some(id), &refusal))?;
        let number = number.to_string();
        let cancellable = request.method() != Some(INITIALIZE);
        let cancel = cancellable.then(|| reply::cancelled(&number, self.context.settings.first_byte));
        let message = renumbered(request, &number);
        self.note_sent(caller.exchange, &message);
        exchange(&self.context, &self.child, message, head, cancel).await
    }

    /// Takes a message that needs no answer. The child hears of those that mean the same to it whoever sends them.
    pub(super) async fn tell(
        &self,
        session: &str,
        exchange: Option<u64>,
        message: &Envelope,
    ) -> Result<(), Unanswered> {
        self.switch.touch(session).map_err(|refusal| Unanswered::refused(&self.context.name, None, &refusal))?;
        let passed = match message.method() {
            Some(INITIALIZED) if !self.announced.swap(true, Ordering::Relaxed) => Some(message.body().clone()),
            Some(CANCELLED) => {
                let number = message.cancelled_request().and_then(|request| self.switch.number_of(session, request));
                number.map(|number| message.with_cancelled_request(&number.to_string()))
            }
            _ => None,
        };
        match passed {
            Some(message) => {
                self.note_sent(exchange, &message);
                tell(&self.context, &self.child, message).await
            }
            None => {
                let context = &*self.context;
                tracing::debug!(upstream = %context.name, method = context.method_of(message), "kept from a shared server");
                Ok(())
            }
        }
    }

    /// Opens a session.
    pub(super) fn remember(&self, session: Box<str>) -> Result<(), UpstreamError> {
        self.switch.remember(session)
    }

    pub(super) fn knows(&self, session: &str) -> bool {
        self.switch.knows(session)
    }

    /// Ends a session.
    pub(super) fn forget(&self, session: &str) {
        self.switch.forget(session);
    }

    /// Opens the stream for what was not asked for; `None` if the session or the child is gone.
    pub(super) fn listen(&self, session: &str) -> Option<UpstreamBody> {
        self.switch.listen(session)
    }

    /// Ends idle sessions, and the child if it was unused for long; true if it is to be forgotten.
    pub(super) fn sweep(&self) -> bool {
        let idle = self.switch.sweep(self.context.settings.stop_when_idle_for);
        if idle {
            self.child.stop();
        }
        idle
    }

    /// True once the child is gone, or about to go.
    pub(super) fn has_ended(&self) -> bool {
        self.switch.has_ended()
    }

    fn note_sent(&self, exchange: Option<u64>, message: &Bytes) {
        self.context.tell(self.child.number(), ChildEvent::Sent(Passed { exchange, message }));
    }

    fn broke_protocol(&self) -> Unanswered {
        let detail = "the server process did not answer initialize with a response";
        UpstreamError::sent(&self.context.name, Stage::FirstByte, Why::BrokeProtocol, detail).into()
    }
}

/// The request under a number of ours, its progress token too: tokens of different clients may be equal.
fn renumbered(request: &Envelope, number: &str) -> Bytes {
    let body = request.with_id(number);
    match request.progress_token().and_then(|_| reread(body.clone())) {
        Some(request) => request.with_progress_token(number),
        None => body,
    }
}

/// Reads what was read and written before; a number more may have made it longer than it was allowed to come in.
fn reread(message: Bytes) -> Option<Envelope> {
    Envelope::read(message, Limits { size: usize::MAX, ..Limits::default() }).ok()
}
