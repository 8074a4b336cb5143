//! The one seam between the gateway and where its sessions live.

use std::sync::Arc;

use async_trait::async_trait;

use crate::limits::MAX_PAGE;
use crate::{Event, NewSession, Owner, Principal, Session, SessionId, StreamHead, StreamId, StreamPage, StreamState};

/// Where sessions and their event logs live. Every operation is bounded in time (250 ms for a store across a network) and
/// fails rather than waits.
#[async_trait]
pub trait SessionStore: Send + Sync + 'static {
    /// The session if this replica may answer for it without I/O, and notes that it was used. `None` means "ask [`get`](Self::get)".
    ///
    /// What this returns is at most one second behind a deletion on another replica (or, while the store is away, at most the store's grace).
    fn peek(&self, id: &SessionId) -> Option<Arc<Session>>;

    /// Creates a session, unless a cap is reached.
    async fn create(&self, new: NewSession) -> Result<Arc<Session>, StoreError>;

    /// The session, wherever it is known; notes that it was used. `None` if it never was, has ended or has expired.
    async fn get(&self, id: &SessionId) -> Result<Option<Arc<Session>>, StoreError>;

    /// Replaces a session, as long as its `revision` is still the stored one. Id, route, principal and time of creation stay
    /// what they were.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if somebody else changed or ended it.
    async fn update(&self, session: Session) -> Result<Arc<Session>, StoreError>;

    /// Ends a session and forgets its event logs; false if there was none.
    async fn delete(&self, id: &SessionId) -> Result<bool, StoreError>;

    /// [`get`](Self::get) for many, in the order asked.
    async fn get_many(&self, ids: &[SessionId]) -> Result<Vec<Option<Arc<Session>>>, StoreError>;

    /// [`delete`](Self::delete) for many; the number that existed.
    async fn delete_many(&self, ids: &[SessionId]) -> Result<usize, StoreError>;

    /// Live sessions of a scope.
    async fn count(&self, of: CountOf<'_>) -> Result<u64, StoreError>;

    /// Live sessions in the store's own order, a page at a time. Every session that lives from the first page to the last is
    /// on one of them; one that is used meanwhile may be on two.
    async fn list(&self, page: PageRequest) -> Result<Page, StoreError>;

    /// Starts the event log of a stream, or takes over an existing one for this node as its only writer.
    ///
    /// The head may travel with the first [`append`](Self::append), so that both cost one round trip: other nodes see the
    /// stream, or that it was taken over, from then on. An append of no events is enough.
    async fn open_stream(&self, session: &SessionId, stream: &StreamId, head: StreamHead) -> Result<(), StoreError>;

    /// Appends events whose `seq` follow each other and the log's last; the oldest fall out at the log's bound. Notes that
    /// the session was used: a call that takes long is not idle.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if this node is not the stream's writer (any more), the stream or its session ended, or the
    /// first `seq` is not the next. After [`StoreError::Unavailable`] nobody knows whether the events were written: the writer
    /// cannot go on.
    async fn append(&self, session: &SessionId, stream: &StreamId, events: &[Event]) -> Result<(), StoreError>;

    /// Notes that a stream's writer stopped, and why. A stream that never had an event leaves nothing behind.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if this node is not the stream's writer (any more).
    async fn end_stream(&self, session: &SessionId, stream: &StreamId, state: StreamState) -> Result<(), StoreError>;

    /// Up to `max` events after `after`, and the state of the stream. `None` if there is no such stream (any more).
    async fn read(
        &self,
        session: &SessionId,
        stream: &StreamId,
        after: u64,
        max: usize,
    ) -> Result<Option<StreamPage>, StoreError>;

    /// Returns when the stream may hold something after `after`, or its state changed, or one second passed.
    async fn wait(&self, session: &SessionId, stream: &StreamId, after: u64);

    /// The `seq` of a stream's last event; 0 before the first.
    async fn last_event_id(&self, session: &SessionId, stream: &StreamId) -> Result<Option<u64>, StoreError>;

    /// Forgets a stream.
    async fn delete_stream(&self, session: &SessionId, stream: &StreamId) -> Result<(), StoreError>;

    /// Whether the node that holds what cannot move of a session is still there.
    async fn owner_alive(&self, owner: &Owner) -> Result<bool, StoreError>;

    /// Whether the store answers, for `/health`: `Ok` or one sentence.
    fn health(&self) -> Result<(), String>;

    /// Stops the store's own tasks and gives up what this node holds in it, so that others need not wait for a lease to run
    /// out. Sessions stay.
    async fn shutdown(&self);
}

/// What [`SessionStore::count`] counts.
#[derive(Debug, Clone, Copy)]
pub enum CountOf<'a> {
    /// Every session.
    All,
    /// Those of a route.
    Route(&'a str),
    /// Those of a principal.
    Principal(&'a Principal),
}

/// Which page of sessions to list.
#[derive(Debug, Clone, Default)]
pub struct PageRequest {
    /// Only this route's.
    pub route: Option<String>,
    /// The `next` of the page before. A text that is none starts from the beginning.
    pub cursor: Option<String>,
    /// How many at most; 0 stands for [`MAX_PAGE`], and so does more.
    pub limit: usize,
}

impl PageRequest {
    /// The limit that applies.
    #[must_use]
    pub const fn size(&self) -> usize {
        if self.limit == 0 || self.limit > MAX_PAGE { MAX_PAGE } else { self.limit }
    }
}

/// A page of sessions.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The sessions.
    pub sessions: Vec<Arc<Session>>,
    /// Where the next page starts; absent on the last.
    pub next: Option<String>,
}

/// Why a store refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The route holds as many sessions as it may.
    #[error("route {route} holds its maximum of {max} sessions")]
    RouteFull {
        /// The route.
        route: String,
        /// Its cap.
        max: u32,
    },
    /// The principal holds as many sessions as it may.
    #[error("this caller holds its maximum of {max} sessions")]
    PrincipalFull {
        /// The cap.
        max: u32,
    },
    /// Somebody else changed or ended the record first.
    #[error("the record was changed or ended meanwhile")]
    Conflict,
    /// The store does not answer.
    #[error("session store unavailable: {0}")]
    Unavailable(String),
}
