//! What Redis is told of sessions that are used where it is not asked.

use std::collections::BTreeSet;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use shadowcat_session::{NewSession, PageRequest, RedisStore, SessionId, SessionStore, StoreMetrics, StoreOptions};
use tokio::time::{Instant, sleep};

use crate::redis_server::RedisServer;
use crate::replicas::replicas;
use crate::support::{counter, eventually, idle_after};

/// A use is told to Redis at most this late: two touch intervals of the sessions here, and a busy machine.
const NOTED: Duration = Duration::from_secs(10);

/// Notes of use that are on their way at most: the queue, and a batch that waits for its answer.
const NOTES_HELD: u64 = 4_096 + 64;

#[tokio::test]
async fn a_session_used_only_on_one_replicas_hot_path_does_not_expire() {
    let (redis, a, b) = replicas().await;
    let session = a.create(idle_after(Duration::from_secs(2))).await.unwrap();
    let before = redis.calls(&["evalsha"]).await;
    let until = Instant::now() + Duration::from_secs(6);
    while Instant::now() < until {
        assert!(a.peek(&session.id).is_some(), "one's own notes of use do not invalidate one's copy");
        sleep(Duration::from_millis(5)).await;
    }
    let touches = redis.calls(&["evalsha"]).await - before;
    assert!((4..=6).contains(&touches), "one touch a second, not {touches} in six");
    assert!(b.get(&session.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_session_listed_while_in_use_is_not_missed() {
    let (redis, a, b) = replicas().await;
    let mut all = BTreeSet::new();
    for _ in 0..20 {
        all.insert(a.create(idle_after(Duration::from_secs(8))).await.unwrap().id);
    }
    let connection = redis.connection().await;
    let (mut seen, mut moved) = (BTreeSet::new(), BTreeSet::new());
    let mut request = PageRequest { limit: 3, ..PageRequest::default() };
    loop {
        let page = b.list(request.clone()).await.unwrap();
        seen.extend(page.sessions.iter().map(|session| session.id));
        let Some(next) = page.next else { break };
        let last = page.sessions.last().unwrap().id;
        // The last one listed moves to the back: the cursor's member is not where it was.
        if moved.insert(last) {
            let place = expires_at(&connection, &last).await;
            eventually("its use is noted", NOTED, || async {
                a.peek(&last);
                expires_at(&connection, &last).await > place
            })
            .await;
        }
        request.cursor = Some(next);
    }
    assert!(moved.len() > 5, "of seven pages only {} ended with a session in use", moved.len());
    assert_eq!(seen, all);
}

#[tokio::test]
async fn notes_of_use_beyond_their_queue_are_deferred_and_no_call_waits() {
    const SESSIONS: u64 = 4_500;
    let redis = RedisServer::start().await;
    let (touches_deferred, deferred) = counter();
    let metrics = StoreMetrics { touches_deferred, ..StoreMetrics::default() };
    let options = StoreOptions { metrics, ..StoreOptions::new("node-a") };
    let a = RedisStore::connect(&redis.url(), options).await.unwrap();
    let idle_timeout = Duration::from_secs(16);
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        let new = NewSession { max_per_route: u32::MAX, ..idle_after(idle_timeout) };
        sessions.push(a.create(new).await.unwrap().id);
    }
    // Redis keeps a session for its idle timeout and one touch interval: the interval is over when the rest is left.
    let connection = redis.connection().await;
    let youngest = sessions.last().unwrap();
    eventually("every session's next use is due to be noted", NOTED, || async {
        time_left(&connection, youngest).await <= idle_timeout
    })
    .await;

    redis.freeze();
    assert!(sessions.iter().all(|id| a.peek(id).is_some()), "a session is served whether its use is noted or not");
    redis.thaw();
    assert!(deferred() >= SESSIONS - NOTES_HELD, "{} of {SESSIONS} notes were deferred", deferred());

    // What was deferred is told by the next use.
    eventually("the youngest session's use is noted", NOTED, || async {
        a.peek(youngest);
        time_left(&connection, youngest).await > idle_timeout
    })
    .await;
}

/// When the list of all sessions says that a session ends. Unix time in milliseconds.
async fn expires_at(connection: &MultiplexedConnection, id: &SessionId) -> u64 {
    let mut score = redis::cmd("ZSCORE");
    score.arg("{shadowcat}:sessions").arg(id.to_string());
    score.query_async::<f64>(&mut connection.clone()).await.unwrap() as u64
}

/// How long Redis keeps a session if it is not used any more.
async fn time_left(connection: &MultiplexedConnection, id: &SessionId) -> Duration {
    let mut left = redis::cmd("PTTL");
    left.arg(format!("{{shadowcat}}:session:{id}"));
    Duration::from_millis(left.query_async(&mut connection.clone()).await.unwrap())
}
