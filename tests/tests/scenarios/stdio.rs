//! Servers that are child processes.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use http::StatusCode;
use serde_json::json;
use shadowcat_tests::{Client, Process, Signal, binary, eventually, fleet, reverse};

const SOON: Duration = Duration::from_secs(15);

/// The scripted server with a word on its command line by which its processes are found.
fn server(mark: &str) -> [String; 2] {
    [binary("scripted-stdio-server").to_str().unwrap().to_owned(), mark.to_owned()]
}

/// A word that no other test's processes carry.
fn mark(test: &str) -> String {
    format!("{test}-{:08x}", fastrand::u32(..))
}

async fn all_gone(mark: &str) {
    eventually("its processes are gone", SOON, async || Process::with_argument(mark).is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_and_streams_pass_to_a_child_and_noise_does_not() {
    let fleet = fleet().stdio(&server("plain")).start().await;
    let client = fleet.client(0).await;
    assert_eq!(client.call_text("echo", json!({ "message": "grüße" })).await.unwrap(), "grüße");
    assert_eq!(client.call_text("noise", json!({})).await.unwrap(), "noisy");
    let params = json!({ "name": "stream", "arguments": { "events": 3 }, "_meta": { "progressToken": "p" } });
    let mut events = client.request("tools/call", params).await.unwrap().events();
    for step in 1..=3 {
        let event = events.next_message().await.unwrap().unwrap().json();
        assert_eq!((&event["params"]["progress"], &event["params"]["progressToken"]), (&json!(step), &json!("p")));
    }
    assert_eq!(events.result().await.unwrap()["content"][0]["text"], "done");
    fleet.plane(0).metric_is("shadowcat_upstream_skipped_lines_total", 1.0, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_session_has_a_child_of_its_own_unless_it_is_shared() {
    let own = fleet().stdio(&server("own")).start().await;
    let (one, two) = (own.client(0).await, own.client(0).await);
    assert_ne!(one.call_text("pid", json!({})).await.unwrap(), two.call_text("pid", json!({})).await.unwrap());

    let shared = fleet().stdio(&server("shared")).upstream_settings(json!({ "sharing": "SHARED" })).start().await;
    let (one, two) = (shared.client(0).await, shared.client(0).await);
    assert_eq!(one.call_text("pid", json!({})).await.unwrap(), two.call_text("pid", json!({})).await.unwrap());
    // Both clients count their request ids from 1: no answer may go astray.
    let calls = (0..200).map(|number| {
        let client = if number % 2 == 0 { one.clone() } else { two.clone() };
        async move { (number, client.call_text("echo", json!({ "message": number.to_string() })).await.unwrap()) }
    });
    for (number, answer) in stream::iter(calls).buffer_unordered(32).collect::<Vec<_>>().await {
        assert_eq!(answer, number.to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_dies_is_named_with_its_last_words_in_the_call_that_met_it() {
    let fleet = fleet().stdio(&server("dying")).start().await;
    let client = fleet.client(0).await;
    let failure = client.call("die", json!({})).await.unwrap_err();
    assert_eq!(failure.status_and_code(), (502, -31001), "{failure}");
    assert!(failure.message.contains("last words") && failure.message.contains("origin"), "{failure}");
    let gone = client.call("echo", json!({})).await.unwrap_err();
    assert_eq!(gone.status, Some(StatusCode::NOT_FOUND), "its session is over: {gone}");
    fleet.client(0).await.call("echo", json!({})).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_does_not_start_is_named_with_its_stage() {
    let fleet = fleet().stdio(&["shadowcat-no-such-program"]).start().await;
    let failure = Client::to(fleet.url(0)).open_session().await.unwrap_err();
    assert_eq!((failure.code, &failure.data["stage"]), (Some(-31001), &json!("spawn")), "{failure}");
    assert!(failure.message.contains("shadowcat-no-such-program"), "{failure}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_replica_refuses_a_stdio_session_so_that_the_client_starts_anew() {
    let fleet = fleet().data_planes(2).redis().stdio(&server("pinned")).start().await;
    let client = fleet.client(0).await;
    let failure = client.at(fleet.url(1)).call("echo", json!({})).await.unwrap_err();
    assert_eq!(failure.status_and_code(), (404, -32600), "{failure}");
    client.call("echo", json!({})).await.expect("it still lives where its child lives");
}

/// Sessions of the test below, and how many are opened at once.
const ABANDONED: usize = 1_000;
const AT_ONCE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_abandoned_stdio_sessions_leave_no_process_descriptor_or_task() {
    let mark = mark("abandoned");
    let fleet = fleet()
        .stdio(&server(&mark))
        .upstream_settings(json!({ "stop_when_idle_for": "1s" }))
        .route_settings(json!({ "sessions": { "idle_timeout": "1s", "max": 2_000 } }))
        .start()
        .await;
    // One session first, so that what is made once is there when the count begins.
    abandon(&fleet.url(0)).await;
    all_gone(&mark).await;
    let process = fleet.plane(0).process();
    let before = (process.descendants().len(), process.descriptors());

    let sessions = (0..ABANDONED).map(|_| abandon_at(fleet.url(0)));
    stream::iter(sessions).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;

    all_gone(&mark).await;
    for gauge in ["shadowcat_upstream_children", "shadowcat_upstream_sessions", "shadowcat_streams"] {
        fleet.plane(0).metric_is(gauge, 0.0, SOON).await;
    }
    eventually("processes and descriptors are what they were", SOON, async || {
        let now = (process.descendants().len(), process.descriptors());
        // A connection of the last scrape of metrics may still be closing.
        (now.0 == before.0 && now.1 <= before.1 + 1).then_some(())
    })
    .await;
    Client::connect(fleet.url(0)).await.call("echo", json!({})).await.unwrap();
}

async fn abandon_at(url: String) {
    abandon(&url).await;
}

/// Opens a session, uses it, and leaves without a word.
async fn abandon(url: &str) {
    let client = Client::connect(url).await;
    client.call("echo", json!({})).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_gateway_leaves_no_orphan_not_even_below_a_shell() {
    let mark = mark("orphans");
    let [program, _] = server(&mark);
    // The shell stays between, as with an npm script; what it runs has a child of its own.
    let script = format!("'{program}' {mark}; true");
    let mut fleet = reverse().stdio(&["sh", "-c", &script]).start().await;
    let client = fleet.client(0).await;
    let child: u32 = client.call_text("child", json!({})).await.unwrap().parse().unwrap();
    let child = Process::with_id(child);
    assert!(child.is_alive());
    assert!(Process::with_argument(&mark).len() >= 2, "the shell and the server, and a spare of both");

    fleet.plane_mut(0).program().kill();
    all_gone(&mark).await;
    eventually("the server's own child is gone", SOON, async || (!child.is_alive()).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_gateway_ends_its_children_even_one_that_ignores_sigterm() {
    let mark = mark("stubborn");
    let [program, _] = server(&mark);
    let script = format!("trap '' TERM; '{program}' {mark}; while true; do sleep 1; done");
    let mut fleet = reverse().stdio(&["sh", "-c", &script]).start().await;
    fleet.client(0).await.call("echo", json!({})).await.unwrap();
    fleet.plane_mut(0).program().signal(Signal::TERM);
    fleet.plane_mut(0).program().end(Duration::from_secs(30)).await;
    all_gone(&mark).await;
}
