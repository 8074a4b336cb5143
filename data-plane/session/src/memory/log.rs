//! The event log of one stream.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use super::budget::Budget;
use crate::limits::{EVENT_OVERHEAD, MAX_STREAM_BYTES, MAX_STREAM_EVENTS};
use crate::{Event, StoreError, StreamHead, StreamPage, StreamState};

/// Events in a row, the last of which has the number `last`. Whatever changes the bytes it holds tells the budget.
#[derive(Debug)]
pub(super) struct Log {
    head: StreamHead,
    state: StreamState,
    events: VecDeque<Event>,
    bytes: usize,
    last: u64,
    upstream_event_id: Option<Bytes>,
    changed: Arc<Notify>,
}

impl Log {
    pub(super) fn new(head: StreamHead) -> Self {
        Self {
            head,
            state: StreamState::Live,
            events: VecDeque::new(),
            bytes: 0,
            last: 0,
            upstream_event_id: None,
            changed: Arc::default(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Notified after every change.
    pub(super) fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// False once a reader who has read up to `after` has something to read or nothing to wait for.
    pub(super) fn may_still_grow_after(&self, after: u64) -> bool {
        self.last <= after && matches!(self.state, StreamState::Live | StreamState::Paused)
    }

    /// The stream goes on under a new writer.
    pub(super) fn take_over(&mut self, head: StreamHead) {
        self.head = head;
        self.set_state(StreamState::Live);
    }

    pub(super) fn set_state(&mut self, state: StreamState) {
        self.state = state;
        self.changed.notify_waiters();
    }

    pub(super) fn append(&mut self, events: &[Event], budget: &Budget) -> Result<(), StoreError> {
        let dense = (self.last + 1..).zip(events).all(|(seq, event)| event.seq == seq);
        if self.state != StreamState::Live || !dense {
            return Err(StoreError::Conflict);
        }
        let grown = events.iter().map(cost).sum();
        budget.charge(grown);
        self.bytes += grown;
        for event in own_copies(events) {
            self.last = event.seq;
            self.upstream_event_id = event.upstream_id.clone().or(self.upstream_event_id.take());
            self.events.push_back(event);
        }
        while self.bytes > MAX_STREAM_BYTES || self.events.len() > MAX_STREAM_EVENTS {
            self.drop_oldest(budget);
        }
        self.changed.notify_waiters();
        Ok(())
    }

    /// Loses its oldest events until all logs together are within the budget, or it is empty.
    pub(super) fn shed(&mut self, budget: &Budget) {
        while budget.excess() > 0 && !self.events.is_empty() {
            self.drop_oldest(budget);
        }
    }

    fn drop_oldest(&mut self, budget: &Budget) {
        if let Some(event) = self.events.pop_front() {
            self.bytes -= cost(&event);
            budget.refund(cost(&event));
            budget.metrics.log_events_dropped.increment(1);
        }
    }

    pub(super) fn read(&self, after: u64, max: usize) -> StreamPage {
        let first = self.events.front().map_or(self.last + 1, |event| event.seq);
        let next = after.saturating_add(1);
        let skipped = usize::try_from(next.saturating_sub(first)).unwrap_or(usize::MAX);
        StreamPage {
            head: self.head.clone(),
            events: self.events.iter().skip(skipped).take(max).cloned().collect(),
            state: self.state,
            gap: next < first,
            upstream_event_id: self.upstream_event_id.clone(),
        }
    }
}

/// What an event counts for in the books.
fn cost(event: &Event) -> usize {
    event.lines.len() + event.upstream_id.as_ref().map_or(0, Bytes::len) + EVENT_OVERHEAD
}

/// The same events in one buffer of their own: a slice of what was read from the upstream would keep the whole read alive, and
/// the books would be wrong.
fn own_copies(events: &[Event]) -> impl Iterator<Item = Event> {
    let size = events.iter().map(|event| cost(event) - EVENT_OVERHEAD).sum();
    let mut buffer = BytesMut::with_capacity(size);
    for event in events {
        buffer.extend_from_slice(event.upstream_id.as_deref().unwrap_or_default());
        buffer.extend_from_slice(&event.lines);
    }
    let mut buffer = buffer.freeze();
    events.iter().map(move |event| Event {
        seq: event.seq,
        upstream_id: event.upstream_id.as_ref().map(|id| buffer.split_to(id.len())),
        lines: buffer.split_to(event.lines.len()),
    })
}
