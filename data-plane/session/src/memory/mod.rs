//! Sessions of one node, in memory.
//!
//! The hot path ([`peek`](SessionStore::peek)) takes one shard's read lock and writes one atomic. Creating, ending, counting
//! and listing share the [`roster`]'s lock; each session's event logs have a lock of their own. Locks nest in one order only:
//! a session's logs, then the [`budget`]'s; no other lock is taken while one is held, except that a shard of the session map
//! may be read-locked while a session's `Arc` is cloned.

mod budget;
mod log;
mod roster;
mod session_logs;
mod sweep;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use dashmap::DashMap;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::budget::Budget;
use self::roster::Roster;
use self::session_logs::SessionLogs;
use crate::clock::now;
use crate::hash::IdBuildHasher;
use crate::limits::WAIT;
use crate::{
    CountOf, Event, NewSession, Owner, Page, PageRequest, Session, SessionId, SessionStore, StoreError, StoreOptions,
    StreamHead, StreamId, StreamPage, StreamState,
};

/// Sessions and event logs of one node; they end with the process.
#[derive(Debug)]
pub struct MemoryStore {
    inner: Arc<Inner>,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

#[derive(Debug)]
struct Inner {
    options: StoreOptions,
    sessions: DashMap<SessionId, Slot, IdBuildHasher>,
    roster: Mutex<Roster>,
    budget: Budget,
}

#[derive(Debug)]
struct Slot {
    session: Arc<Session>,
    logs: Arc<Mutex<SessionLogs>>,
}

impl MemoryStore {
    /// An empty store. Its sweep runs on the current Tokio runtime until the store is dropped.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    #[must_use]
    pub fn new(options: StoreOptions) -> Self {
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let inner = Arc::new(Inner {
            budget: Budget::new(options.metrics.clone()),
            options,
            sessions: DashMap::default(),
            roster: Mutex::default(),
        });
        tasks.spawn(sweep::run(Arc::clone(&inner), stop.clone()));
        tasks.close();
        Self { inner, tasks, _stop_on_drop: stop.clone().drop_guard(), stop }
    }
}

impl Inner {
    /// The session, if it is alive; notes that it was used.
    fn touched(&self, id: &SessionId, now: u64) -> Option<Arc<Session>> {
        let slot = self.sessions.get(id).filter(|slot| !slot.session.is_expired(now))?;
        slot.session.touch(now);
        Some(Arc::clone(&slot.session))
    }

    fn create(&self, new: NewSession) -> Result<Arc<Session>, StoreError> {
        let max_per_route = new.max_per_route;
        let session = Arc::new(Session::begin(SessionId::random(), new, now()));
        let max_per_principal = self.options.max_per_principal;
        lock(&self.roster).enter(&session, max_per_route, max_per_principal)?;
        let slot = Slot { session: Arc::clone(&session), logs: Arc::default() };
        self.sessions.insert(session.id, slot);
        Ok(session)
    }

    fn update(&self, mut session: Session) -> Result<Arc<Session>, StoreError> {
        let mut slot = self.sessions.get_mut(&session.id).ok_or(StoreError::Conflict)?;
        let stored = &slot.session;
        if stored.revision != session.revision || stored.is_expired(now()) {
            return Err(StoreError::Conflict);
        }
        session.revision += 1;
        session.route = Arc::clone(&stored.route);
        session.principal = stored.principal.clone();
        session.created_at = stored.created_at;
        session.last_used = stored.last_used.clone();
        slot.session = Arc::new(session);
        Ok(Arc::clone(&slot.session))
    }

    fn delete(&self, id: &SessionId) -> bool {
        let removed = self.sessions.remove(id);
        removed.map(|(_, slot)| self.forget(&slot)).is_some()
    }

    /// Removes a session if it is expired. Deciding and removing are one step: a use in between would be lost.
    fn expire(&self, id: &SessionId, now: u64) {
        if let Some((_, slot)) = self.sessions.remove_if(id, |_, slot| slot.session.is_expired(now)) {
            self.forget(&slot);
            self.options.metrics.sessions_expired.increment(1);
        }
    }

    fn forget(&self, slot: &Slot) {
        lock(&self.roster).leave(&slot.session);
        lock(&slot.logs).close(&self.budget);
    }

    fn list(&self, page: &PageRequest) -> Page {
        let after = page.cursor.as_deref().and_then(|cursor| SessionId::parse(cursor).ok());
        let limit = page.size();
        let mut ids = lock(&self.roster).ids(page.route.as_deref(), after, limit + 1);
        let more = ids.len() > limit;
        ids.truncate(limit);
        let now = now();
        let alive = |id: &SessionId| {
            let slot = self.sessions.get(id)?;
            (!slot.session.is_expired(now)).then(|| Arc::clone(&slot.session))
        };
        Page {
            next: ids.last().filter(|_| more).map(ToString::to_string),
            sessions: ids.iter().filter_map(alive).collect(),
        }
    }

    fn logs(&self, session: &SessionId) -> Option<Arc<Mutex<SessionLogs>>> {
        self.sessions.get(session).map(|slot| Arc::clone(&slot.logs))
    }

