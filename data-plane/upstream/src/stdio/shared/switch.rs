//! The inbox of a child that has many clients: numbers lead each answer back to whoever asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use shadowcat_mcp::{Envelope, Id, Kind, Malformed, RequestId};
use tokio::sync::oneshot;

use super::super::PROGRESS;
use super::super::child::Inbox;
use super::super::context::Context;
use super::super::death::{Cause, Death};
use super::super::exchange::{Ended, Refusal};
use super::super::hearing::not_a_message;
use super::super::observer::{ChildEvent, Passed};
use super::super::reply::{self, Outcome, STREAM_CAPACITY, Sink, event};
use super::super::stdin::Stdin;
use super::Caller;
use crate::body::Idle;
use crate::{FrameSender, SendError, Stage, UpstreamBody, UpstreamError, Why};

/// Calls in flight with the child, those of clients that went away included until it has answered them. Ten times what
/// one session may be expected to have, since many share it.
const MAX_CALLS: usize = 4096;

/// Sessions of the child. They cost a few hundred bytes each; the gateway's own caps are far below.
const MAX_SESSIONS: usize = 65_536;

/// JSON-RPC 2.0, section 5.1.
const METHOD_NOT_FOUND: i32 = -32601;

/// Finds the way of what a shared child says.
pub(super) struct Switch {
    context: Arc<Context>,
    state: Mutex<State>,
}

struct State {
    next: u64,
    calls: HashMap<u64, InFlight>,
    sessions: HashMap<Box<str>, Session>,
    last_used: Instant,
    ended: Option<Ended>,
}

struct InFlight {
    session: Option<Box<str>>,
    /// As the call names it, for observers.
    exchange: Option<u64>,
    /// The client's own id, as it wrote it.
    id: Box<str>,
    /// The client's own progress token, as it wrote it.
    token: Option<Box<str>>,
    sink: Sink,
}

struct Session {
    listener: Option<FrameSender>,
    last_used: Instant,
}

impl Session {
    fn is_idle(&self, limit: Duration) -> bool {
        let listening = self.listener.as_ref().is_some_and(|listener| !listener.is_closed());
        !listening && self.last_used.elapsed() >= limit
    }
}

impl State {
    /// Takes a message of a client, unless the child is gone.
    fn admit(&mut self, session: Option<&str>) -> Result<(), Refusal> {
        if let Some(ended) = &mut self.ended {
            let news = ended.clone();
            ended.reported = true;
            return Err(Refusal::Ended(news));
        }
        self.last_used = Instant::now();
        if let Some(session) = session.and_then(|session| self.sessions.get_mut(session)) {
            session.last_used = self.last_used;
        }
        Ok(())
    }

    fn drop_abandoned(&mut self) {
        self.calls.retain(|_number, call| call.sink.is_open());
    }
}

impl Switch {
    pub(super) fn new(context: Arc<Context>) -> Arc<Self> {
        let state =
            State { next: 1, calls: HashMap::new(), sessions: HashMap::new(), last_used: Instant::now(), ended: None };
        Arc::new(Self { context, state: Mutex::new(state) })
    }

    /// Makes room for the answer to a request, and gives the number under which the child sees it.
    pub(super) fn expect(
        &self,
        caller: Caller<'_>,
        id: Id<'_>,
        token: Option<Id<'_>>,
    ) -> Result<(u64, oneshot::Receiver<Outcome>), Refusal> {
        let mut state = self.state();
        state.admit(caller.session)?;
        if state.calls.len() >= MAX_CALLS {
            state.drop_abandoned();
        }
        if state.calls.len() >= MAX_CALLS {
            return Err(Refusal::Full);
        }
        let number = state.next;
        state.next += 1;
        let (sink, head) = Sink::new(&self.context);
        let call = InFlight {
            session: caller.session.map(Box::from),
            exchange: caller.exchange,
            id: id.as_json().into(),
            token: token.map(|token| token.as_json().into()),
            sink,
        };
        state.calls.insert(number, call);
        Ok((number, head))
    }

