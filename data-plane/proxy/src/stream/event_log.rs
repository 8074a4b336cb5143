//! The writing end of a stream's event log: what was sent to a client and may have to be sent again.
//!
//! Writes go behind the client's bytes, in order and one batch at a time: a client that has read an event which the log has
//! not yet resumes after it all the same, because the log goes on from there.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use shadowcat_session::{Event, EventId, SessionId, SessionStore, StoreError, StreamHead, StreamId, StreamState};

use crate::observe::Short;

/// Events not yet in the log may hold this many bytes; beyond it the upstream is not read until the store has caught up, which
/// shows as its backpressure.
const UNWRITTEN_BYTES_MAX: usize = 256 * 1024;

/// The end of a stream is told to a store that is away again after these waits; then the writer's lease tells it.
const END_AGAIN: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];

/// The only writer of one stream. It is nobody's until its first event, and leaves nothing behind if there is none.
pub(crate) struct EventLog {
    store: Arc<dyn SessionStore>,
    session: SessionId,
    /// Random, and so made only when there is an event to number.
    stream: Option<StreamId>,
    /// What the stream is, until the store has been told.
    head: Option<StreamHead>,
    next: u64,
    unwritten: Vec<Event>,
    unwritten_bytes: usize,
    /// The store has to hear at once that the stream has a writer again.
    unclaimed: bool,
    writing: Option<BoxFuture<'static, Result<(), StoreError>>>,
    /// Set when the store refused: the stream goes on, but cannot be resumed past this point.
    broken: bool,
}

impl EventLog {
    /// A new stream of `session`.
    pub(crate) fn new(store: Arc<dyn SessionStore>, session: SessionId, head: StreamHead) -> Self {
        Self {
            store,
            session,
            stream: None,
            head: Some(head),
            next: 1,
            unwritten: Vec::new(),
            unwritten_bytes: 0,
            unclaimed: false,
            writing: None,
            broken: false,
        }
    }

    /// A stream that another writer left after `last`.
    pub(crate) fn resumed(store: Arc<dyn SessionStore>, session: SessionId, last: EventId, head: StreamHead) -> Self {
        let (stream, next) = (Some(last.stream), last.seq + 1);
        Self { stream, next, unclaimed: true, ..Self::new(store, session, head) }
    }

    /// Takes the next event and gives it its id; `None` once the log is broken, because an id promises that the stream can be
    /// resumed from it.
    pub(crate) fn push(&mut self, upstream_id: Option<Bytes>, lines: Bytes) -> Option<EventId> {
        if self.broken {
            return None;
        }
        let id = EventId { stream: *self.stream.get_or_insert_with(StreamId::random), seq: self.next };
        self.next += 1;
        self.unwritten_bytes += lines.len();
        self.unwritten.push(Event { seq: id.seq, upstream_id, lines });
        Some(id)
    }

    /// Drives the writing; `Pending` while the store is so far behind that the upstream must wait.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(writing) = &mut self.writing {
                match writing.as_mut().poll(cx) {
                    Poll::Ready(result) => self.written(result),
                    Poll::Pending if self.unwritten_bytes > UNWRITTEN_BYTES_MAX => return Poll::Pending,
                    Poll::Pending => return Poll::Ready(()),
                }
            }
            match self.write() {
                Some(writing) => self.writing = Some(writing),
                None => return Poll::Ready(()),
            }
        }
    }

    fn written(&mut self, result: Result<(), StoreError>) {
        self.writing = None;
        if let Err(error) = result {
            tracing::warn!(session = %Short(&self.session), stream = ?self.stream, %error, "stream can no longer be resumed");
            self.broken = true;
            self.unwritten.clear();
            self.unwritten_bytes = 0;
        }
    }

    /// The next write, if there is something to write.
    fn write(&mut self) -> Option<BoxFuture<'static, Result<(), StoreError>>> {
        let due = !self.unwritten.is_empty() || self.unclaimed;
        let stream = self.stream.filter(|_| due && !self.broken)?;
        self.unclaimed = false;
        self.unwritten_bytes = 0;
        let events = std::mem::take(&mut self.unwritten);
        let (store, session, head) = (Arc::clone(&self.store), self.session, self.head.take());
        Some(Box::pin(async move {
            if let Some(head) = head {
                store.open_stream(&session, &stream, head).await?;
            }
            store.append(&session, &stream, &events).await
        }))
    }

    /// Writes what is left and notes why the stream ended.
    pub(crate) async fn close(mut self, state: StreamState) {
        if let Some(writing) = self.writing.take() {
            let result = writing.await;
            self.written(result);
        }
        if !self.unwritten.is_empty()
            && let Some(writing) = self.write()
        {
            let result = writing.await;
            self.written(result);
        }
        let Some(stream) = self.stream.filter(|_| self.head.is_none()) else { return };
        // Whoever resumes a stream with a hole must hear that its outcome is unknown.
        let state = if self.broken { StreamState::Orphaned } else { state };
        for wait in END_AGAIN {
            match self.store.end_stream(&self.session, &stream, state).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::debug!(session = %Short(&self.session), %stream, %error, "end of stream not noted");
                }
            }
            tokio::time::sleep(wait).await;
        }
    }
}

impl fmt::Debug for EventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLog").field("stream", &self.stream).field("next", &self.next).finish_non_exhaustive()
    }
}
