//! The event logs of one session.

use std::collections::{HashMap, VecDeque};

use super::budget::{Budget, Ticket};
use super::log::Log;
use crate::limits::{MAX_ENDED_BYTES, MAX_ENDED_STREAMS};
use crate::{Event, SessionId, StoreError, StreamHead, StreamId, StreamState};

/// The streams of a session: those being written, and a bounded number of ended ones.
#[derive(Debug, Default)]
pub(super) struct SessionLogs {
    streams: HashMap<StreamId, Log>,
    /// In the order in which they ended.
    ended: VecDeque<(StreamId, Ticket)>,
    ended_bytes: usize,
    /// The session is over. Whoever still holds these logs finds them shut, not empty.
    closed: bool,
}

impl SessionLogs {
    pub(super) fn get(&self, stream: &StreamId) -> Option<&Log> {
        self.streams.get(stream)
    }

    /// Starts a stream, or takes it over.
    pub(super) fn open(&mut self, stream: StreamId, head: StreamHead, budget: &Budget) -> Result<(), StoreError> {
        if self.closed {
            return Err(StoreError::Conflict);
        }
        self.revive(&stream, budget);
        match self.streams.get_mut(&stream) {
            Some(log) => log.take_over(head),
            None => drop(self.streams.insert(stream, Log::new(head))),
        }
        Ok(())
    }

    pub(super) fn append(&mut self, stream: &StreamId, events: &[Event], budget: &Budget) -> Result<(), StoreError> {
        self.streams.get_mut(stream).ok_or(StoreError::Conflict)?.append(events, budget)
    }

    /// Ends a stream, and forgets those that ended before it as far as the bounds demand.
    pub(super) fn end(
        &mut self,
        session: SessionId,
        stream: StreamId,
        state: StreamState,
        budget: &Budget,
    ) -> Result<(), StoreError> {
        self.revive(&stream, budget);
        let log = self.streams.get_mut(&stream).ok_or(StoreError::Conflict)?;
        if log.last() == 0 {
            self.forget(&stream, budget);
            return Ok(());
        }
        log.set_state(state);
        self.ended_bytes += log.bytes();
        self.ended.push_back((stream, budget.enqueue(session, stream)));
        while self.ended.len() > MAX_ENDED_STREAMS || (self.ended_bytes > MAX_ENDED_BYTES && self.ended.len() > 1) {
            let Some(&(oldest, _)) = self.ended.front() else { break };
            self.forget(&oldest, budget);
            budget.metrics.log_streams_forgotten.increment(1);
        }
        Ok(())
    }

    pub(super) fn forget(&mut self, stream: &StreamId, budget: &Budget) {
        self.revive(stream, budget);
        if let Some(log) = self.streams.remove(stream) {
            budget.refund(log.bytes());
            log.changed().notify_waiters();
        }
    }

    /// Makes room at the cost of a stream being written.
    pub(super) fn shed(&mut self, stream: &StreamId, budget: &Budget) {
        if let Some(log) = self.streams.get_mut(stream) {
            log.shed(budget);
        }
    }

    /// Forgets everything, for good.
    pub(super) fn close(&mut self, budget: &Budget) {
        self.closed = true;
        let streams: Vec<_> = self.streams.keys().copied().collect();
        for stream in streams {
            self.forget(&stream, budget);
        }
    }

    /// Takes a stream off the list of ended ones, if it is there.
    fn revive(&mut self, stream: &StreamId, budget: &Budget) {
        let Some(place) = self.ended.iter().position(|(ended, _)| ended == stream) else { return };
        if let Some((_, ticket)) = self.ended.remove(place) {
            budget.withdraw(ticket);
        }
        self.ended_bytes -= self.streams.get(stream).map_or(0, Log::bytes);
    }
}
