//! Server-sent events on their way from an upstream to a client.
//!
//! What one read of the upstream brought is parsed in place, logged and written in one go. Within a session each event gets an id
//! of ours in place of the upstream's, because it is our log that the client resumes from; without one it has none, because there
//! is nothing to resume. The data passes as it is.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use metrics::Gauge;
use shadowcat_mcp::sse::{self, Decoder, Event};
use shadowcat_mcp::{Envelope, ErrorKind, GatewayError, Kind, Limits, RequestId};
use shadowcat_session::StreamState;
use shadowcat_upstream::{UpstreamBody, UpstreamError};
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tokio_util::task::TaskTracker;

use super::detached::Detached;
use super::event_log::EventLog;
use crate::drain::Drain;
use crate::observe::{Clean, Outcome};
use crate::record::Tap;
use crate::refuse;

/// One event of an upstream may be this large: a message of [`Limits::default`] with its field names.
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024 + 64 * 1024;

/// A stream is over with its answer (MCP 2025-11-25, "Transports": the server should close it then). One that stays open is
/// closed by us after this, so that it holds neither its client nor a drain.
const LINGER_MAX: Duration = Duration::from_secs(1);

/// What a stream is there for.
#[derive(Debug, Clone)]
pub(crate) enum Awaits {
    /// The answer to a request; the stream is not whole without it.
    Answer(RequestId),
    /// Nothing in particular: what the server sends unasked.
    Nothing,
}

/// What an [`EventStream`] needs beside the upstream's body.
#[derive(Debug)]
pub(crate) struct EventStreamSettings {
    pub(crate) awaits: Awaits,
    /// Present in a session: events get ids, and the stream outlives its client.
    pub(crate) log: Option<EventLog>,
    /// For what we have to say ourselves when the upstream fails.
    pub(crate) route: Arc<str>,
    pub(crate) upstream: Arc<str>,
    pub(crate) trace: Option<Box<str>>,
    /// Records what passes.
    pub(crate) tap: Option<Tap>,
    /// Ends a stream that belongs to no call when the gateway drains, or its upstream retires.
    pub(crate) reconnect: Option<(Pin<Box<WaitForCancellationFutureOwned>>, Duration)>,
    /// Where the stream is finished when its client has left.
    pub(crate) tasks: TaskTracker,
    pub(crate) drain: Drain,
    pub(crate) detached: Arc<Detached>,
    /// Streams open to clients.
    pub(crate) open: Gauge,
}

/// The stream as its client reads it. When the client leaves before the answer, reading goes on without it.
pub(crate) struct EventStream {
    pump: Option<Box<Pump>>,
    /// The end of a stream that can be continued is written before the client sees it, or it would come back too early.
    closing: Option<BoxFuture<'static, ()>>,
    outcome: Option<Outcome>,
    tasks: TaskTracker,
    open: Gauge,
}

impl EventStream {
    pub(crate) fn new(upstream: UpstreamBody, settings: EventStreamSettings) -> Self {
        let EventStreamSettings { awaits, log, route, upstream: name, trace, mut tap, reconnect, .. } = settings;
        let EventStreamSettings { tasks, drain, detached, open, .. } = settings;
        open.increment(1.0);
        if let (Awaits::Nothing, Some(_), Some(tap)) = (&awaits, &reconnect, &mut tap) {
            tap.listens();
        }
        let pump = Pump {
            upstream,
            chunks: Vec::new(),
            decoder: Decoder::new(EVENT_BYTES_MAX),
            out: BytesMut::new(),
            awaits,
            outcome: None,
            resumable_upstream: false,
            log,
            route,
            name,
            trace,
            tap,
            reconnect,
            lingering: None,
            drain,
            detached,
            ended: false,
        };
        Self { pump: Some(Box::new(pump)), closing: None, outcome: None, tasks, open }
    }