    /// Notes a message that needs no answer.
    pub(super) fn touch(&self, session: &str) -> Result<(), Refusal> {
        self.state().admit(Some(session))
    }

    /// The number of a session's request in flight.
    pub(super) fn number_of(&self, session: &str, request: Id<'_>) -> Option<u64> {
        let wanted: RequestId = request.to_owned();
        let is_it = |call: &InFlight| {
            call.session.as_deref() == Some(session)
                && Id::from_json(&call.id).is_some_and(|id| id.to_owned() == wanted)
        };
        self.state().calls.iter().find(|(_number, call)| is_it(call)).map(|(number, _call)| *number)
    }

    pub(super) fn remember(&self, session: Box<str>) -> Result<(), UpstreamError> {
        let mut state = self.state();
        if state.sessions.len() >= MAX_SESSIONS {
            let detail = format!("its shared server process has {MAX_SESSIONS} sessions: end some first");
            return Err(UpstreamError::unsent(&self.context.name, Stage::Queue, Why::Overloaded, detail));
        }
        state.sessions.insert(session, Session { listener: None, last_used: Instant::now() });
        self.context.metrics.sessions.increment(1.0);
        Ok(())
    }

    pub(super) fn knows(&self, session: &str) -> bool {
        self.state().sessions.contains_key(session)
    }

    pub(super) fn forget(&self, session: &str) {
        if self.state().sessions.remove(session).is_some() {
            self.context.metrics.sessions.decrement(1.0);
        }
    }

    /// Opens a session's stream for what was not asked for; an earlier one ends.
    pub(super) fn listen(&self, session: &str) -> Option<UpstreamBody> {
        let mut state = self.state();
        state.admit(Some(session)).ok()?;
        let session = state.sessions.get_mut(session)?;
        let (frames, body) = UpstreamBody::frames(Arc::clone(&self.context.name), STREAM_CAPACITY, Idle::never());
        session.listener = Some(frames);
        Some(body)
    }

    /// Ends the sessions that were unused for `limit`; true, and the end of the child's time, if nobody has used it for
    /// that long.
    pub(super) fn sweep(&self, limit: Duration) -> bool {
        let mut state = self.state();
        state.drop_abandoned();
        let State { calls, sessions, .. } = &mut *state;
        let before = sessions.len();
        sessions.retain(|id, session| {
            let waiting = calls.values().any(|call| call.session.as_deref() == Some(id));
            waiting || !session.is_idle(limit)
        });
        self.context.count_ended(before - sessions.len());
        let idle = state.sessions.is_empty() && state.calls.is_empty() && state.last_used.elapsed() >= limit;
        if idle {
            let death = Death { cause: Cause::Stopped, last_words: String::new() };
            state.ended.get_or_insert(Ended { death, reported: true });
        }
        idle
    }

    /// True once the child is gone, or about to go.
    pub(super) fn has_ended(&self) -> bool {
        self.state().ended.is_some()
    }

    fn answer(&self, message: &Envelope, child: &Stdin) {
        self.context.note_success();
        let number = message.id().and_then(|id| id.as_json().parse::<u64>().ok());
        let call = number.and_then(|number| self.state().calls.remove(&number));
        self.note_received(child, call.as_ref().and_then(|call| call.exchange), message);
        let Some(call) = call else {
            return self.lose("answers no call in flight");
        };
        let response = message.with_id(&call.id);
        match call.sink.finish(message.kind(), response.clone()) {
            Ok(None) => {}
            Ok(Some(stream)) => self.pass(stream, event(&response)),
            Err(_abandoned) => self.lose("answers a client that went away"),
        }
    }

    fn progress(&self, message: &Envelope, child: &Stdin) {
        let number = message.progress_token().and_then(|token| token.as_json().parse::<u64>().ok());
        let mut state = self.state();
        let call = number.and_then(|number| state.calls.get_mut(&number));
        self.note_received(child, call.as_ref().and_then(|call| call.exchange), message);
        let Some((stream, token)) =
            call.and_then(|call| Some((call.sink.stream(&self.context), call.token.as_deref()?)))
        else {
            drop(state);
            return self.lose("reports progress of no call in flight");
        };
        let frame = event(&message.with_progress_token(token));
        if stream.try_send(frame) == Err(SendError::Full)
            && let Some(call) = number.and_then(|number| state.calls.remove(&number))
        {
            call.sink.fail(|_stage| self.too_slow());
        }
    }

