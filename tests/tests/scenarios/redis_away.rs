//! Redis that crashed, and Redis that hangs: what needs none goes on, the rest fails soon, nothing hangs.

use std::time::{Duration, Instant};

use serde_json::json;
use shadowcat_tests::{Client, Failure, Fleet, Upstream, eventually, fleet, within};

/// What fails for want of Redis fails within this.
const REFUSED_WITHIN: Duration = Duration::from_millis(250);

/// What a machine busy with other tests may add, as the client's clock sees it: two processes that wait for their turn. Half of
/// the bound, so that waiting twice, the mistake to be found, does not pass.
const ALLOWANCE: Duration = Duration::from_millis(125);

/// How often it is tried; the bound holds for each.
const ATTEMPTS: u32 = 5;

const SOON: Duration = Duration::from_secs(10);

/// Each of several refusals says that the gateway is not ready, and comes in time.
async fn assert_refused_soon(what: &str, refused: impl AsyncFn() -> Failure) {
    let mut took = Vec::new();
    for _ in 0..ATTEMPTS {
        let began = Instant::now();
        let failure = within("a refusal", SOON, refused()).await;
        took.push(began.elapsed());
        assert_eq!(failure.status_and_code(), (503, -31010), "{what}: {failure}");
    }
    assert!(took.iter().all(|took| *took < REFUSED_WITHIN + ALLOWANCE), "{what} was refused after {took:?}");
}

/// What must hold while Redis is away.
async fn assert_goes_on(fleet: &Fleet, cached: &Client, how: &str) {
    for number in 0..20 {
        let call = cached.call("echo", json!({ "token": format!("{how}-{number}") }));
        let answer = within("a call of a cached session", SOON, call).await;
        answer.unwrap_or_else(|failure| panic!("Redis {how}: {failure}"));
    }
    let new = async || Client::to(fleet.url(0)).open_session().await.expect_err("no session can be kept without Redis");
    assert_refused_soon(&format!("Redis {how}: a new session"), new).await;

    // Whether this one exists is not known, so it is no 404.
    let unknown = cached.with("mcp-session-id", "AAAAAAAAAAAAAAAAAAAAAA");
    let call = async || unknown.call("echo", json!({})).await.unwrap_err();
    assert_refused_soon(&format!("Redis {how}: a session that is not cached"), call).await;
    // The session is still there, for whoever has the fleet's Redis: it has not ended, and nobody may believe it has.
    let end = async || cached.end_session().await.unwrap().failure().await;
    assert_refused_soon(&format!("Redis {how}: the end of a session"), end).await;
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
