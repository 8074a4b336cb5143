//! Two minutes of recorded traffic, in which everything dies once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use shadowcat_tests::{Client, Lab, Managed, binary, eventually, managed};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::tapes::{search, shipped, stats};

/// How long calls go on.
const TRAFFIC: Duration = Duration::from_secs(120);

/// Clients of each route at each data plane, and how often each of them calls: 200 calls a second in all.
const CLIENTS: usize = 5;
const CALL_EVERY: Duration = Duration::from_millis(100);

/// What dies when, and how long it is away.
const CONTROL_PLANE_DIES: Duration = Duration::from_secs(15);
const NODE_DIES: Duration = Duration::from_secs(45);
const POSTGRES_DIES: Duration = Duration::from_secs(75);
const AWAY: Duration = Duration::from_secs(10);
const NODE_AWAY: Duration = Duration::from_secs(3);

/// The data plane that dies. Clients of the other one see nothing of any death.
const MORTAL: usize = 1;

/// What was answered in the last so much of a node's life may be lost with it.
const MAY_BE_LOST: Duration = Duration::from_secs(2);

/// A call that takes longer has lost its node.
const PATIENCE: Duration = Duration::from_secs(10);

/// An interpreter starts, on a machine busy with other tests.
const STARTED: Duration = Duration::from_secs(30);

/// Calls by which sessions and traces are looked for one by one.
const LOOKED_FOR: usize = 40;

/// Characters of a session's id that a record has.
const SESSION_CHARS: usize = 8;

/// The routes, by their paths.
const ROUTES: [&str; 2] = ["/mcp", "/stdio"];

/// server-everything over HTTP and the scripted server over stdio, everything recorded.
fn configuration(everything: &str) -> Value {
    let route = |name: &str, path: &str| json!({ "name": name, "match": { "path": path }, "targets": [{ "upstream": name }], "recording": "all" });
    let child = binary("scripted-stdio-server");
    json!({
        "recordings": [{ "name": "all" }],
        "routes": [route("everything", ROUTES[0]), route("child", ROUTES[1])],
        "upstreams": [
            { "name": "everything", "http": { "endpoints": [{ "url": everything }] } },
            { "name": "child", "stdio": { "command": [child] } },
        ],
    })
}

/// A call that was answered.
struct Answered {
    trace: String,
    session: String,
    plane: usize,
    at: Instant,
}

