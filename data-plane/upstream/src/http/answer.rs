//! The body of an answer as it comes off a connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::failure;
use super::pool::Held;
use crate::UpstreamError;
use crate::body::Idle;
use crate::slots::Slot;

/// A body with its connection and its share of the pool, both of which it gives back with its last frame.
pub(crate) struct Answer {
    incoming: Incoming,
    held: Option<Held>,
    idle: Idle,
    /// Absent once the answer has ended, well or not.
    slot: Option<Slot>,
}

impl Answer {
    pub(super) fn new(incoming: Incoming, held: Held, idle: Idle, slot: Slot) -> Self {
        let mut answer = Self { incoming, held: Some(held), idle, slot: Some(slot) };
        if answer.incoming.is_end_stream() {
            answer.end();
        }
        answer
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let Some(slot) = &self.slot else {
            return Poll::Ready(None);
        };
        let frame = match &mut self.held {
            Some(Held::Whole(lent)) => lent.link.poll_frame(&mut self.incoming, cx),
            Some(Held::Share(_)) | None => Pin::new(&mut self.incoming).poll_frame(cx),
        };
        let failure = match frame {
            Poll::Ready(Some(Ok(frame))) => {
                self.idle.touch();
                if self.incoming.is_end_stream() {
                    self.end();
                }
                return Poll::Ready(Some(Ok(frame)));
            }
            Poll::Ready(None) => {
                self.end();
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(error))) => failure::of_body(slot.upstream(), &error),
            Poll::Pending => match self.idle.poll_expired(cx) {
                Poll::Ready(limit) => failure::of_stall(slot.upstream(), limit),
                Poll::Pending => return Poll::Pending,
            },
        };
        self.held = None;
        self.slot = None;
        Poll::Ready(Some(Err(failure)))
    }

    /// The last byte is here. The slot goes last: who waits for it finds the connection free.
    fn end(&mut self) {
        if let Some(Held::Whole(lent)) = self.held.take() {
            lent.give_back();
        }
        self.slot = None;
    }

    pub(crate) fn idle_mut(&mut self) -> &mut Idle {
        &mut self.idle
    }

    /// True if a poll brings all that has arrived, because no other task stands between this one and the socket.
    pub(crate) fn drives_its_connection(&self) -> bool {
        matches!(self.held, Some(Held::Whole(_)))
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.slot.is_none() || self.incoming.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
