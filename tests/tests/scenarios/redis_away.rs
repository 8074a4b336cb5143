//! Redis that crashed, and Redis that hangs: what needs none goes on, the rest fails soon, nothing hangs.

use std::time::{Duration, Instant};

use serde_json::json;
use shadowcat_tests::{Client, Fleet, Upstream, eventually, fleet, within};

/// What fails for want of Redis fails within this.
const REFUSED_WITHIN: Duration = Duration::from_millis(250);

/// What a busy machine may add to a round trip through the gateway.
const SLACK: Duration = Duration::from_millis(250);

const SOON: Duration = Duration::from_secs(10);

/// What must hold while Redis is away.
async fn assert_goes_on(fleet: &Fleet, cached: &Client, how: &str) {
    for number in 0..20 {
        let call = cached.call("echo", json!({ "token": format!("{how}-{number}") }));
        within("a call of a cached session", Duration::from_secs(2), call)
            .await
            .unwrap_or_else(|failure| panic!("Redis {how}: {failure}"));
    }
    for attempt in 0..5 {
        let began = Instant::now();
        let refused = within("a new session is refused", SOON, Client::to(fleet.url(0)).open_session()).await;
        let failure = refused.expect_err("no session can be kept without Redis");
        assert!(began.elapsed() < REFUSED_WITHIN + SLACK, "attempt {attempt}: refused after {:?}", began.elapsed());
        assert_eq!(failure.status_and_code(), (503, -31010), "Redis {how}: {failure}");
    }
    let unknown = cached.with("mcp-session-id", "AAAAAAAAAAAAAAAAAAAAAA");
    let began = Instant::now();
    let failure = within("a session that is not cached", SOON, unknown.call("echo", json!({}))).await.unwrap_err();
    assert!(began.elapsed() < REFUSED_WITHIN + SLACK, "{:?}", began.elapsed());
    assert_eq!(failure.status_and_code(), (503, -31010), "whether it exists is not known: {failure}");
    let health = fleet.plane(0).health("/health").await.unwrap().1;
    assert!(health.contains("unavailable"), "{health}");
}

async fn assert_is_back(fleet: &Fleet) {
    let opened =
        eventually("sessions are opened again", SOON, async || Client::to(fleet.url(0)).open_session().await.ok())
            .await;
    opened.call("echo", json!({ "token": "back" })).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_redis_crashes_cached_sessions_go_on_and_new_ones_are_refused_at_once() {
    let upstream = Upstream::start().await;
    let mut fleet = fleet().redis().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    client.call("echo", json!({ "token": "warm" })).await.unwrap();
    fleet.redis_mut().kill();
    assert_goes_on(&fleet, &client, "crashed").await;
    let dir = fleet.dir().to_owned();
    fleet.redis_mut().restart(&dir).await;
    assert_is_back(&fleet).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_redis_hangs_cached_sessions_go_on_and_new_ones_are_refused_at_once() {
    let upstream = Upstream::start().await;
    let fleet = fleet().redis().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    client.call("echo", json!({ "token": "warm" })).await.unwrap();
    fleet.redis().pause();
    assert_goes_on(&fleet, &client, "hangs").await;
    fleet.redis().resume();
    assert_is_back(&fleet).await;
    client.call("echo", json!({ "token": "the old session" })).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_stream_goes_on_to_its_end_without_redis() {
    let upstream = Upstream::start().await;
    let mut fleet = fleet().redis().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let gate = upstream.gate("stream");
    gate.release(10);
    let mut events = client.start("stream", json!({ "token": "stream", "events": 500 })).await.unwrap().events();
    for _ in 0..10 {
        events.next_message().await.unwrap().unwrap();
    }
    fleet.redis_mut().kill();
    gate.release(490);
    let result = within("the stream ends", SOON, events.result()).await.unwrap();
    assert_eq!(result["content"][0]["text"], "done");
}
