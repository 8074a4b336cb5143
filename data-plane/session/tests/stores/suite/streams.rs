//! Event logs.

use std::pin::pin;
use std::slice::from_ref;
use std::time::Duration;

use shadowcat_session::limits::{EVENT_OVERHEAD, MAX_ENDED_STREAMS, MAX_STREAM_BYTES, MAX_STREAM_EVENTS, WAIT};
use shadowcat_session::{
    Event, Session, SessionId, SessionStore, StoreError, StreamHead, StreamId, StreamPage, StreamState,
};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{events, head_by, idle_after, large_event, on, stream_of};

/// What does not wait returns long before this.
const SOON: Duration = Duration::from_millis(500);

/// A reader is watched for this long before what wakes it: many times what a wait without a reason takes.
const UNDISTURBED: Duration = Duration::from_millis(100);

async fn read(store: &dyn SessionStore, session: &SessionId, stream: &StreamId, after: u64) -> StreamPage {
    store.read(session, stream, after, usize::MAX >> 1).await.unwrap().expect("the stream is there")
}

fn seqs(page: &StreamPage) -> Vec<u64> {
    page.events.iter().map(|event| event.seq).collect()
}

pub(crate) async fn events_read_back_as_they_were_written(store: &dyn SessionStore) {
    let session = store.create(on("workbench")).await.unwrap().id;
    let stream = StreamId::random();
    let head = StreamHead { request_id: Some(r#""call-\u00e9""#.into()), writer: "node-a".into() };
    store.open_stream(&session, &stream, head.clone()).await.unwrap();
    assert_eq!(store.last_event_id(&session, &stream).await.unwrap(), Some(0));

    let first = Event { seq: 1, upstream_id: Some("u-1".into()), lines: "data: {\"é\":1}\n\n".into() };
    let second = Event { seq: 2, upstream_id: None, lines: b"data: \xff\x00\n\n".to_vec().into() };
    store.append(&session, &stream, from_ref(&first)).await.unwrap();
    store.append(&session, &stream, from_ref(&second)).await.unwrap();

    let page = read(store, &session, &stream, 0).await;
    assert_eq!((&page.head, &page.events), (&head, &vec![first, second]));
    assert_eq!((page.state, page.gap), (StreamState::Live, false));
    assert_eq!(page.upstream_event_id.as_deref(), Some(&b"u-1"[..]));
    assert_eq!(store.last_event_id(&session, &stream).await.unwrap(), Some(2));

    store.end_stream(&session, &stream, StreamState::Complete).await.unwrap();
    assert_eq!(read(store, &session, &stream, 2).await.state, StreamState::Complete);
}

pub(crate) async fn a_log_is_read_in_pieces(store: &dyn SessionStore) {
    let (session, stream) = stream_of(store, "node-a", 10).await;
    let piece = store.read(&session.id, &stream, 4, 3).await.unwrap().unwrap();
    assert_eq!(seqs(&piece), [5, 6, 7]);
    for nothing_left in [10, 11, u64::MAX] {
        let page = read(store, &session.id, &stream, nothing_left).await;
        assert_eq!((seqs(&page), page.gap), (vec![], false));
    }
}

pub(crate) async fn a_log_keeps_its_newest_events(store: &dyn SessionStore) {
    let (session, stream) = stream_of(store, "node-a", 0).await;
    let max = MAX_STREAM_EVENTS as u64;
    for start in (0..max + 500).step_by(500) {
        store.append(&session.id, &stream, &events(start + 1..=start + 500)).await.unwrap();
    }
    let page = read(store, &session.id, &stream, 0).await;
    assert!(page.gap);
    assert_eq!(seqs(&page), (501..=max + 500).collect::<Vec<_>>());
    assert!(read(store, &session.id, &stream, 499).await.gap);
    assert!(!read(store, &session.id, &stream, 500).await.gap);
}

pub(crate) async fn a_log_keeps_its_newest_bytes(store: &dyn SessionStore) {
    let (session, stream) = stream_of(store, "node-a", 0).await;
    let quarter = MAX_STREAM_BYTES / 4 - EVENT_OVERHEAD;
    for seq in 1..=6 {
        store.append(&session.id, &stream, &[large_event(seq, quarter)]).await.unwrap();
    }
    let page = read(store, &session.id, &stream, 1).await;
    assert_eq!((seqs(&page), page.gap), (vec![3, 4, 5, 6], true));

    // An event larger than the log falls out at once, and everything before it.
    store.append(&session.id, &stream, &[large_event(7, MAX_STREAM_BYTES + 1)]).await.unwrap();
    let page = read(store, &session.id, &stream, 6).await;
    assert_eq!((seqs(&page), page.gap), (vec![], true));
    store.append(&session.id, &stream, &events([8])).await.unwrap();
    assert_eq!(seqs(&read(store, &session.id, &stream, 7).await), [8]);
}

pub(crate) async fn an_append_that_is_not_the_next_is_a_conflict(store: &dyn SessionStore) {
    let (session, stream) = stream_of(store, "node-a", 3).await;
    for wrong in [vec![3], vec![5], vec![0], vec![4, 6], vec![4, 4]] {
        let refusal = store.append(&session.id, &stream, &events(wrong.clone())).await.unwrap_err();
        assert_eq!(refusal, StoreError::Conflict, "{wrong:?}");
    }
    store.append(&session.id, &stream, &events([4])).await.unwrap();
    assert_eq!(seqs(&read(store, &session.id, &stream, 0).await), [1, 2, 3, 4]);
}

pub(crate) async fn only_an_open_stream_is_written(store: &dyn SessionStore) {
    let (session, stream) = stream_of(store, "node-a", 1).await;
    let unopened = StreamId::random();
    assert_eq!(store.append(&session.id, &unopened, &events([1])).await, Err(StoreError::Conflict));
    assert_eq!(store.end_stream(&session.id, &unopened, StreamState::Complete).await, Err(StoreError::Conflict));
    assert!(store.read(&session.id, &unopened, 0, 1).await.unwrap().is_none());
    assert!(store.last_event_id(&session.id, &unopened).await.unwrap().is_none());

    store.end_stream(&session.id, &stream, StreamState::Complete).await.unwrap();
    assert_eq!(store.append(&session.id, &stream, &events([2])).await, Err(StoreError::Conflict));
}

pub(crate) async fn a_stream_without_events_leaves_nothing_behind(store: &dyn SessionStore) {
    let (session, stream) = stream_of(store, "node-a", 0).await;
    let never_appended_to = StreamId::random();
    store.open_stream(&session.id, &never_appended_to, head_by("node-a")).await.unwrap();
    for stream in [stream, never_appended_to] {
        store.end_stream(&session.id, &stream, StreamState::Complete).await.unwrap();
        assert!(store.read(&session.id, &stream, 0, 1).await.unwrap().is_none());
    }
}

pub(crate) async fn a_paused_stream_is_taken_over(store: &dyn SessionStore) {
    let (session, stream) = stream_of(store, "node-a", 2).await;
    store.end_stream(&session.id, &stream, StreamState::Paused).await.unwrap();
    assert_eq!(read(store, &session.id, &stream, 2).await.state, StreamState::Paused);

    store.open_stream(&session.id, &stream, head_by("node-a")).await.unwrap();
    store.append(&session.id, &stream, &[]).await.unwrap();
    assert_eq!(read(store, &session.id, &stream, 2).await.state, StreamState::Live);
    store.append(&session.id, &stream, &events([3])).await.unwrap();
    store.end_stream(&session.id, &stream, StreamState::Complete).await.unwrap();
    let page = read(store, &session.id, &stream, 0).await;
    assert_eq!((seqs(&page), page.state), (vec![1, 2, 3], StreamState::Complete));
}

pub(crate) async fn streams_that_ended_first_are_forgotten_first(store: &dyn SessionStore) {
    let (session, live) = stream_of(store, "node-a", 1).await;
    let mut ended = Vec::new();
    for _ in 0..=MAX_ENDED_STREAMS {
        let stream = StreamId::random();
        store.open_stream(&session.id, &stream, head_by("node-a")).await.unwrap();
        store.append(&session.id, &stream, &events([1])).await.unwrap();
        ended.push(stream);
    }
    // A millisecond apart, by which Redis tells which came first.
    for stream in &ended {
        store.end_stream(&session.id, stream, StreamState::Complete).await.unwrap();
        sleep(Duration::from_millis(2)).await;
    }
    assert!(store.read(&session.id, &ended[0], 0, 1).await.unwrap().is_none());
    for kept in ended[1..].iter().chain([&live]) {
        assert!(store.read(&session.id, kept, 0, 1).await.unwrap().is_some());
    }
}

pub(crate) async fn a_session_takes_its_streams_with_it(store: &dyn SessionStore) {
    let (session, stream) = stream_of(store, "node-a", 1).await;
    store.delete(&session.id).await.unwrap();
    assert!(store.read(&session.id, &stream, 0, 1).await.unwrap().is_none());
    assert_eq!(store.append(&session.id, &stream, &events([2])).await, Err(StoreError::Conflict));

    let late = StreamId::random();
    let opened = store.open_stream(&session.id, &late, head_by("node-a")).await;
    let written = store.append(&session.id, &late, &events([1])).await;
    assert!(opened.is_err() || written.is_err());
    assert!(store.read(&session.id, &late, 0, 1).await.unwrap().is_none());
}

pub(crate) async fn a_stream_is_forgotten_alone(store: &dyn SessionStore) {
    let (session, stream) = stream_of(store, "node-a", 1).await;
    let other = StreamId::random();
    store.open_stream(&session.id, &other, head_by("node-a")).await.unwrap();
    store.append(&session.id, &other, &events([1])).await.unwrap();

    store.delete_stream(&session.id, &stream).await.unwrap();
    store.delete_stream(&session.id, &stream).await.expect("twice is once");
    assert!(store.read(&session.id, &stream, 0, 1).await.unwrap().is_none());
    assert!(store.read(&session.id, &other, 0, 1).await.unwrap().is_some());
}

pub(crate) async fn a_session_whose_stream_is_written_does_not_end(store: &dyn SessionStore) {
    let session = store.create(idle_after(Duration::from_secs(2))).await.unwrap().id;
    let stream = StreamId::random();
    store.open_stream(&session, &stream, head_by("node-a")).await.unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    for seq in 1.. {
        store.append(&session, &stream, &events([seq])).await.unwrap();
        if Instant::now() > until {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert!(store.get(&session).await.unwrap().is_some());
}

pub(crate) async fn a_reader_that_is_behind_does_not_wait(store: &dyn SessionStore) {
    let (session, stream) = stream_of(store, "node-a", 2).await;
    let started = Instant::now();
    store.wait(&session.id, &stream, 1).await;
    store.wait(&session.id, &StreamId::random(), 0).await;
    store.end_stream(&session.id, &stream, StreamState::Complete).await.unwrap();
    store.wait(&session.id, &stream, 2).await;
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
}

pub(crate) async fn a_waiting_reader_wakes_on_an_append(store: &dyn SessionStore) {
    let (session, stream) = stream_of(store, "node-a", 1).await;
    let write = async { store.append(&session.id, &stream, &events([2])).await.unwrap() };
    let woken = waits_until(store, &session, stream, write).await;
    assert!(woken < WAIT, "after {woken:?} it had only given up");
}

pub(crate) async fn a_waiting_reader_wakes_on_the_end(store: &dyn SessionStore) {
    let (session, stream) = stream_of(store, "node-a", 1).await;
    let end = async { store.end_stream(&session.id, &stream, StreamState::Complete).await.unwrap() };
    let woken = waits_until(store, &session, stream, end).await;
    assert!(woken < WAIT, "after {woken:?} it had only given up");
}

pub(crate) async fn a_waiting_reader_gives_up_after_a_second(store: &dyn SessionStore) {
    let (session, stream) = stream_of(store, "node-a", 1).await;
    let waited = waits_until(store, &session, stream, async {}).await;
    assert!((WAIT..WAIT * 2).contains(&waited), "{waited:?}");
}

/// How long a reader that has read event 1 waits if, after a while in which it must not return, something is `done`.
async fn waits_until(
    store: &dyn SessionStore,
    session: &Session,
    stream: StreamId,
    done: impl Future<Output = ()>,
) -> Duration {
    let began = Instant::now();
    let mut waiting = pin!(store.wait(&session.id, &stream, 1));
    let returned = timeout(UNDISTURBED, waiting.as_mut()).await;
    assert!(returned.is_err(), "a reader that has read everything returned though nothing had happened");
    tokio::join!(done, waiting);
    began.elapsed()
}
