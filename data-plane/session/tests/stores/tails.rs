//! Streams that one replica writes and another reads.

use std::time::Duration;

use shadowcat_session::{SessionStore, StoreError, StreamId, StreamState};
use tokio::time::{Instant, sleep};

use crate::redis_server::RedisServer;
use crate::replicas::replica;
use crate::support::{events, eventually, head_by, on, stream_of};

/// A lease is three seconds long, a heartbeat half a second.
const LEASE_RUN_OUT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_stream_written_here_is_read_there() {
    let redis = RedisServer::start().await;
    let (a, b) = (replica(&redis, "node-a").await, replica(&redis, "node-b").await);
    let (session, stream) = stream_of(&a, "node-a", 3).await;
    let page = b.read(&session.id, &stream, 1, 10).await.unwrap().unwrap();
    assert_eq!(page.events, events([2, 3]));
    assert_eq!((page.state, &*page.head.writer), (StreamState::Live, "node-a"));
}

#[tokio::test]
async fn a_tail_on_another_replica_wakes_at_once() {
    let redis = RedisServer::start().await;
    let (a, b) = (replica(&redis, "node-a").await, replica(&redis, "node-b").await);
    let (session, stream) = stream_of(&a, "node-a", 1).await;
    let mut slowest = Duration::ZERO;
    for seq in 2..=10 {
        let write = async {
            sleep(Duration::from_millis(20)).await;
            a.append(&session.id, &stream, &events([seq])).await.unwrap();
            Instant::now()
        };
        let tail = async {
            b.wait(&session.id, &stream, seq - 1).await;
            Instant::now()
        };
        let (written, woken) = tokio::join!(write, tail);
        slowest = slowest.max(woken.saturating_duration_since(written));
        assert_eq!(b.last_event_id(&session.id, &stream).await.unwrap(), Some(seq));
    }
    assert!(slowest < Duration::from_millis(250), "{slowest:?}");
}

#[tokio::test]
async fn a_stream_whose_writer_died_is_an_orphan() {
    let redis = RedisServer::start().await;
    let (a, b) = (replica(&redis, "node-a").await, replica(&redis, "node-b").await);
    let (session, stream) = stream_of(&a, "node-a", 1).await;
    drop(a);
    let state = async || b.read(&session.id, &stream, 1, 1).await.unwrap().unwrap().state;
    assert_eq!(state().await, StreamState::Live, "it may only be slow");
    eventually("the lease runs out", LEASE_RUN_OUT, || async { state().await == StreamState::Orphaned }).await;
}

#[tokio::test]
async fn a_stream_whose_writer_said_farewell_is_an_orphan_at_once() {
    let redis = RedisServer::start().await;
    let (a, b) = (replica(&redis, "node-a").await, replica(&redis, "node-b").await);
    let (session, stream) = stream_of(&a, "node-a", 1).await;
    a.shutdown().await;
    assert_eq!(b.read(&session.id, &stream, 1, 1).await.unwrap().unwrap().state, StreamState::Orphaned);
}

#[tokio::test]
async fn a_stream_has_one_writer() {
    let redis = RedisServer::start().await;
    let (a, b) = (replica(&redis, "node-a").await, replica(&redis, "node-b").await);
    let (session, stream) = stream_of(&a, "node-a", 2).await;
    assert_eq!(b.append(&session.id, &stream, &events([3])).await, Err(StoreError::Conflict));

    b.open_stream(&session.id, &stream, head_by("node-b")).await.unwrap();
    b.append(&session.id, &stream, &[]).await.unwrap();
    assert_eq!(a.append(&session.id, &stream, &events([3])).await, Err(StoreError::Conflict));
    assert_eq!(a.end_stream(&session.id, &stream, StreamState::Complete).await, Err(StoreError::Conflict));
    b.append(&session.id, &stream, &events([3])).await.unwrap();
    b.end_stream(&session.id, &stream, StreamState::Complete).await.unwrap();

    let page = a.read(&session.id, &stream, 0, 10).await.unwrap().unwrap();
    assert_eq!((page.events, page.state), (events([1, 2, 3]), StreamState::Complete));
    assert_eq!(&*page.head.writer, "node-b");
}

#[tokio::test]
async fn who_takes_over_too_late_does_not_get_the_stream() {
    let redis = RedisServer::start().await;
    let (a, b) = (replica(&redis, "node-a").await, replica(&redis, "node-b").await);
    let (session, stream) = stream_of(&a, "node-a", 2).await;
    b.open_stream(&session.id, &stream, head_by("node-b")).await.unwrap();
    a.append(&session.id, &stream, &events([3])).await.unwrap();
    assert_eq!(b.append(&session.id, &stream, &events([3])).await, Err(StoreError::Conflict));
    a.append(&session.id, &stream, &events([4])).await.unwrap();
}

#[tokio::test]
async fn opening_a_stream_and_its_first_events_cost_one_round_trip() {
    let redis = RedisServer::start().await;
    let a = replica(&redis, "node-a").await;
    let session = a.create(on("workbench")).await.unwrap();
    let before = redis.calls(&["evalsha"]).await;
    let stream = StreamId::random();
    a.open_stream(&session.id, &stream, head_by("node-a")).await.unwrap();
    a.append(&session.id, &stream, &events(1..=50)).await.unwrap();
    assert_eq!(redis.calls(&["evalsha"]).await - before, 1);
}

#[tokio::test]
async fn a_session_deleted_elsewhere_takes_its_stream_from_the_reader() {
    let redis = RedisServer::start().await;
    let (a, b) = (replica(&redis, "node-a").await, replica(&redis, "node-b").await);
    let (session, stream) = stream_of(&a, "node-a", 1).await;
    let started = Instant::now();
    let delete = async {
        sleep(Duration::from_millis(50)).await;
        a.delete(&session.id).await.unwrap();
    };
    tokio::join!(b.wait(&session.id, &stream, 1), delete);
    assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    assert!(b.read(&session.id, &stream, 1, 1).await.unwrap().is_none());
}

#[tokio::test]
async fn heads_beyond_those_held_back_are_written_at_once() {
    let redis = RedisServer::start().await;
    let a = replica(&redis, "node-a").await;
    let session = a.create(on("workbench")).await.unwrap();
    let before = redis.calls(&["evalsha"]).await;
    for _ in 0..16_384 {
        a.open_stream(&session.id, &StreamId::random(), head_by("node-a")).await.unwrap();
    }
    assert_eq!(redis.calls(&["evalsha"]).await, before);
    a.open_stream(&session.id, &StreamId::random(), head_by("node-a")).await.unwrap();
    assert_eq!(redis.calls(&["evalsha"]).await, before + 1);
}

#[tokio::test]
async fn a_stream_about_to_be_taken_over_is_still_read() {
    let redis = RedisServer::start().await;
    let (a, b) = (replica(&redis, "node-a").await, replica(&redis, "node-b").await);
    let (session, stream) = stream_of(&a, "node-a", 2).await;
    a.end_stream(&session.id, &stream, StreamState::Paused).await.unwrap();
    b.open_stream(&session.id, &stream, head_by("node-b")).await.unwrap();
    let page = b.read(&session.id, &stream, 0, 10).await.unwrap().unwrap();
    assert_eq!((page.events, page.state), (events([1, 2]), StreamState::Paused));
    assert_eq!(b.last_event_id(&session.id, &stream).await.unwrap(), Some(2));
}