    /// How the call ended, once that is known.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.pump.as_ref().map_or(self.outcome, |pump| pump.outcome)
    }

    /// The next bytes for the client; `None` at the end.
    pub(crate) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(pump) = &mut self.pump {
            let bytes = ready!(pump.poll_bytes(cx));
            if bytes.is_some() {
                return Poll::Ready(bytes);
            }
            self.outcome = pump.outcome;
            self.closing = self.pump.take().and_then(Pump::into_rest);
        }
        if let Some(closing) = &mut self.closing {
            ready!(closing.as_mut().poll(cx));
            self.closing = None;
        }
        Poll::Ready(None)
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.open.decrement(1.0);
        // The client has left: what remains is done without it.
        let rest = self.closing.take().or_else(|| self.pump.take().and_then(Pump::into_rest));
        if let Some(rest) = rest {
            self.tasks.spawn(rest);
        }
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").field("pump", &self.pump).finish_non_exhaustive()
    }
}

/// Reads the upstream, logs, and hands out bytes.
#[derive(Debug)]
pub(super) struct Pump {
    upstream: UpstreamBody,
    chunks: Vec<Bytes>,
    decoder: Decoder,
    out: BytesMut,
    awaits: Awaits,
    outcome: Option<Outcome>,
    /// The upstream gave its events ids: it may close the stream and be asked for the rest later (MCP 2025-11-25, "Transports").
    resumable_upstream: bool,
    log: Option<EventLog>,
    route: Arc<str>,
    name: Arc<str>,
    trace: Option<Box<str>>,
    tap: Option<Tap>,
    reconnect: Option<(Pin<Box<WaitForCancellationFutureOwned>>, Duration)>,
    /// Runs once the answer is there and the upstream does not close.
    lingering: Option<Pin<Box<Sleep>>>,
    pub(super) drain: Drain,
    pub(super) detached: Arc<Detached>,
    ended: bool,
}

