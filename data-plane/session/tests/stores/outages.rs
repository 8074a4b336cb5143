//! Redis gone, frozen, and back.

use std::time::Duration;

use shadowcat_session::limits::OPERATION_TIMEOUT;
use shadowcat_session::{
    CountOf, PageRequest, RedisStore, Session, SessionId, SessionStore, StoreError, StoreMetrics, StoreOptions,
    StreamId,
};
use tokio::time::Instant;

use crate::redis_server::RedisServer;
use crate::replicas::replica;
use crate::support::{counter, events, eventually, head_by, on};

/// What a busy test machine may add to a promise in milliseconds.
const SCHEDULING: Duration = Duration::from_millis(100);

/// By when a link is back after Redis is: the longest delay between attempts, and the attempt.
const RECONNECTED: Duration = Duration::from_secs(4);

/// By when a link that answers nothing is given up: two heartbeats and their time-outs, and some.
const LOST: Duration = Duration::from_secs(2);

async fn is_away(store: &RedisStore) {
    eventually("the loss is noticed", LOST, || async { store.health().is_err() }).await;
}

async fn is_back(store: &RedisStore) {
    eventually("the link is back", RECONNECTED, || async { store.health().is_ok() }).await;
}

#[tokio::test]
async fn when_redis_dies_cached_sessions_go_on_and_new_ones_are_refused_at_once() {
    let mut redis = RedisServer::start().await;
    let store = replica(&redis, "node-a").await;
    let session = store.create(on("workbench")).await.unwrap();
    let other = store.create(on("workbench")).await.unwrap();
    redis.kill();
    assert_bounded(&store, &other).await;
    is_away(&store).await;
    assert!(store.peek(&session.id).is_some());
    assert!(store.get(&session.id).await.unwrap().is_some());
    assert!(store.health().unwrap_err().starts_with("Redis has been away for 0 s"));

    let started = Instant::now();
    assert!(matches!(store.create(on("workbench")).await, Err(StoreError::Unavailable(_))));
    assert!(store.get(&SessionId::random()).await.is_err());
    assert!(started.elapsed() < SCHEDULING, "{:?}", started.elapsed());
}

#[tokio::test]
async fn when_redis_is_back_the_store_works_and_copies_are_read_again() {
    let mut redis = RedisServer::start().await;
    let (redis_reconnects, reconnects) = counter();
    let (leases_lost, lost) = counter();
    let metrics = StoreMetrics { redis_reconnects, leases_lost, ..StoreMetrics::default() };
    let options = StoreOptions { metrics, ..StoreOptions::new("node-a") };
    let store = RedisStore::connect(&redis.url(), options).await.unwrap();
    let lost_with_redis = store.create(on("workbench")).await.unwrap();
    redis.kill();
    is_away(&store).await;
    redis.restart().await;
    is_back(&store).await;
    assert!(store.peek(&lost_with_redis.id).is_none(), "a copy from before is not served unread");
    assert!(store.get(&lost_with_redis.id).await.unwrap().is_none());
    let session = store.create(on("workbench")).await.unwrap();
    assert!(store.peek(&session.id).is_some());
    assert_eq!((reconnects(), lost()), (1, 1));
}

#[tokio::test]
async fn when_redis_freezes_every_operation_ends_in_time() {
    let redis = RedisServer::start().await;
    let store = replica(&redis, "node-a").await;
    let session = store.create(on("workbench")).await.unwrap();
    let other = store.create(on("workbench")).await.unwrap();
    redis.freeze();
    assert_bounded(&store, &other).await;
    is_away(&store).await;
    assert_bounded(&store, &other).await;
    assert!(store.peek(&session.id).is_some());
    redis.thaw();
    is_back(&store).await;
    assert!(store.get(&session.id).await.unwrap().is_some(), "Redis still has it");
}

/// Every operation that needs Redis fails inside its bound. An update of `other` that was sent may have been made all the same,
/// so that its copy is served no more.
async fn assert_bounded(store: &RedisStore, other: &Session) {
    let stream = StreamId::random();
    let within = |what: &'static str, started: Instant| {
        assert!(started.elapsed() < OPERATION_TIMEOUT + SCHEDULING, "{what} took {:?}", started.elapsed());
    };
    macro_rules! fails {
        ($($operation:ident($($argument:expr),*)),+ $(,)?) => {$(
            let started = Instant::now();
            let result = store.$operation($($argument),*).await;
            assert!(matches!(result, Err(StoreError::Unavailable(_))), "{} must fail", stringify!($operation));
            within(stringify!($operation), started);
        )+};
    }
    fails! {
        create(on("workbench")),
        get(&SessionId::random()),
        get_many(&[SessionId::random()]),
        update(other.clone()),
        count(CountOf::All),
        list(PageRequest::default()),
        append(&other.id, &stream, &events([1])),
        read(&other.id, &stream, 0, 1),
        last_event_id(&other.id, &stream),
        delete_stream(&other.id, &stream),
    }
}

#[tokio::test]
async fn past_the_grace_cached_sessions_are_refused_too() {
    let mut redis = RedisServer::start().await;
    let options = StoreOptions { outage_grace: Duration::from_millis(300), ..StoreOptions::new("node-a") };
    let store = RedisStore::connect(&redis.url(), options).await.unwrap();
    let session = store.create(on("workbench")).await.unwrap();
    redis.kill();
    is_away(&store).await;
    assert!(store.peek(&session.id).is_some());
    eventually("the grace ends", Duration::from_secs(2), || async { store.peek(&session.id).is_none() }).await;
    assert!(matches!(store.get(&session.id).await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn a_node_starts_without_redis_and_finds_it_later() {
    let mut redis = RedisServer::start().await;
    redis.kill();
    let started = Instant::now();
    let store = replica(&redis, "node-a").await;
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(store.health().is_err());
    redis.restart().await;
    is_back(&store).await;
    store.create(on("workbench")).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_is_cut_is_made_again_and_missed_deletions_are_seen() {
    let redis = RedisServer::start().await;
    let (a, b) = (replica(&redis, "node-a").await, replica(&redis, "node-b").await);
    let session = a.create(on("workbench")).await.unwrap();
    b.get(&session.id).await.unwrap().unwrap();
    let mut connection = redis.connection().await;
    redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").exec_async(&mut connection).await.unwrap();
    eventually("both are back", RECONNECTED, || async {
        a.delete(&session.id).await.is_ok() && b.health().is_ok() && matches!(b.get(&session.id).await, Ok(None))
    })
    .await;
}

#[tokio::test]
async fn a_stream_goes_on_after_redis_was_frozen() {
    let redis = RedisServer::start().await;
    let store = replica(&redis, "node-a").await;
    let session = store.create(on("workbench")).await.unwrap();
    let stream = StreamId::random();
    store.open_stream(&session.id, &stream, head_by("node-a")).await.unwrap();
    store.append(&session.id, &stream, &events([1])).await.unwrap();
    redis.freeze();
    is_away(&store).await;
    redis.thaw();
    is_back(&store).await;
    store.append(&session.id, &stream, &events([2])).await.unwrap();
    let page = store.read(&session.id, &stream, 0, 10).await.unwrap().unwrap();
    assert_eq!(page.events.len(), 2);
}