/// Calls from one session after the other until `end`; a session ends with its node.
async fn call_until(end: Instant, plane: usize, url: String) -> Vec<Answered> {
    let (mut answered, mut session) = (Vec::new(), None);
    let mut due = interval(CALL_EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while due.tick().await < end {
        let client = match session.take() {
            Some(client) => client,
            None => match Client::to(&*url).open_session().await {
                Ok(client) => client,
                Err(failure) => {
                    assert_eq!(plane, MORTAL, "no session at a node that lives: {failure}");
                    continue;
                }
            },
        };
        let trace = format!("{:032x}", fastrand::u128(1..));
        match tokio::time::timeout(PATIENCE, traced_call(&client, &trace, &trace)).await {
            Ok(Ok(())) => {
                let id = client.session().expect("it has one").to_owned();
                answered.push(Answered { trace, session: id, plane, at: Instant::now() });
                session = Some(client);
            }
            failed => assert_eq!(plane, MORTAL, "a call failed at a node that lives: {failed:?}"),
        }
    }
    answered
}

async fn traced_call(client: &Client, trace: &str, message: &str) -> Result<(), shadowcat_tests::Failure> {
    let client = client.with("traceparent", &format!("00-{trace}-00000000000000a1-01"));
    let answer = client.call_text("echo", json!({ "message": message })).await?;
    assert!(answer.ends_with(message), "{answer}");
    Ok(())
}

/// Lets everything die once, and says when the node did.
async fn kill_one_after_the_other(fleet: &mut Managed, began: Instant) -> Instant {
    sleep_until(began + CONTROL_PLANE_DIES).await;
    fleet.control_mut(0).program().kill();
    sleep_until(began + CONTROL_PLANE_DIES + AWAY).await;
    fleet.control_mut(0).start_again();
    sleep_until(began + NODE_DIES).await;
    fleet.plane_mut(MORTAL).program().kill();
    let died = Instant::now();
    sleep_until(died + NODE_AWAY).await;
    fleet.plane_mut(MORTAL).start_again();
    sleep_until(began + POSTGRES_DIES).await;
    fleet.postgres_mut().stop();
    sleep_until(began + POSTGRES_DIES + AWAY).await;
    fleet.postgres_mut().start_again().await;
    died
}

/// The only thing that is missing anywhere is the end of what the dead node was writing.
async fn assert_nothing_else_is_missing(fleet: &Managed) {
    let told = stats(fleet.control()).await;
    let sources = told["sources"].as_array().unwrap();
    assert_eq!(sources.len(), 3, "a boot of the one node and two of the other: {told}");
    let gaps: Vec<(&Value, &Value)> = sources
        .iter()
        .flat_map(|source| source["gaps"].as_array().into_iter().flatten().map(move |gap| (&source["node"], gap)))
        .collect();
    let mortal = format!("plane-{MORTAL}");
    let is_its_end = |(node, gap): &(&Value, &Value)| **node == *mortal && gap["why"] == "crash";
    assert!(gaps.iter().all(is_its_end) && !gaps.is_empty(), "{gaps:?}");
}

/// Every call is found once, unless its node died before it could be written.
async fn assert_found(fleet: &Managed, answered: &[Answered], died: Instant) {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    let mut sessions: BTreeMap<String, String> = BTreeMap::new();
    for frame in search(fleet.control(), &["--tool", "echo", "--outcome", "ok"]).await {
        let [trace, session] = ["trace", "session"].map(|member| frame[member].as_str().unwrap().to_owned());
        *found.entry(trace.clone()).or_default() += 1;
        sessions.insert(trace, session);
    }
    let may_be_lost = |call: &Answered| call.plane == MORTAL && call.at > died - MAY_BE_LOST && call.at <= died;
    let missing: Vec<&Answered> = answered.iter().filter(|call| !found.contains_key(&call.trace)).collect();
    eprintln!("{} calls answered, {} found, {} missing", answered.len(), found.len(), missing.len());
    let unexpected: Vec<_> =
        missing.iter().filter(|call| !may_be_lost(call)).map(|call| (call.plane, call.at)).collect();
    assert_eq!(unexpected, [], "the node died at {died:?}");
    for call in answered {
        let session = sessions.get(&call.trace);
        assert!(
            session.is_none_or(|session| *session == call.session[..SESSION_CHARS]),
            "{session:?} is {}",
            call.session
        );
    }
    let twice: Vec<_> = found.iter().filter(|(_, times)| **times > 1).collect();
    assert_eq!(twice, [], "a call ends once");
}

/// Every session of the node that lives has all of its calls, and a call is found by its trace alone.
async fn assert_found_one_by_one(fleet: &Managed, answered: &[Answered]) {
    let mut sessions: BTreeMap<&str, usize> = BTreeMap::new();
    let alive: Vec<&Answered> = answered.iter().filter(|call| call.plane != MORTAL).collect();
    // What is due in the time, and as much again for a machine that is busy with other tests.
    let due = TRAFFIC.as_millis() / CALL_EVERY.as_millis() * (CLIENTS * ROUTES.len()) as u128;
    assert!(alive.len() as u128 * 2 > due, "{} calls of {due} were answered where nothing died", alive.len());
    for call in &alive {
        *sessions.entry(&call.session).or_default() += 1;
    }
    for (session, calls) in sessions.iter().take(LOOKED_FOR) {
        let found = search(fleet.control(), &["--session", session, "--tool", "echo", "--outcome", "ok"]).await;
        assert_eq!(found.len(), *calls, "of session {session}");
    }
    for call in alive.iter().step_by(alive.len().div_ceil(LOOKED_FOR)) {
        let found = search(fleet.control(), &["--trace", &call.trace]).await;
        assert_eq!(found.len(), 1, "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_is_stored_once_and_found_whatever_dies() {
    let mut fleet = managed().postgres().redis().data_planes(2).start().await;
    let (_everything, url) = Lab::open().start_everything(fleet.dir());
    eventually("the server answers", STARTED, async || Client::to(&*url).send("{}").await.ok()).await;
    fleet.apply(&configuration(&url)).await;
    for plane in [0, 1] {
        fleet.plane_mut(plane).ready().await;
    }

    let needle = format!("needle-{:016x}", fastrand::u64(..));
    let needles_trace = format!("{:032x}", fastrand::u128(1..));
    traced_call(&fleet.client(0).await, &needles_trace, &needle).await.unwrap();
    let began = Instant::now();
    let places = [0, 1].into_iter().flat_map(|plane| ROUTES.map(|route| (plane, route)));
    let places: Vec<_> = places.map(|(plane, route)| (plane, fleet.plane(plane).url(route))).collect();
    let clients = places.iter().flat_map(|place| std::iter::repeat_n(place, CLIENTS));
    let callers = clients.map(|(plane, url)| call_until(began + TRAFFIC, *plane, url.clone()));
    let callers = tokio::spawn(join_all(callers.collect::<Vec<_>>()));
    let died = kill_one_after_the_other(&mut fleet, began).await;
    let answered: Vec<Answered> = callers.await.unwrap().into_iter().flatten().collect();

    for plane in [0, 1] {
        let spool: PathBuf = fleet.plane(plane).data_dir().join("spool");
        shipped(&spool).await;
    }
    assert_nothing_else_is_missing(&fleet).await;
    assert_found(&fleet, &answered, died).await;
    assert_found_one_by_one(&fleet, &answered).await;
    let found = search(fleet.control(), &[&needle]).await;
    assert!(found.len() == 1 && found[0]["trace"] == *needles_trace, "{found:?}");
}
