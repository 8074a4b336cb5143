//! What only memory has to bound.

use shadowcat_session::limits::{EVENT_OVERHEAD, MAX_ENDED_BYTES, MAX_LOG_BYTES, MAX_STREAM_BYTES};
use shadowcat_session::{MemoryStore, Session, SessionStore, StoreMetrics, StoreOptions, StreamId, StreamState};

use crate::support::{counter, events, head_by, idle_after, large_event, on, stream_of};

/// An event that fills a log.
const FULL: usize = MAX_STREAM_BYTES - EVENT_OVERHEAD;

/// Full logs that fit the budget together.
const FULL_LOGS: usize = MAX_LOG_BYTES / MAX_STREAM_BYTES;

async fn full_stream(store: &MemoryStore, session: &Session) -> StreamId {
    let stream = StreamId::random();
    store.open_stream(&session.id, &stream, head_by("node-a")).await.unwrap();
    store.append(&session.id, &stream, &[large_event(1, FULL)]).await.unwrap();
    stream
}

#[tokio::test]
async fn all_logs_together_stay_within_the_budget_and_ended_streams_go_first() {
    let (log_streams_forgotten, forgotten) = counter();
    let (log_events_dropped, dropped) = counter();
    let metrics = StoreMetrics { log_streams_forgotten, log_events_dropped, ..StoreMetrics::default() };
    let store = MemoryStore::new(StoreOptions { metrics, ..StoreOptions::new("node-a") });

    let mut streams = Vec::new();
    for _ in 0..FULL_LOGS {
        let session = store.create(on("workbench")).await.unwrap();
        streams.push((session.id, full_stream(&store, &session).await));
    }
    let (first, second) = (streams[0], streams[1]);
    for (session, stream) in [first, second] {
        store.end_stream(&session, &stream, StreamState::Complete).await.unwrap();
    }
    let session = store.create(on("workbench")).await.unwrap();
    full_stream(&store, &session).await;
    assert!(store.read(&first.0, &first.1, 0, 1).await.unwrap().is_none());
    assert!(store.read(&second.0, &second.1, 0, 1).await.unwrap().is_some());
    assert_eq!((forgotten(), dropped()), (1, 0));

    full_stream(&store, &session).await;
    let growing = full_stream(&store, &session).await;
    let page = store.read(&session.id, &growing, 0, 1).await.unwrap().unwrap();
    assert!(page.gap && page.events.is_empty(), "with no ended stream left, the one that grows pays");
    assert_eq!((forgotten(), dropped()), (2, 1));
}

#[tokio::test]
async fn a_session_keeps_a_bounded_number_of_ended_bytes() {
    let store = MemoryStore::new(StoreOptions::new("node-a"));
    let (session, first) = stream_of(&store, "node-a", 1).await;
    store.end_stream(&session.id, &first, StreamState::Complete).await.unwrap();
    let second = StreamId::random();
    store.open_stream(&session.id, &second, head_by("node-a")).await.unwrap();
    store.append(&session.id, &second, &[large_event(1, MAX_ENDED_BYTES)]).await.unwrap();
    store.end_stream(&session.id, &second, StreamState::Complete).await.unwrap();

    assert!(store.read(&session.id, &first, 0, 1).await.unwrap().is_none());
    assert!(
        store.read(&session.id, &second, 0, 1).await.unwrap().is_some(),
        "the last to end is kept whatever its size"
    );
}

#[tokio::test]
async fn a_deleted_session_gives_its_bytes_back() {
    let (log_events_dropped, dropped) = counter();
    let metrics = StoreMetrics { log_events_dropped, ..StoreMetrics::default() };
    let store = MemoryStore::new(StoreOptions { metrics, ..StoreOptions::new("node-a") });
    for _ in 0..FULL_LOGS * 2 {
        let session = store.create(on("workbench")).await.unwrap();
        full_stream(&store, &session).await;
        store.delete(&session.id).await.unwrap();
    }
    assert_eq!(dropped(), 0);
}

#[tokio::test]
async fn a_log_does_not_keep_the_read_its_events_came_in() {
    let store = MemoryStore::new(StoreOptions::new("node-a"));
    let (session, stream) = stream_of(&store, "node-a", 0).await;
    let read = bytes::Bytes::from(vec![b'x'; 64 * 1024]);
    let mut event = events([1]).remove(0);
    event.lines = read.slice(..16);
    store.append(&session.id, &stream, &[event]).await.unwrap();
    assert!(read.is_unique());
}

#[tokio::test]
async fn an_expired_session_is_refused_before_the_sweep_finds_it() {
    let (sessions_expired, expired) = counter();
    let metrics = StoreMetrics { sessions_expired, ..StoreMetrics::default() };
    let store = MemoryStore::new(StoreOptions { metrics, ..StoreOptions::new("node-a") });
    let session = store.create(idle_after(std::time::Duration::ZERO)).await.unwrap();
    assert!(store.peek(&session.id).is_none());
    assert!(store.get(&session.id).await.unwrap().is_none());
    assert_eq!(expired(), 1);
    store.shutdown().await;
}
