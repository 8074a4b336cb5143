//! Several data planes, one Redis: a session belongs to the fleet, not to a node.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use shadowcat_tests::{Load, Upstream, eventually, fleet, within};
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_one_session_alternate_between_two_data_planes() {
    let upstream = Upstream::start().await;
    let fleet = fleet().data_planes(2).redis().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    for number in 0..40 {
        let client = client.at(fleet.url(number % 2));
        let answer = client.call_text("echo", json!({ "token": format!("call-{number}") })).await.unwrap();
        assert_eq!(answer, format!("call-{number}"));
    }
    assert_eq!(upstream.distinct_calls(), 40);
    assert_eq!(upstream.messages("initialize"), 1, "the session must not be opened anew on the other replica");
    assert_eq!(upstream.repeated(), Vec::<String>::new());
}

/// Calls per second of the test below, and for how long before and after the kill.
const RATE: u32 = 200;
const BEFORE: u32 = 300;
const AFTER: u32 = 700;
const SESSIONS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_one_of_two_data_planes_under_load_loses_no_session_and_repeats_no_call() {
    let upstream = Upstream::start().await;
    let mut fleet = fleet().data_planes(2).redis().upstream(&upstream).start().await;
    let mut clients = Vec::new();
    for number in 0..SESSIONS {
        clients.push(fleet.client(number % 2).await);
    }

    let mut load = Load::new(RATE, vec![fleet.url(0), fleet.url(1)], clients);
    load.run(BEFORE, &[0, 1]).await;
    fleet.plane_mut(0).program().kill();
    // A load balancer has noticed: new calls go to the survivor, in the sessions that began on the dead one, too.
    load.run(AFTER, &[1]).await;
    let outcomes = load.outcomes().await;

    for (call, answer) in &outcomes {
        match answer {
            Ok(text) => assert_eq!((text, upstream.calls(&call.token)), (&call.token, 1)),
            Err(failure) => assert!(call.plane == 0 && failure.status.is_none(), "{call:?}: {failure}"),
        }
    }
    let cut = outcomes.iter().filter(|(_, answer)| answer.is_err()).count();
    assert!(cut < RATE as usize / 2, "{cut} calls were cut by the kill: more than were under way");
    assert_eq!(upstream.repeated(), Vec::<String>::new());
    assert_eq!((upstream.sessions(), upstream.messages("initialize")), (SESSIONS, SESSIONS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ended_on_one_replica_is_refused_on_the_other_within_a_second() {
    let upstream = Upstream::start().await;
    let fleet = fleet().data_planes(2).redis().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let elsewhere = client.at(fleet.url(1));
    elsewhere.call("echo", json!({ "token": "warm" })).await.unwrap();

    let ended = client.end_session().await.unwrap();
    assert_eq!(ended.status(), StatusCode::NO_CONTENT);
    let began = Instant::now();
    let failure = eventually("the other replica refuses the session", Duration::from_secs(5), async || {
        elsewhere.call("echo", json!({})).await.err()
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(failure.status_and_code(), (404, -32600), "{failure}");
    assert_eq!(upstream.sessions(), 0, "the upstream's half must end too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_of_the_server_is_answered_through_the_other_replica() {
    let upstream = Upstream::start().await;
    let fleet = fleet().data_planes(2).redis().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let mut events = client.start("ask", json!({ "token": "colour" })).await.unwrap().events();
    let question = events.next_message().await.unwrap().unwrap().json();
    assert_eq!(question["method"], "elicitation/create");

    let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "accept", "content": { "colour": "teal" } } });
    let taken = client.at(fleet.url(1)).send(answer.to_string()).await.unwrap();
    assert_eq!(taken.status(), StatusCode::ACCEPTED);
    assert_eq!(events.result().await.unwrap()["content"][0]["text"], "teal");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_node_died_ends_as_outcome_unknown_on_the_other_replica() {
    let upstream = Upstream::start().await;
    let mut fleet = fleet().data_planes(2).redis().upstream(&upstream).start().await;
    let client = fleet.client(0).await;
    let gate = upstream.gate("lost");
    gate.release(1);
    let mut events = client.start("stream", json!({ "token": "lost", "events": 3 })).await.unwrap().events();
    let last = events.next_message().await.unwrap().unwrap().id.unwrap();
    // The log is written behind the client: what the other replica sees is what counts.
    let elsewhere = client.at(fleet.url(1));
    eventually("the event is in the log", Duration::from_secs(5), async || {
        let resumed = elsewhere.resume(&last).await.ok()?;
        resumed.status().is_success().then_some(())
    })
    .await;

    fleet.plane_mut(0).program().kill();
    let resumed = elsewhere.resume(&last).await.unwrap();
    let failure = within("the resumed stream ends", Duration::from_secs(30), resumed.result()).await.unwrap_err();
    assert_eq!(failure.code, Some(-31008), "{failure}");
    assert_eq!(upstream.calls("lost"), 1);
}