    fn broadcast(&self, message: &Bytes) {
        let frame = event(message);
        let mut heard = false;
        for session in self.state().sessions.values_mut() {
            let Some(listener) = &session.listener else { continue };
            match listener.try_send(frame.clone()) {
                Ok(()) => heard = true,
                // Its client comes back for a new one, if it is still there.
                Err(SendError::Full | SendError::Closed) => session.listener = None,
            }
        }
        if !heard {
            self.lose("nobody listens for");
        }
    }

    fn note_received(&self, child: &Stdin, exchange: Option<u64>, message: &Envelope) {
        self.context.tell(child.number, ChildEvent::Received(Passed { exchange, message: message.body() }));
    }

    /// Refuses a question of the child: it has no client of its own to ask.
    async fn refuse(&self, message: &Envelope, child: &Stdin) {
        let Some(id) = message.id() else { return };
        let answer = if message.method() == Some("ping") {
            format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#).into()
        } else {
            let text = "This server is shared among sessions and cannot ask its clients: set sharing to PER_SESSION";
            let (upstream, method) = (&self.context.name, self.context.method_of(message));
            tracing::warn!(%upstream, method, "refused a question of a shared server: set sharing to PER_SESSION");
            reply::error(id.as_json(), METHOD_NOT_FOUND, text)
        };
        self.context.tell(child.number, ChildEvent::Sent(Passed { exchange: None, message: &answer }));
        // If it does not get through, the child is stuck or gone, which others find out.
        let _ = child.send(answer).await;
    }

    /// The last message into a stream.
    fn pass(&self, stream: FrameSender, frame: Bytes) {
        match stream.try_send(frame) {
            Ok(()) => {}
            Err(SendError::Full) => stream.fail(self.too_slow()),
            Err(SendError::Closed) => self.lose("belongs to a client that went away"),
        }
    }

    fn too_slow(&self) -> UpstreamError {
        let detail = format!("its server process is shared, and this client fell {STREAM_CAPACITY} messages behind");
        UpstreamError::sent(&self.context.name, Stage::Body, Why::Overloaded, detail)
    }

    fn lose(&self, what: &str) {
        self.context.note_dropped(1);
        tracing::debug!(upstream = %self.context.name, "dropped a message that {what}");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox for Switch {
    async fn deliver(&self, message: Envelope, child: &Stdin) {
        match message.kind() {
            Kind::Response | Kind::ErrorResponse => self.answer(&message, child),
            Kind::Request => {
                self.note_received(child, None, &message);
                self.refuse(&message, child).await;
            }
            Kind::Notification if message.method() == Some(PROGRESS) => self.progress(&message, child),
            Kind::Notification => {
                self.note_received(child, None, &message);
                self.broadcast(message.body());
            }
        }
    }

    fn reject(&self, id: Id<'_>, malformed: &Malformed) {
        let call = id.as_json().parse().ok().and_then(|number: u64| self.state().calls.remove(&number));
        if let Some(call) = call {
            call.sink.fail(|stage| not_a_message(&self.context, stage, malformed));
        }
    }

    fn end(&self, death: Death) {
        let mut state = self.state();
        let calls = std::mem::take(&mut state.calls);
        for session in state.sessions.values_mut() {
            session.listener = None;
        }
        let reported = !calls.is_empty() || state.ended.as_ref().is_some_and(|ended| ended.reported);
        state.ended = Some(Ended { death: death.clone(), reported });
        drop(state);
        for call in calls.into_values() {
            call.sink.fail(|stage| death.in_call(&self.context.name, stage));
        }
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let sessions = self.state().sessions.len();
        self.context.count_ended(sessions);
    }
}
