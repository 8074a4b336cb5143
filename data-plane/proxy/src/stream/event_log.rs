//! The writing end of a stream's event log: what was sent to a client and may have to be sent again.
//!
//! Writes go behind the client's bytes, in order and one batch at a time: a client that has read an event which the log has
//! not yet resumes after it all the same, because the log goes on from there.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use shadowcat_session::{Event, EventId, SessionId, SessionStore, StoreError, StreamHead, StreamId, StreamState};

/// Events not yet in the log may hold this many bytes; beyond it the upstream is not read until the store has caught up, which
/// shows as its backpressure.
const UNWRITTEN_BYTES_MAX: usize = 256 * 1024;

/// The only writer of one stream.
pub(crate) struct EventLog {
    store: Arc<dyn SessionStore>,
    session: SessionId,
    stream: StreamId,
    head: Option<StreamHead>,
    next: u64,
    unwritten: Vec<Event>,
    unwritten_bytes: usize,
    writing: Option<BoxFuture<'static, Result<(), StoreError>>>,
    /// Set when the store refused: the stream goes on, but cannot be resumed past this point.
    broken: bool,
}

impl EventLog {
    /// A new stream of `session`.
    pub(crate) fn new(store: Arc<dyn SessionStore>, session: SessionId, head: StreamHead) -> Self {
        Self::resumed(store, session, StreamId::random(), head, 0)
    }

    /// A stream that another writer left after `last`.
    pub(crate) fn resumed(
        store: Arc<dyn SessionStore>,
        session: SessionId,
        stream: StreamId,
        head: StreamHead,
        last: u64,
    ) -> Self {
        Self {
            store,
            session,
            stream,
            head: Some(head),
            next: last + 1,
            unwritten: Vec::new(),
            unwritten_bytes: 0,
            writing: None,
            broken: false,
        }
    }

    /// Says at once, before the first event, that the stream has a writer again.
    pub(crate) async fn claim(&mut self) {
        let claimed = self.write().await;
        self.written(claimed);
    }

    /// Takes the next event and gives it its id.
    pub(crate) fn push(&mut self, upstream_id: Option<Bytes>, lines: Bytes) -> EventId {
        let id = EventId { stream: self.stream, seq: self.next };
        self.next += 1;
        if !self.broken {
            self.unwritten_bytes += lines.len();
            self.unwritten.push(Event { seq: id.seq, upstream_id, lines });
        }
        id
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
            if self.unwritten.is_empty() {
                return Poll::Ready(());
            }
            self.writing = Some(self.write());
        }
    }

    fn written(&mut self, result: Result<(), StoreError>) {
        self.writing = None;
        if let Err(error) = result {
            tracing::warn!(session = %self.session, stream = %self.stream, %error, "stream can no longer be resumed");
            self.broken = true;
            self.unwritten.clear();
            self.unwritten_bytes = 0;
        }
    }

    fn write(&mut self) -> BoxFuture<'static, Result<(), StoreError>> {
        let events = std::mem::take(&mut self.unwritten);
        self.unwritten_bytes = 0;
        let (store, session, stream, head) = (Arc::clone(&self.store), self.session, self.stream, self.head.take());
        Box::pin(async move {
            if let Some(head) = head {
                store.open_stream(&session, &stream, head).await?;
            }
            store.append(&session, &stream, &events).await
        })
    }

    /// Writes what is left and notes why the stream ended. A stream that never had an event leaves nothing behind.
    pub(crate) async fn close(mut self, state: StreamState) {
        if let Some(writing) = self.writing.take() {
            let result = writing.await;
            self.written(result);
        }
        if !self.unwritten.is_empty() {
            let result = self.write().await;
            self.written(result);
        }
        if self.broken || self.head.is_some() {
            return;
        }
        if let Err(error) = self.store.end_stream(&self.session, &self.stream, state).await {
            tracing::debug!(session = %self.session, stream = %self.stream, %error, "end of stream not noted");
        }
    }
}

impl fmt::Debug for EventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLog").field("stream", &self.stream).field("next", &self.next).finish_non_exhaustive()
    }
}
