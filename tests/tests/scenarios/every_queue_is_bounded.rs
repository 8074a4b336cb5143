//! The invariant of this name: each queue, map and pool that can be filled from outside is filled, and its metric asserted.
//! The others (ten thousand connections of clients, the caches and queues towards Redis, one child's calls) are driven in the unit
//! tests beside them.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use shadowcat_tests::{Client, Failure, Upstream, binary, eventually, fleet, within};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(10);

const REQUESTS: &str = "shadowcat_requests_total";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_an_upstream() {
    let upstream = Upstream::start_without_sessions().await;
    let two = json!({ "connections": { "max": 2 } });
    let fleet = fleet().upstream(&upstream).upstream_settings(two).start().await;
    let client = fleet.client(0).await;
    let gate = upstream.gate("held");
    let hold = || {
        let client = client.clone();
        tokio::spawn(async move { client.call("hold", json!({ "token": "held" })).await })
    };
    let held = [hold(), hold()];
    eventually("both connections are taken", SOON, async || (gate.under_way() == 2).then_some(())).await;

    let refused = (0..8).map(|_| client.call("echo", json!({ "token": "one too many" })));
    for failure in within("the queue is bounded in time", SOON, join_all(refused)).await {
        let failure = failure.unwrap_err();
        assert_eq!(failure.status_and_code(), (503, -31004), "{failure}");
        assert_eq!(failure.data["stage"], "queue", "{failure}");
    }
    assert_eq!(upstream.calls("one too many"), 0);
    fleet.plane(0).metric_is("shadowcat_upstream_overloaded_total", 8.0, SOON).await;
    gate.release(2);
    for call in held {
        call.await.unwrap().unwrap();
    }
    client.call("echo", json!({ "token": "room again" })).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_a_route() {
    let upstream = Upstream::start().await;
    let three = json!({ "sessions": { "max": 3 } });
    let fleet = fleet().redis().data_planes(2).upstream(&upstream).route_settings(three).start().await;
    let mut open = Vec::new();
    for number in 0..3 {
        open.push(fleet.client(number % 2).await);
    }
    let failure = Client::to(fleet.url(1)).open_session().await.unwrap_err();
    assert_eq!(failure.status_and_code(), (503, -31004), "{failure}");
    assert!(failure.message.contains("maximum of 3 sessions"), "{failure}");
    let halves = async || (upstream.sessions() == 3).then_some(());
    eventually("the upstream's half of the refused session is ended", SOON, halves).await;
    let refused = fleet.plane(1).metrics().await;
    let refused = refused.sum("shadowcat_requests_total", &["method=\"initialize\"", "outcome=\"failed\""]);
    assert_eq!(refused, Some(1.0));
    open[0].end_session().await.unwrap();
    fleet.client(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_of_an_upstream() {
    let server = binary("scripted-stdio-server");
    let two = json!({ "sessions": { "max": 2 } });
    let fleet = fleet().stdio(&[server.to_str().unwrap()]).route_settings(two).start().await;
    let _open = (fleet.client(0).await, fleet.client(0).await);
    let failure = Client::to(fleet.url(0)).open_session().await.unwrap_err();
    assert_eq!(failure.status_and_code(), (503, -31004), "{failure}");
    // One for each session, and the spare that waits for the next: what was refused leaves none behind.
    fleet.plane(0).metric_is("shadowcat_upstream_children", 3.0, SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_child_says_while_nobody_listens() {
    let server = binary("scripted-stdio-server");
    let fleet = fleet().stdio(&[server.to_str().unwrap()]).start().await;
    let client = fleet.client(0).await;
    client.call("chatter", json!({ "events": 500 })).await.unwrap();
    let dropped = eventually("messages fall out", SOON, async || {
        let dropped = fleet.plane(0).metrics().await.sum("shadowcat_upstream_dropped_messages_total", &[]);
        dropped.filter(|count| *count > 400.0)
    })
    .await;
    // The newest are kept for whoever listens next, in order.
    let mut events = client.listen().await.unwrap().events();
    for step in 501 - (500 - dropped as u64)..=500 {
        let event = within("a message that was kept", SOON, events.next_message()).await.unwrap().unwrap();
        assert_eq!(event.json()["params"]["data"], step);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_event_log_of_a_stream() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    // 8 MiB, of which the log keeps four.
    let arguments = json!({ "token": "long", "events": 512, "size": 16 * 1024 });
    let mut events = client.start("flood", arguments).await.unwrap().events();
    let first = events.next_message().await.unwrap().unwrap().id.unwrap();
    let mut newest = first.clone();
    for _ in 0..500 {
        newest = events.next_message().await.unwrap().unwrap().id.unwrap();
    }
    events.result().await.unwrap();
    let dropped = fleet.plane(0).metrics().await.sum("shadowcat_event_log_dropped_total", &[]).unwrap();
    assert!((200.0..500.0).contains(&dropped), "{dropped} of 513 events fell out");
    // A reader who missed some of them is told so; one who did not goes on.
    let refused = client.resume(&first).await.unwrap().failure().await;
    assert!(refused.status.unwrap().is_client_error(), "{refused}");
    let rest = client.resume(&newest).await.unwrap().result().await.unwrap();
    assert_eq!(rest["content"][0]["text"], "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_logs_of_a_session() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let mut ids = Vec::new();
    for number in 0..24 {
        let arguments = json!({ "token": format!("{number}"), "events": 2, "size": 16 });
        let mut events = client.start("flood", arguments).await.unwrap().events();
        ids.push(events.next_message().await.unwrap().unwrap().id.unwrap());
        events.result().await.unwrap();
    }
    fleet.plane(0).metric_is("shadowcat_event_log_forgotten_total", 8.0, SOON).await;
    let forgotten = client.resume(&ids[0]).await.unwrap().failure().await;
    assert!(forgotten.status.unwrap().is_client_error(), "{forgotten}");
    client.resume(&ids[23]).await.unwrap().result().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstream_sessions_for_calls_without_one() {
    let upstream = Upstream::start().await;
    let optional = json!({ "sessions": { "mode": "OPTIONAL" } });
    let fleet = fleet().upstream(&upstream).route_settings(optional).start().await;
    let client = Client::to(fleet.url(0));
    let gate = upstream.gate("held");
    let calls = (0..20).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.call("hold", json!({ "token": "held" })).await })
    });
    let calls: Vec<_> = calls.collect();
    eventually("as many calls as there may be are under way", SOON, async || (gate.under_way() == 16).then_some(()))
        .await;
    let refused = async || {
        let metrics = fleet.plane(0).metrics().await;
        metrics.sum("shadowcat_requests_total", &["outcome=\"failed\""]).filter(|count| *count == 4.0)
    };
    eventually("the others are refused", SOON, refused).await;
    assert_eq!((upstream.sessions(), gate.under_way()), (16, 16));
    gate.release(16);
    let ended = join_all(calls).await;
    let failures: Vec<_> = ended.into_iter().filter_map(|call| call.unwrap().err()).collect();
    assert_eq!(failures.iter().map(Failure::status_and_code).collect::<Vec<_>>(), [(503, -31004); 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_in_metrics() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let lines = async || fleet.plane(0).health("/metrics").await.unwrap().1.lines().count();
    let before = lines().await;
    for number in 0..400 {
        // The server does not know these tools, so none becomes a series.
        client.call(&format!("tool-{number}"), json!({})).await.unwrap_err();
    }
    let more = lines().await - before;
    assert!(more < 100, "{more} new lines of metrics for names that a client made up");
}

/// Tools that a route keeps apart in its metrics.
const TOOLS_APART: usize = 256;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_in_metrics() {
    const TOOLS: usize = 300;
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    for number in 0..TOOLS {
        let tool = format!("numbered-{number}");
        assert_eq!(client.call_text(&tool, json!({})).await.unwrap(), tool);
    }
    let counted = async || {
        let metrics = fleet.plane(0).metrics().await;
        let calls = metrics.sum(REQUESTS, &["method=\"tools/call\""]);
        (calls == Some(TOOLS as f64)).then_some(metrics)
    };
    let metrics = eventually("every call is counted", SOON, counted).await;
    let mut tools = metrics.values(REQUESTS, "tool");
    tools.remove("");
    assert!(tools.contains("numbered-0"), "a tool that its server confirmed has a series: {tools:?}");
    assert!(tools.contains("other"), "{tools:?}");
    assert!(tools.len() <= TOOLS_APART + 1, "{} tools", tools.len());
    let rest = metrics.sum(REQUESTS, &["tool=\"other\""]).unwrap();
    assert!(rest >= (TOOLS - TOOLS_APART) as f64, "{rest} calls of other tools");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_go_on_without_a_client() {
    const PLACES: usize = 1024;
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    // A session keeps the logs of few streams that ended: the one that comes back has a session to itself.
    let (first, others) = (fleet.client(0).await, fleet.client(0).await);
    let mut left = Vec::new();
    for number in 0..=PLACES {
        let token = format!("left-{number}");
        let gate = upstream.gate(&token);
        gate.release(1);
        let client = if number == 0 { &first } else { &others };
        let mut events = client.start("stream", json!({ "token": token, "events": 2 })).await.unwrap().events();
        left.push((gate, events.next_message().await.unwrap().unwrap().id.unwrap()));
    }
    let plane = fleet.plane(0);
    plane.metric_is("shadowcat_streams_given_up_total", 1.0, SOON).await;
    plane.metric_is("shadowcat_streams_detached", PLACES as f64, SOON).await;
    // The others end as if their clients were there, and are told to whoever comes back.
    left.iter().for_each(|(gate, _)| gate.release(1));
    plane.metric_is("shadowcat_streams_detached", 0.0, SOON).await;
    let rest = first.resume(&left[0].1).await.unwrap().result().await.unwrap();
    assert_eq!(rest["content"][0]["text"], "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_operators() {
    const PLACES: usize = 100;
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let plane = fleet.plane(0);
    let operations = plane.listeners()[1];
    let connect = async || TcpStream::connect((Ipv4Addr::LOCALHOST, operations)).await.unwrap();
    let held = join_all((0..PLACES).map(|_| connect())).await;
    let mut refused = join_all((0..10).map(|_| connect())).await;
    for socket in &mut refused {
        within("it is closed at once", SOON, socket.read(&mut [0; 1])).await.unwrap_or(0);
    }
    // Clients have connections of their own.
    fleet.client(0).await.call("echo", json!({ "token": "not concerned" })).await.unwrap();
    drop(held);
    let counted = async || plane.health("/metrics").await.and_then(|(_, text)| counter(&text));
    assert!(eventually("operators are served again", SOON, counted).await >= 10.0);
}

fn counter(metrics: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix("shadowcat_connections_refused_total ")?.parse().ok())
}
