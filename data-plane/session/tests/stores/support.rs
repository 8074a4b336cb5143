//! What the tests start from, and how they wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use metrics::Counter;
use shadowcat_mcp::ProtocolVersion;
use shadowcat_session::{Event, NewSession, Principal, Session, SessionStore, StreamHead, StreamId, UpstreamSession};
use tokio::time::{Instant, sleep};

/// Something a client could have opened on `route`.
pub(crate) fn on(route: &str) -> NewSession {
    NewSession {
        route: route.into(),
        principal: Principal::anonymous(),
        upstream: UpstreamSession { name: "files".into(), id: Some("upstream-1".into()) },
        protocol_version: ProtocolVersion::V2025_11_25,
        client_capabilities: r#"{"roots":{}}"#.into(),
        server_capabilities: r#"{"tools":{"listChanged":true}}"#.into(),
        owner: None,
        idle_timeout: Duration::from_secs(60),
        max_per_route: 1_000,
    }
}

/// The same, by `name`.
pub(crate) fn by(name: &str) -> NewSession {
    NewSession { principal: Principal::named(name), ..on("workbench") }
}

/// The same, ending when unused for `idle_timeout`.
pub(crate) fn idle_after(idle_timeout: Duration) -> NewSession {
    NewSession { idle_timeout, ..on("workbench") }
}

/// The head of a stream written by `writer`.
pub(crate) fn head_by(writer: &str) -> StreamHead {
    StreamHead { request_id: Some("7".into()), writer: writer.into() }
}

/// Events with these numbers.
pub(crate) fn events(seqs: impl IntoIterator<Item = u64>) -> Vec<Event> {
    let event = |seq| Event { seq, upstream_id: None, lines: format!("data: {seq}\n\n").into() };
    seqs.into_iter().map(event).collect()
}

/// An event of this many bytes.
pub(crate) fn large_event(seq: u64, bytes: usize) -> Event {
    Event { seq, upstream_id: None, lines: Bytes::from(vec![b'x'; bytes]) }
}

/// A session and a stream in it that holds the events 1 to `last`.
pub(crate) async fn stream_of(store: &dyn SessionStore, writer: &str, last: u64) -> (Arc<Session>, StreamId) {
    let session = store.create(on("workbench")).await.unwrap();
    let stream = StreamId::random();
    store.open_stream(&session.id, &stream, head_by(writer)).await.unwrap();
    store.append(&session.id, &stream, &events(1..=last)).await.unwrap();
    (session, stream)
}

/// Asks until the answer is yes; fails after `within`.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, within: Duration, mut holds: impl FnMut() -> F) {
    let until = Instant::now() + within;
    while !holds().await {
        assert!(Instant::now() < until, "{what}: not within {within:?}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// A counter that can be read.
pub(crate) fn counter() -> (Counter, impl Fn() -> u64) {
    let value = Arc::new(AtomicU64::new(0));
    (Counter::from_arc(Arc::clone(&value)), move || value.load(Ordering::Relaxed))
}
