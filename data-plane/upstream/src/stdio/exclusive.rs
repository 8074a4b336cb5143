//! The inbox of a child that has one client: what the child says passes unchanged, and only its way has to be found.
//!
//! | Message | Goes to |
//! |---|---|
//! | response | the call with its id |
//! | progress | the call in flight with its token |
//! | everything else | the call in flight that started last; else the GET stream; else the backlog, until there is one |
//!
//! A server does not say on stdio which call a question or a log line belongs to; the latest call is what it most likely
//! works on, and its client reads that stream.
//!
//! A slow reader holds the child back: nothing further is read from stdout while its stream is full. That is right here,
//! since the child serves nobody else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use shadowcat_mcp::{Envelope, Id, Kind, Malformed, RequestId};
use tokio::sync::oneshot;

use super::PROGRESS;
use super::child::Inbox;
use super::context::Context;
use super::death::{Cause, Death};
use super::exchange::{Ended, Refusal};
use super::hearing::not_a_message;
use super::reply::{Outcome, STREAM_CAPACITY, Sink, event};
use super::stdin::Stdin;
use crate::body::Idle;
use crate::{FrameSender, UpstreamBody};

/// Messages kept for a GET stream that is not open. Beyond it the oldest falls out, counted in
/// [`UpstreamMetrics::dropped_messages`](crate::UpstreamMetrics::dropped_messages). What a stream takes in one go.
const BACKLOG: usize = STREAM_CAPACITY;

/// Calls in flight with one child. More than any client has open, and few enough to look through one by one.
const MAX_CALLS: usize = 1024;

/// Finds the way of what one child says to its one client.
pub(super) struct Exclusive {
    context: Arc<Context>,
    state: Mutex<State>,
}

struct State {
    /// In the order in which they started.
    calls: Vec<InFlight>,
    listener: Option<FrameSender>,
    backlog: VecDeque<Bytes>,
    last_used: Instant,
    ended: Option<Ended>,
}

struct InFlight {
    id: RequestId,
    token: Option<RequestId>,
    sink: Sink,
}

/// Where a message goes.
enum Way {
    /// It has arrived, or nobody takes it.
    Done,
    /// Into the stream of a call.
    Call(FrameSender),
    /// Into the stream for what was not asked for.
    Listener(FrameSender),
}

impl State {
    /// Takes a message of the client, unless the child is gone.
    fn admit(&mut self) -> Result<(), Refusal> {
        if let Some(ended) = &mut self.ended {
            let news = ended.clone();
            ended.reported = true;
            return Err(Refusal::Ended(news));
        }
        self.last_used = Instant::now();
        Ok(())
    }

    fn is_idle(&self, limit: Duration) -> bool {
        let listening = self.listener.as_ref().is_some_and(|listener| !listener.is_closed());
        let waited_for = self.calls.iter().any(|call| call.sink.is_open());
        !listening && !waited_for && self.last_used.elapsed() >= limit
    }

    fn retire(&mut self) {
        let death = Death { cause: Cause::Stopped, last_words: String::new() };
        self.ended.get_or_insert(Ended { death, reported: true });
    }
}

impl Exclusive {
    pub(super) fn new(context: Arc<Context>) -> Arc<Self> {
        let state = State {
            calls: Vec::new(),
            listener: None,
            backlog: VecDeque::new(),
            last_used: Instant::now(),
            ended: None,
        };
        Arc::new(Self { context, state: Mutex::new(state) })
    }

    /// Makes room for the answer to a request, before it is sent.
    pub(super) fn expect(
        &self,
        id: RequestId,
        token: Option<RequestId>,
    ) -> Result<oneshot::Receiver<Outcome>, Refusal> {
        let mut state = self.state();
        state.admit()?;
        // Calls whose clients went away leave when the next one comes: their number is bounded by those in flight.
        state.calls.retain(|call| call.sink.is_open());
        if state.calls.iter().any(|call| call.id == id) {
            return Err(Refusal::SameId);
        }
        if state.calls.len() >= MAX_CALLS {
            return Err(Refusal::Full);
        }
        let (sink, head) = Sink::new(&self.context);
        state.calls.push(InFlight { id, token, sink });
        Ok(head)
    }

    /// Notes a message that needs no answer.
    pub(super) fn touch(&self) -> Result<(), Refusal> {
        self.state().admit()
    }

