//! Two replicas that share a Redis.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shadowcat_session::{CountOf, NewSession, Owner, RedisStore, SessionStore, StoreError, StoreMetrics, StoreOptions};
use tokio::task::yield_now;

use crate::redis_server::RedisServer;
use crate::support::{by, counter, eventually, on};

/// What the design promises for a deletion elsewhere.
const SEEN_ELSEWHERE: Duration = Duration::from_secs(1);

/// Commands by which a session is read or touched.
const SESSION_COMMANDS: [&str; 6] = ["hmget", "hget", "hgetall", "pttl", "pexpire", "evalsha"];

pub(crate) async fn replica(redis: &RedisServer, instance: &str) -> RedisStore {
    RedisStore::connect(&redis.url(), StoreOptions::new(instance)).await.unwrap()
}

pub(crate) async fn replicas() -> (RedisServer, RedisStore, RedisStore) {
    let redis = RedisServer::start().await;
    let (a, b) = (replica(&redis, "node-a").await, replica(&redis, "node-b").await);
    (redis, a, b)
}

#[tokio::test]
async fn a_session_of_one_replica_is_served_by_the_other_to_its_principal() {
    let (_redis, a, b) = replicas().await;
    let made = a.create(by("alice")).await.unwrap();
    assert!(b.peek(&made.id).is_none(), "nothing is known without asking");
    let found = b.get(&made.id).await.unwrap().unwrap();
    assert_eq!((&found.principal, &found.upstream), (&made.principal, &made.upstream));
    assert!(b.peek(&made.id).is_some());
    assert_eq!(b.count(CountOf::All).await.unwrap(), 1);
}

