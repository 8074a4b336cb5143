//! Sessions that replicas share through Redis 7.
//!
//! | Module | Holds |
//! |---|---|
//! | `link`, `status`, `pushes` | the one connection, whether it is there, what Redis says unasked |
//! | `cache` | local copies of sessions, so that a hot one costs no round trip |
//! | `sessions`, `touch`, `record` | sessions as hashes with a time to live, indexes for caps and lists |
//! | `streams`, `waiters` | event logs as Redis streams, and readers that wait for them to grow |
//! | `scripts`, `keys` | the Lua, and how keys are named |
//!
//! While the link is away, cached sessions go on for a grace; everything else fails at once. A link that was made anew has
//! missed invalidations, so that every copy is read once more before it is served again.

mod cache;
mod keys;
mod link;
mod pushes;
mod record;
mod scripts;
mod sessions;
mod status;
mod streams;
mod touch;
mod waiters;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dashmap::DashMap;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::cache::Cache;
use self::keys::StreamKey;
use self::link::Link;
use self::pushes::Pushes;
use self::status::Status;
use self::touch::Touch;
use self::waiters::Waiters;
use crate::clock::now;
use crate::{
    CountOf, Event, NewSession, Owner, Page, PageRequest, Session, SessionId, SessionStore, StoreError, StoreOptions,
    StreamHead, StreamId, StreamPage, StreamState,
};

/// How often copies that cannot be served any more are let go. They cost memory only.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// A text that does not name a Redis. It is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the URL of a Redis: {reason}")]
pub struct InvalidRedisUrl {
    reason: String,
}

/// Sessions and event logs in a Redis that several nodes share.
#[derive(Debug)]
pub struct RedisStore {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

/// What the store and its tasks have in common.
#[derive(Debug)]
struct Shared {
    options: StoreOptions,
    link: Link,
    cache: Arc<Cache>,
    waiters: Arc<Waiters>,
    touches: mpsc::Sender<Touch>,
    /// Heads of streams whose first append will carry them.
    unopened: DashMap<StreamKey, StreamHead>,
}

impl RedisStore {
    /// A store in the Redis at `url` (`redis://`, `rediss://` or `unix://`). Its tasks run on the current Tokio runtime until
    /// it is dropped or [shut down](SessionStore::shutdown).
    ///
    /// Returns after the first attempt to connect, at most a second; a Redis that is away is no error, it is tried again.
    ///
    /// # Errors
    /// [`InvalidRedisUrl`] if the URL is none.
    pub async fn connect(url: &str, options: StoreOptions) -> Result<Self, InvalidRedisUrl> {
        let status = Arc::new(Status::new(options.outage_grace));
        let cache = Arc::new(Cache::new(Arc::clone(&status), options.metrics.clone()));
        let waiters = Arc::<Waiters>::default();
        let pushes = Pushes { cache: Arc::clone(&cache), waiters: Arc::clone(&waiters), status };
        let link = Link::new(url, &options.instance, pushes, options.metrics.clone())
            .map_err(|error| InvalidRedisUrl { reason: error.to_string() })?;
        let (touches, queue) = mpsc::channel(touch::QUEUE);
        let shared = Arc::new(Shared { options, link, cache, waiters, touches, unopened: DashMap::new() });
        shared.link.connect().await;

        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (keeper, toucher, sweeper) = (Arc::clone(&shared), Arc::clone(&shared), Arc::clone(&shared));
        tasks.spawn(stop.clone().run_until_cancelled_owned(async move { keeper.link.keep().await }));
        tasks.spawn(stop.clone().run_until_cancelled_owned(async move { toucher.tell_of_uses(queue).await }));
        tasks.spawn(stop.clone().run_until_cancelled_owned(async move { sweeper.sweep().await }));
        tasks.close();
        Ok(Self { shared, tasks, _stop_on_drop: stop.clone().drop_guard(), stop })
    }
}

impl Shared {
    /// Sweeps the cache for as long as it is polled.
    async fn sweep(&self) {
        let mut ticks = interval(SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.cache.sweep(now());
        }
    }
}

#[async_trait]
impl SessionStore for RedisStore {
    fn peek(&self, id: &SessionId) -> Option<Arc<Session>> {
        self.shared.peek(id)
    }

    async fn create(&self, new: NewSession) -> Result<Arc<Session>, StoreError> {
        self.shared.create(new).await
    }

    async fn get(&self, id: &SessionId) -> Result<Option<Arc<Session>>, StoreError> {
        self.shared.get(id).await
    }

    async fn update(&self, session: Session) -> Result<Arc<Session>, StoreError> {
        self.shared.update(&session).await
    }

    async fn delete(&self, id: &SessionId) -> Result<bool, StoreError> {
        Ok(self.shared.delete_many(&[*id]).await? == 1)
    }

    async fn get_many(&self, ids: &[SessionId]) -> Result<Vec<Option<Arc<Session>>>, StoreError> {
        self.shared.get_many(ids).await
    }

    async fn delete_many(&self, ids: &[SessionId]) -> Result<usize, StoreError> {
        self.shared.delete_many(ids).await
    }

    async fn count(&self, of: CountOf<'_>) -> Result<u64, StoreError> {
        self.shared.count(of).await
    }

    async fn list(&self, page: PageRequest) -> Result<Page, StoreError> {
        self.shared.list(&page).await
    }

    async fn open_stream(&self, session: &SessionId, stream: &StreamId, head: StreamHead) -> Result<(), StoreError> {
        self.shared.open_stream(StreamKey::new(session, stream), head).await
    }

    async fn append(&self, session: &SessionId, stream: &StreamId, events: &[Event]) -> Result<(), StoreError> {
        self.shared.append(StreamKey::new(session, stream), events).await
    }

    async fn end_stream(&self, session: &SessionId, stream: &StreamId, state: StreamState) -> Result<(), StoreError> {
        self.shared.end_stream(StreamKey::new(session, stream), state).await
    }

    async fn read(
        &self,
        session: &SessionId,
        stream: &StreamId,
        after: u64,
        max: usize,
    ) -> Result<Option<StreamPage>, StoreError> {
        self.shared.read(StreamKey::new(session, stream), after, max).await
    }

    async fn wait(&self, session: &SessionId, stream: &StreamId, after: u64) {
        self.shared.wait(StreamKey::new(session, stream), after).await;
    }

    async fn last_event_id(&self, session: &SessionId, stream: &StreamId) -> Result<Option<u64>, StoreError> {
        let position = self.shared.position(StreamKey::new(session, stream)).await?;
        Ok(position.map(|position| position.last))
    }

    async fn delete_stream(&self, session: &SessionId, stream: &StreamId) -> Result<(), StoreError> {
        self.shared.delete_stream(StreamKey::new(session, stream)).await
    }

    async fn owner_alive(&self, owner: &Owner) -> Result<bool, StoreError> {
        if owner.instance == self.shared.options.instance {
            return Ok(true);
        }
        let mut exists = redis::cmd("EXISTS");
        exists.arg(keys::node(&owner.instance));
        self.shared.link.ask(&exists).await
    }

    fn health(&self) -> Result<(), String> {
        self.shared.link.health()
    }

    async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
        self.shared.link.close().await;
    }
}
