//! Calls whose stream has ended before their answer, because their server wants to be asked for the rest (MCP 2025-11-25,
//! "Transports"). The answer comes in another exchange, and the record says that it is theirs. A call that nobody comes back for is
//! over once nobody can: after some time, or when the gateway stops.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use shadowcat_mcp::{Envelope, Id, Limits};
use shadowcat_tape::record::{self, Direction, Outcome, Record};

use super::call::{Asked, CallContext, Headers, Told};
use super::frame::{Content, Framer, subject};

/// Calls that are waited for. At the bound the one that has waited longest is told to be abandoned; its answer, should it come,
/// stands for itself. A client that polls for its answers is rare.
const PAUSED_MAX: usize = 1024;

/// Bytes of what names their requests, as [`brief`] makes it; at the bound as above. It is 4 KiB for each, where a call needs a few
/// hundred, and the longest message fits. Beside it a call holds less than 2 KiB of its own, and a name with escapes once more without
/// them: 10 MiB for all calls at the worst.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// The calls, the one that has waited longest first.
#[derive(Debug)]
pub(super) struct Paused<C = Arc<CallContext>> {
    calls: VecDeque<Waiting<C>>,
    /// Bytes that all of them hold.
    bytes: usize,
}

#[derive(Debug)]
struct Waiting<C> {
    since: Instant,
    bytes: usize,
    call: C,
}

impl<C> Default for Paused<C> {
    fn default() -> Self {
        Self { calls: VecDeque::new(), bytes: 0 }
    }
}

/// What an exchange goes on with.
#[derive(Debug)]
pub(super) struct Resumed {
    /// The id of the request that waits for its answer, as JSON text.
    request: Box<str>,
    /// Its call; absent if another instance has recorded it.
    call: Option<Arc<CallContext>>,
}

impl Resumed {
    pub(super) fn awaits(&self, id: Option<Id<'_>>) -> bool {
        id.is_some_and(|id| id.as_json() == &*self.request)
    }

    pub(super) fn call(&self) -> Option<&Arc<CallContext>> {
        self.call.as_ref()
    }
}

impl<C> Paused<C> {
    /// Waits for a call, which holds so many bytes.
    fn put(&mut self, call: C, bytes: usize, since: Instant) {
        self.bytes += bytes;
        self.calls.push_back(Waiting { since, bytes, call });
    }

    /// One that is too many.
    fn excess(&mut self) -> Option<C> {
        if self.calls.len() > PAUSED_MAX || self.bytes > BYTES_MAX { self.eldest() } else { None }
    }

    fn take(&mut self, is_it: impl Fn(&C) -> bool) -> Option<C> {
        let at = self.calls.iter().rposition(|waiting| is_it(&waiting.call))?;
        let taken = self.calls.remove(at);
        self.taken(taken)
    }

    /// One that nobody can come back for any more.
    pub(super) fn expired(&mut self, now: Instant, kept: Duration) -> Option<C> {
        let is_due = |waiting: &mut Waiting<C>| now.saturating_duration_since(waiting.since) > kept;
        let taken = self.calls.pop_front_if(is_due);
        self.taken(taken)
    }

    /// The one that has waited longest.
    pub(super) fn eldest(&mut self) -> Option<C> {
        let taken = self.calls.pop_front();
        self.taken(taken)
    }

    fn taken(&mut self, taken: Option<Waiting<C>>) -> Option<C> {
        let Waiting { bytes, call, .. } = taken?;
        self.bytes -= bytes;
        Some(call)
    }
}

impl Framer {
    /// The stream of a call has ended, and the call goes on.
    pub(super) fn pause(&mut self, call: &CallContext, told: &mut Told, at: Instant) {
        let waits = match told.resumed.take() {
            Some(resumed) => resumed.call,
            None if told.concluded => None,
            None => Some(Arc::new(waiting(call, told))),
        };
        let Some(waits) = waits else { return };
        let bytes = waits.request.size();
        self.paused.put(waits, bytes, at);
        while let Some(excess) = self.paused.excess() {
            self.abandon(&excess, at);
        }
    }

    /// An exchange goes on with the stream of a request.
    pub(super) fn resume(&mut self, call: &CallContext, told: &mut Told, request: &str) {
        let tape = call.tape(&self.instance);
        let is_it = |paused: &Arc<CallContext>| {
            paused.tape(&self.instance) == tape
                && paused.asked().and_then(Envelope::id).is_some_and(|id| id.as_json() == request)
        };
        let paused = self.paused.take(is_it);
        if let Some(paused) = &paused {
            let of = paused.told.lock().unwrap_or_else(PoisonError::into_inner);
            (told.request, told.operation, told.names) = (of.request, of.operation, of.names.clone());
        } else {
            told.request = None;
        }
        told.resumed = Some(Resumed { request: request.into(), call: paused });
    }

    /// A call has ended without an answer.
    pub(super) fn abandon(&mut self, call: &CallContext, at: Instant) {
        let mut told = call.told.lock().unwrap_or_else(PoisonError::into_inner);
        self.ended(call, &mut told, at);
    }

    /// The same for a call whose books are open.
    pub(super) fn ended(&mut self, call: &CallContext, told: &mut Told, at: Instant) {
        if told.concluded {
            return;
        }
        let record = self.ending(call, told, at, Outcome::Cancelled);
        let ended = Record {
            k: record::Kind::Life,
            dir: Some(Direction::Local),
            life: Some("call_abandoned".into()),
            ..record
        };
        self.write(call, told, ended, &Content::none(at));
    }
}

/// A call as it waits: without its message and its headers, which its answer's record does not need.
fn waiting(call: &CallContext, told: &Told) -> CallContext {
    CallContext {
        route: Arc::clone(&call.route),
        connection: call.connection,
        exchange: call.exchange,
        session: call.session,
        trace: call.trace,
        era: call.era,
        version: call.version,
        method: call.method.clone(),
        headers: Headers::default(),
        began: call.began,
        request: call.asked().and_then(brief).map_or(Asked::Nothing, Asked::Message),
        tape: call.tape.clone(),
        told: Mutex::new(Told {
            request: told.request,
            operation: told.operation,
            names: told.names.clone(),
            ..Told::default()
        }),
    }
}

/// A request of which nothing is left but what names it: its id, method, subject and progress token.
fn brief(request: &Envelope) -> Option<Envelope> {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let (id, method) = (request.id()?, text(request.method()?));
    let name = subject(request).map(|name| format!(r#""name":{}"#, text(name)));
    let token = request.progress_token().map(|token| format!(r#""_meta":{{"progressToken":{token}}}"#));
    let params = name.into_iter().chain(token).collect::<Vec<_>>().join(",");
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method},"params":{{{params}}}}}"#);
    // The message it is made of was within its bound.
    Envelope::read(body.into(), Limits { size: usize::MAX, ..Limits::default() }).ok()
}

#[cfg(test)]
mod tests;