    fn append(&self, session: &SessionId, stream: &StreamId, events: &[Event]) -> Result<(), StoreError> {
        let (logs, session) = {
            let slot = self.sessions.get(session).ok_or(StoreError::Conflict)?;
            (Arc::clone(&slot.logs), Arc::clone(&slot.session))
        };
        session.touch(now());
        lock(&logs).append(stream, events, &self.budget)?;
        self.relieve(&logs, stream);
        Ok(())
    }

    /// Brings the logs back into the budget after `growing` grew: ended streams go first, then its own oldest events.
    fn relieve(&self, logs: &Mutex<SessionLogs>, growing: &StreamId) {
        while self.budget.excess() > 0 {
            let Some(ended) = self.budget.take_oldest() else {
                return lock(logs).shed(growing, &self.budget);
            };
            self.forget_ended(&ended);
        }
    }

    fn forget_ended(&self, ended: &budget::Ended) {
        if let Some(logs) = self.logs(&ended.session) {
            lock(&logs).forget(&ended.stream, &self.budget);
        }
    }
}

/// A panic while a lock is held leaves books that are off by one entry at worst; refusing every later call would be worse.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl SessionStore for MemoryStore {
    fn peek(&self, id: &SessionId) -> Option<Arc<Session>> {
        self.inner.touched(id, now())
    }

    async fn create(&self, new: NewSession) -> Result<Arc<Session>, StoreError> {
        self.inner.create(new)
    }

    async fn get(&self, id: &SessionId) -> Result<Option<Arc<Session>>, StoreError> {
        let now = now();
        let found = self.inner.touched(id, now);
        if found.is_none() {
            self.inner.expire(id, now);
        }
        Ok(found)
    }

    async fn update(&self, session: Session) -> Result<Arc<Session>, StoreError> {
        self.inner.update(session)
    }

    async fn delete(&self, id: &SessionId) -> Result<bool, StoreError> {
        Ok(self.inner.delete(id))
    }

    async fn get_many(&self, ids: &[SessionId]) -> Result<Vec<Option<Arc<Session>>>, StoreError> {
        let now = now();
        Ok(ids.iter().map(|id| self.inner.touched(id, now)).collect())
    }

    async fn delete_many(&self, ids: &[SessionId]) -> Result<usize, StoreError> {
        Ok(ids.iter().filter(|id| self.inner.delete(id)).count())
    }

    async fn count(&self, of: CountOf<'_>) -> Result<u64, StoreError> {
        Ok(lock(&self.inner.roster).count(of))
    }

    async fn list(&self, page: PageRequest) -> Result<Page, StoreError> {
        Ok(self.inner.list(&page))
    }

    async fn open_stream(&self, session: &SessionId, stream: &StreamId, head: StreamHead) -> Result<(), StoreError> {
        let logs = self.inner.logs(session).ok_or(StoreError::Conflict)?;
        lock(&logs).open(*stream, head, &self.inner.budget)
    }

    async fn append(&self, session: &SessionId, stream: &StreamId, events: &[Event]) -> Result<(), StoreError> {
        self.inner.append(session, stream, events)
    }

    async fn end_stream(&self, session: &SessionId, stream: &StreamId, state: StreamState) -> Result<(), StoreError> {
        let logs = self.inner.logs(session).ok_or(StoreError::Conflict)?;
        lock(&logs).end(*session, *stream, state, &self.inner.budget)
    }

    async fn read(
        &self,
        session: &SessionId,
        stream: &StreamId,
        after: u64,
        max: usize,
    ) -> Result<Option<StreamPage>, StoreError> {
        let logs = self.inner.logs(session);
        Ok(logs.and_then(|logs| Some(lock(&logs).get(stream)?.read(after, max))))
    }

    async fn wait(&self, session: &SessionId, stream: &StreamId, after: u64) {
        let Some(logs) = self.inner.logs(session) else { return };
        let Some(changed) = lock(&logs).get(stream).map(log::Log::changed) else { return };
        // Listening begins before looking, so that nothing is missed in between.
        let notified = changed.notified();
        if lock(&logs).get(stream).is_some_and(|log| log.may_still_grow_after(after)) {
            let _ = timeout(WAIT, notified).await;
        }
    }

    async fn last_event_id(&self, session: &SessionId, stream: &StreamId) -> Result<Option<u64>, StoreError> {
        let logs = self.inner.logs(session);
        Ok(logs.and_then(|logs| Some(lock(&logs).get(stream)?.last())))
    }

    async fn delete_stream(&self, session: &SessionId, stream: &StreamId) -> Result<(), StoreError> {
        if let Some(logs) = self.inner.logs(session) {
            lock(&logs).forget(stream, &self.inner.budget);
        }
        Ok(())
    }

    async fn owner_alive(&self, owner: &Owner) -> Result<bool, StoreError> {
        Ok(owner.instance == self.inner.options.instance)
    }

    fn health(&self) -> Result<(), String> {
        Ok(())
    }

    async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}