impl Pump {
    pub(super) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if !self.out.is_empty() {
                return Poll::Ready(Some(self.out.split().freeze()));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            if let Some(log) = &mut self.log {
                ready!(log.poll_room(cx));
            }
            if let Some((announced, after)) = &mut self.reconnect
                && announced.as_mut().poll(cx).is_ready()
            {
                self.out.extend_from_slice(format!("retry: {}\n\n", after.as_millis()).as_bytes());
                self.ended = true;
                continue;
            }
            match Pin::new(&mut self.upstream).poll_burst(cx, &mut self.chunks) {
                Poll::Ready(Some(Ok(()))) => self.take_chunks(),
                Poll::Ready(Some(Err(error))) => self.fail(&error),
                Poll::Ready(None) => self.finish(),
                Poll::Pending => ready!(self.poll_lingering(cx)),
            }
            // What was just logged is on its way before the client has it.
            if let Some(log) = &mut self.log {
                let _ = log.poll_room(cx);
            }
        }
    }

    /// Ends a stream that its upstream keeps open although its answer is there.
    fn poll_lingering(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.outcome.is_none() {
            return Poll::Pending;
        }
        let lingering = self.lingering.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER_MAX)));
        ready!(lingering.as_mut().poll(cx));
        self.ended = true;
        Poll::Ready(())
    }

    fn take_chunks(&mut self) {
        let mut chunks = std::mem::take(&mut self.chunks);
        for chunk in chunks.drain(..) {
            self.decoder.push(chunk);
            loop {
                match self.decoder.next() {
                    Ok(Some(event)) => self.pass(&event),
                    Ok(None) => break,
                    Err(too_long) => {
                        return self
                            .give_up(ErrorKind::UpstreamBrokeProtocol, &format!("went beyond a bound: {too_long}"));
                    }
                }
            }
        }
        self.chunks = chunks;
    }

    /// One event: read for its answer, numbered, logged, written.
    fn pass(&mut self, event: &Event) {
        if let Some(data) = event.data().filter(|data| !data.is_empty()) {
            let read = self.look_for_answer(&data);
            if let Some(tap) = &mut self.tap {
                if self.outcome.is_some() {
                    tap.conclude();
                }
                tap.event(data, read.as_ref());
            }
        }
        let upstream_id = event.id();
        self.resumable_upstream |= upstream_id.is_some();
        match &mut self.log {
            Some(log) if !event.is_comment_only() => match log.push(upstream_id, event.lines_without_id()) {
                Some(id) => event.write_with_id(id.to_string().as_bytes(), &mut self.out),
                None => event.write_without_id(&mut self.out),
            },
            // Without a log there is nothing to resume, so an id would promise too much.
            _ => event.write_without_id(&mut self.out),
        }
    }

    /// Reads an event as long as the answer has not come; what it was read as.
    fn look_for_answer(&mut self, data: &Bytes) -> Option<Envelope> {
        let Awaits::Answer(expected) = &self.awaits else { return None };
        if self.outcome.is_some() {
            return None;
        }
        let message = Envelope::read(data.clone(), Limits::default()).ok()?;
        let is_answer = message.id().is_some_and(|id| id.to_owned() == *expected);
        self.outcome = match message.kind() {
            Kind::Response if is_answer && message.is_error_result() => Some(Outcome::ToolError),
            Kind::Response if is_answer => Some(Outcome::Ok),
            Kind::ErrorResponse if is_answer => Some(Outcome::ServerError),
            _ => None,
        };
        Some(message)
    }

    /// The upstream closed the stream.
    fn finish(&mut self) {
        self.ended = true;
        let unanswered = matches!(self.awaits, Awaits::Answer(_)) && self.outcome.is_none();
        if unanswered && !self.may_continue() {
            self.give_up(ErrorKind::UpstreamBrokeProtocol, "closed its event stream before it answered");
        } else if unanswered && let Some(tap) = &mut self.tap {
            tap.pause();
        }
    }

    fn fail(&mut self, error: &UpstreamError) {
        self.ended = true;
        let unanswered = matches!(self.awaits, Awaits::Answer(_)) && self.outcome.is_none();
        if unanswered {
            let failure = refuse::upstream_failed(&self.route, error);
            self.say(failure);
        }
    }

    pub(super) fn give_up(&mut self, kind: ErrorKind, what: &str) {
        self.ended = true;
        let failure = GatewayError::new(kind, format!("upstream {} {what}", self.name))
            .on_route(&self.route)
            .at_upstream(&self.name)
            .in_stage("body");
        self.say(failure);
    }

    /// Answers in the upstream's place: the status line is long gone, so the error goes in the stream.
    fn say(&mut self, failure: GatewayError) {
        let Awaits::Answer(request) = &self.awaits else { return };
        // A call has one answer.
        if self.outcome.is_some() {
            return;
        }
        let failure = match &self.trace {
            Some(trace) => failure.with_trace_id(trace),
            None => failure,
        };
        tracing::warn!(route = %self.route, upstream = %self.name, error = %Clean(&failure), "call failed in its stream");
        if let Some(tap) = &mut self.tap {
            tap.refusal(&failure, Some(&request.to_json()));
        }
        let message = failure.to_json(Some(&request.to_json()));
        let mut lines = BytesMut::with_capacity(message.len() + 16);
        sse::encode(&mut lines, None, None, None, &message);
        let id = self.log.as_mut().and_then(|log| log.push(None, lines.freeze())).map(|id| id.to_string());
        sse::encode(&mut self.out, None, id.as_deref().map(str::as_bytes), None, &message);
        self.outcome = Some(Outcome::Failed);
    }

    /// True if the rest can be had later, by resuming the upstream's own stream.
    fn may_continue(&self) -> bool {
        self.log.is_some() && self.resumable_upstream
    }

    pub(super) fn into_log(self) -> (Option<EventLog>, StreamState) {
        let complete = matches!(self.awaits, Awaits::Answer(_)) && self.outcome.is_some();
        (self.log, if complete { StreamState::Complete } else { StreamState::Paused })
    }

    /// True while a client that comes back would have something to hear.
    pub(super) fn is_worth_finishing(&self) -> bool {
        self.log.is_some() && !self.ended && self.outcome.is_none() && matches!(self.awaits, Awaits::Answer(_))
    }
}