    /// Opens the stream for what was not asked for, backlog first. An earlier one ends: its client has come back before
    /// its disconnect was noticed. `None` if the child is gone.
    pub(super) fn listen(&self) -> Option<UpstreamBody> {
        let mut state = self.state();
        if state.ended.is_some() {
            return None;
        }
        state.last_used = Instant::now();
        let (frames, body) = UpstreamBody::frames(Arc::clone(&self.context.name), STREAM_CAPACITY, Idle::never());
        for message in state.backlog.drain(..) {
            // The backlog is no longer than the stream.
            let _ = frames.try_send(event(&message));
        }
        state.listener = Some(frames);
        Some(body)
    }

    /// Ends the conversation if nobody has used or is waiting on the child for `limit`. A call that comes after that is
    /// refused, so none is lost between the decision and the end.
    pub(super) fn retire_if_idle(&self, limit: Duration) -> bool {
        let mut state = self.state();
        let idle = state.is_idle(limit);
        if idle {
            state.retire();
        }
        idle
    }

    /// Ends the conversation: what is in flight may still be answered, nothing new is taken.
    pub(super) fn retire(&self) {
        self.state().retire();
    }

    /// True once the child is gone, or about to go.
    pub(super) fn has_ended(&self) -> bool {
        self.state().ended.is_some()
    }

    /// True if the child lives and owes no answer, not even to a client that went away.
    pub(super) fn is_at_rest(&self) -> bool {
        let state = self.state();
        state.ended.is_none() && state.calls.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn route(&self, message: &Envelope) -> Way {
        let mut state = self.state();
        match message.kind() {
            Kind::Response | Kind::ErrorResponse => self.answer(&mut state, message),
            Kind::Request | Kind::Notification => self.unasked(&mut state, message),
        }
    }

    fn answer(&self, state: &mut State, message: &Envelope) -> Way {
        self.context.note_success();
        state.last_used = Instant::now();
        let id = message.id().map(Id::to_owned);
        let Some(at) = id.and_then(|id| state.calls.iter().position(|call| call.id == id)) else {
            return self.lose("answers no call in flight");
        };
        match state.calls.remove(at).sink.finish(message.kind(), message.body().clone()) {
            Ok(Some(stream)) => Way::Call(stream),
            Ok(None) => Way::Done,
            Err(_abandoned) => self.lose("answers a client that went away"),
        }
    }

    fn unasked(&self, state: &mut State, message: &Envelope) -> Way {
        let call = if message.method() == Some(PROGRESS) {
            let token = message.progress_token().map(Id::to_owned);
            state.calls.iter_mut().find(|call| token.is_some() && call.token == token)
        } else {
            state.calls.iter_mut().rev().find(|call| call.sink.is_open())
        };
        if let Some(call) = call {
            return Way::Call(call.sink.stream(&self.context));
        }
        match &state.listener {
            Some(listener) if !listener.is_closed() => Way::Listener(listener.clone()),
            _ => {
                self.keep(state, message.body().clone());
                Way::Done
            }
        }
    }

    fn keep(&self, state: &mut State, message: Bytes) {
        if state.backlog.len() >= BACKLOG {
            state.backlog.pop_front();
            self.context.note_dropped(1);
        }
        state.backlog.push_back(message);
    }

    fn lose(&self, what: &str) -> Way {
        self.context.note_dropped(1);
        tracing::debug!(upstream = %self.context.name, "dropped a message that {what}");
        Way::Done
    }
}

impl Inbox for Exclusive {
    async fn deliver(&self, message: Envelope, _child: &Stdin) {
        loop {
            match self.route(&message) {
                Way::Done => return,
                Way::Call(stream) => {
                    if stream.send(event(message.body())).await.is_err() {
                        self.lose("belongs to a client that went away");
                    }
                    return;
                }
                Way::Listener(stream) if stream.send(event(message.body())).await.is_ok() => return,
                // Closed while this waited: a newer stream or the backlog takes the message.
                Way::Listener(_) => {}
            }
        }
    }

    fn reject(&self, id: Id<'_>, malformed: &Malformed) {
        let id = id.to_owned();
        let mut state = self.state();
        if let Some(at) = state.calls.iter().position(|call| call.id == id) {
            state.calls.remove(at).sink.fail(|stage| not_a_message(&self.context, stage, malformed));
        }
    }

    fn end(&self, death: Death) {
        let mut state = self.state();
        let calls = std::mem::take(&mut state.calls);
        state.listener = None;
        self.context.note_dropped(state.backlog.len());
        state.backlog.clear();
        let reported = !calls.is_empty() || state.ended.as_ref().is_some_and(|ended| ended.reported);
        state.ended = Some(Ended { death: death.clone(), reported });
        drop(state);
        for call in calls {
            call.sink.fail(|stage| death.in_call(&self.context.name, stage));
        }
    }
}
