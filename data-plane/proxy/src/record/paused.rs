//! Calls whose stream has ended before their answer, because their server wants to be asked for the rest (MCP 2025-11-25,
//! "Transports"). The answer comes in another exchange, and the record says that it is theirs. A call that nobody comes back for is
//! over once nobody can.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use shadowcat_mcp::{Envelope, Id};
use shadowcat_session::limits::ENDED_STREAM_KEPT;
use shadowcat_tape::record::{self, Direction, Outcome, Record};

use super::call::{CallContext, Told};
use super::frame::{Content, Form, Framer};

/// Calls that are waited for. At the bound the one that has waited longest is told to be abandoned; its answer, should it come,
/// stands for itself. Each holds a message, and a client that polls for its answers is rare.
const PAUSED_MAX: usize = 1024;

/// The calls, the one that has waited longest first.
#[derive(Debug)]
pub(super) struct Paused<C = Arc<CallContext>>(VecDeque<(Instant, C)>);

impl<C> Default for Paused<C> {
    fn default() -> Self {
        Self(VecDeque::new())
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
    /// Waits for a call; the one that is too many.
    fn put(&mut self, call: C, at: Instant) -> Option<C> {
        self.0.push_back((at, call));
        if self.0.len() > PAUSED_MAX { self.0.pop_front().map(|(_, call)| call) } else { None }
    }

    fn take(&mut self, is_it: impl Fn(&C) -> bool) -> Option<C> {
        let at = self.0.iter().rposition(|(_, call)| is_it(call))?;
        self.0.remove(at).map(|(_, call)| call)
    }

    /// One that nobody can come back for any more.
    fn expired(&mut self, now: Instant, kept: Duration) -> Option<C> {
        let is_due = |(at, _): &mut (Instant, C)| now.saturating_duration_since(*at) > kept;
        self.0.pop_front_if(is_due).map(|(_, call)| call)
    }
}

impl Framer {
    /// The stream of a call has ended, and the call goes on.
    pub(super) fn pause(&mut self, call: &Arc<CallContext>, told: &mut Told, at: Instant) {
        let waits = match told.resumed.take() {
            Some(resumed) => resumed.call,
            None => Some(Arc::clone(call)).filter(|_| !told.concluded),
        };
        if let Some(waits) = waits
            && let Some(excess) = self.paused.put(waits, at)
        {
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
            (told.request, told.operation) = (of.request, of.operation);
        } else {
            told.request = None;
        }
        told.resumed = Some(Resumed { request: request.into(), call: paused });
    }

    /// Ends the calls that nobody can come back for any more.
    pub(super) fn give_up_paused(&mut self, now: Instant) {
        while let Some(call) = self.paused.expired(now, ENDED_STREAM_KEPT) {
            self.abandon(&call, now);
        }
    }

    /// A call has ended without an answer.
    fn abandon(&mut self, call: &CallContext, at: Instant) {
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
        self.write(call, ended, &Content { at, bytes: None, form: Form::Unknown });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_and_who_has_waited_longest_is_given_up() {
        let (mut paused, now) = (Paused::default(), Instant::now());
        let excess: Vec<usize> = (0..PAUSED_MAX + 2).filter_map(|call| paused.put(call, now)).collect();
        assert_eq!((excess, paused.0.len()), (vec![0, 1], PAUSED_MAX));
    }

    #[test]
    fn a_call_is_waited_for_as_long_as_its_client_may_come_back() {
        let (mut paused, now) = (Paused::default(), Instant::now());
        let kept = Duration::from_secs(300);
        assert_eq!((paused.put('a', now), paused.put('b', now + kept)), (None, None));
        assert_eq!(paused.expired(now + kept, kept), None);
        let late = now + kept + Duration::from_millis(1);
        assert_eq!((paused.expired(late, kept), paused.expired(late, kept)), (Some('a'), None));
        assert_eq!((paused.take(|call| *call == 'a'), paused.take(|call| *call == 'b')), (None, Some('b')));
    }
}