#[tokio::test]
async fn a_session_deleted_on_one_replica_is_refused_on_the_other_within_a_second() {
    let (_redis, a, b) = replicas().await;
    let session = a.create(on("workbench")).await.unwrap();
    b.get(&session.id).await.unwrap().unwrap();
    assert!(b.peek(&session.id).is_some());

    a.delete(&session.id).await.unwrap();
    eventually("the other replica refuses", SEEN_ELSEWHERE, || async { b.peek(&session.id).is_none() }).await;
    assert!(b.get(&session.id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_session_that_expires_in_redis_is_refused_by_a_replica_that_holds_a_copy() {
    let (redis, a, b) = replicas().await;
    let session = a.create(on("workbench")).await.unwrap();
    b.get(&session.id).await.unwrap().unwrap();
    let key = format!("{{shadowcat}}:session:{}", session.id);
    let mut connection = redis.connection().await;
    redis::cmd("PEXPIRE").arg(&key).arg(1).exec_async(&mut connection).await.unwrap();
    eventually("Redis lets it go", SEEN_ELSEWHERE, || {
        let (mut connection, key) = (connection.clone(), key.clone());
        async move { redis::cmd("EXISTS").arg(key).query_async(&mut connection).await == Ok(0) }
    })
    .await;
    for store in [&a, &b] {
        eventually("the copy is gone", SEEN_ELSEWHERE, || async { store.peek(&session.id).is_none() }).await;
        assert!(store.get(&session.id).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn an_update_on_one_replica_reaches_the_other() {
    let (_redis, a, b) = replicas().await;
    let session = a.create(on("workbench")).await.unwrap();
    b.get(&session.id).await.unwrap().unwrap();
    let mut changed = (*session).clone();
    changed.owner = Some(Owner { instance: "node-a".into() });
    a.update(changed).await.unwrap();
    eventually("the other replica sees it", SEEN_ELSEWHERE, || async {
        b.get(&session.id).await.unwrap().unwrap().owner.is_some()
    })
    .await;
    assert_eq!(b.update((*session).clone()).await.unwrap_err(), StoreError::Conflict);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_an_update_has_returned_nobody_on_that_replica_reads_what_was_before() {
    let (_redis, a, b) = replicas().await;
    let id = a.create(on("workbench")).await.unwrap().id;
    let read_until_done = async |store: &RedisStore, done: &AtomicBool| {
        while !done.load(Ordering::Relaxed) {
            store.get(&id).await.unwrap();
            yield_now().await;
        }
    };
    let done = AtomicBool::new(false);
    let update = async {
        for round in 0..200 {
            let store = if round % 2 == 0 { &a } else { &b };
            // The other replica's copy may be behind for a moment: then the update is refused and made again.
            let updated = loop {
                let session = store.get(&id).await.unwrap().unwrap();
                if let Ok(updated) = store.update((*session).clone()).await {
                    break updated;
                }
            };
            assert_eq!(store.get(&id).await.unwrap().unwrap().revision, updated.revision);
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(update, read_until_done(&a, &done), read_until_done(&b, &done));
    // The last update was the other replica's.
    eventually("the first replica sees it", SEEN_ELSEWHERE, || async {
        a.get(&id).await.unwrap().unwrap().revision == 201
    })
    .await;
}

#[tokio::test]
async fn a_hot_session_costs_no_round_trip() {
    let (redis, a, b) = replicas().await;
    let session = a.create(on("workbench")).await.unwrap();
    b.get(&session.id).await.unwrap().unwrap();
    let before = redis.calls(&SESSION_COMMANDS).await;
    for _ in 0..10_000 {
        assert!(a.peek(&session.id).is_some());
        assert!(a.get(&session.id).await.unwrap().is_some());
        assert!(b.peek(&session.id).is_some());
    }
    assert_eq!(redis.calls(&SESSION_COMMANDS).await, before);
}

#[tokio::test]
async fn a_cap_holds_across_replicas() {
    let (_redis, a, b) = replicas().await;
    let capped = NewSession { max_per_route: 2, ..on("workbench") };
    a.create(capped.clone()).await.unwrap();
    b.create(capped.clone()).await.unwrap();
    assert!(matches!(a.create(capped.clone()).await, Err(StoreError::RouteFull { .. })));
    assert!(matches!(b.create(capped).await, Err(StoreError::RouteFull { .. })));
}

#[tokio::test]
async fn an_owner_is_gone_when_its_node_says_farewell() {
    let (_redis, a, b) = replicas().await;
    let owner = Owner { instance: "node-a".into() };
    assert!(b.owner_alive(&owner).await.unwrap());
    a.shutdown().await;
    assert!(!b.owner_alive(&owner).await.unwrap());
    assert!(matches!(a.create(on("workbench")).await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn a_flushed_redis_leaves_no_copies() {
    let (redis, a, _b) = replicas().await;
    let session = a.create(on("workbench")).await.unwrap();
    redis::cmd("FLUSHALL").exec_async(&mut redis.connection().await).await.unwrap();
    eventually("the copy is gone", SEEN_ELSEWHERE, || async { a.peek(&session.id).is_none() }).await;
    assert!(a.get(&session.id).await.unwrap().is_none());
}

#[tokio::test]
async fn flushed_scripts_are_loaded_again_inside_the_call_that_misses_them() {
    let (redis, a, _b) = replicas().await;
    redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut redis.connection().await).await.unwrap();
    let session = a.create(on("workbench")).await.unwrap();
    redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut redis.connection().await).await.unwrap();
    assert_eq!(a.delete_many(&[session.id, session.id]).await.unwrap(), 1);
}

#[tokio::test]
async fn invalidations_are_counted() {
    let redis = RedisServer::start().await;
    let (invalidations, invalidated) = counter();
    let metrics = StoreMetrics { invalidations, ..StoreMetrics::default() };
    let options = StoreOptions { metrics, ..StoreOptions::new("node-a") };
    let a = RedisStore::connect(&redis.url(), options).await.unwrap();
    let session = a.create(on("workbench")).await.unwrap();
    replica(&redis, "node-b").await.delete(&session.id).await.unwrap();
    eventually("it is counted", SEEN_ELSEWHERE, || async { invalidated() == 1 }).await;
}

#[tokio::test]
async fn what_is_no_url_of_a_redis_is_refused() {
    for url in ["", "127.0.0.1:6379", "http://127.0.0.1:6379"] {
        let refusal = RedisStore::connect(url, StoreOptions::new("node-a")).await.unwrap_err().to_string();
        assert!(refusal.starts_with("not the URL of a Redis"), "{refusal}");
    }
}
