//! Calls whose answer the client has to come back for.

use serde_json::Value;

use crate::support::{Bench, Said, bench, result, told};

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"slow","_meta":{"progressToken":"p"}}}"#;

const MEMBERS: [&str; 6] = ["m", "name", "re", "op", "out", "code"];

/// A server that closes the stream of a call before its answer, twice, and tells the rest to whoever asks.
fn polled(rests: &'static [&'static str]) -> impl Fn(&Value) -> Said + Send + Sync {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    move |message| match message["method"].as_str() {
        Some("initialize") => Said::Session(result(
            message,
            r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}"#,
        )),
        Some("tools/call") => Said::Stream("id: 1\nretry: 10\ndata: \n\n"),
        _ => Said::Stream(rests[asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed)]),
    }
}

const PROGRESS: &str = "id: 2\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":\"p\",\"progress\":1}}\n\n";
const RESULT: &str = "id: 3\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"content\":[]}}\n\n";

/// Opens a session and calls; the session, and the id of the last event.
async fn call(bench: &Bench) -> (String, String) {
    let session = bench.session().await;
    let (_, text) = bench.post(CALL, &[("mcp-session-id", &session)]).await;
    (session, last_event(&text))
}

fn last_event(stream: &str) -> String {
    let mut ids = stream.lines().filter_map(|line| line.strip_prefix("id: "));
    ids.next_back().unwrap_or_else(|| panic!("an event with an id in {stream:?}")).to_owned()
}

/// Comes back for the rest; what it is.
async fn resume(bench: &Bench, session: &str, last: &str) -> String {
    let get = bench.client.get(&bench.url).header("accept", "text/event-stream");
    let get = get.header("mcp-session-id", session).header("last-event-id", last);
    get.send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_client_polls_for_its_answer_ends_with_the_answer() {
    bench("", polled(&[PROGRESS, RESULT]), async |bench| {
        let (session, last) = call(&bench).await;
        let text = resume(&bench, &session, &last).await;
        let text = resume(&bench, &session, &last_event(&text)).await;
        assert!(text.contains(r#""id":7"#), "{text}");
        let answer =
            bench.recorded.find("the answer", |record| record["body"]["id"] == 7 && record["dir"] == "s2c").await;
        let call = bench.recorded.find("the call", |record| record["body"]["id"] == 7).await;
        let request = &call["seq"];
        assert_eq!(
            told(&answer, &MEMBERS),
            format!(r#"m="tools/call" name="slow" re={request} op={request} out="ok" code=null"#)
        );
        let took = answer["t"].as_u64().unwrap() - call["t"].as_u64().unwrap();
        // Each of the three is cut to microseconds for itself.
        assert!(
            answer["lat"].as_u64().unwrap().abs_diff(took) <= 1,
            "from the call on, however often its client came: {answer}"
        );
        let progress = bench.recorded.find("progress", |record| record["m"] == "notifications/progress").await;
        assert_eq!(&progress["op"], request);
        assert!(!bench.recorded.text().contains("call_abandoned"), "{}", bench.recorded.text());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_path_takes_from_a_call_is_not_told_by_the_answer_that_its_client_comes_back_for() {
    for (path, named) in [("$.id", true), ("$.params.name", false)] {
        bench(&format!(", redact: {{ paths: ['{path}'] }}"), polled(&[RESULT]), async |bench| {
            let (session, last) = call(&bench).await;
            assert!(resume(&bench, &session, &last).await.contains(r#""id":7"#));
            let answer =
                bench.recorded.find("the answer", |record| record["out"] == "ok" && record["m"] != "initialize");
            let answer = answer.await;
            let call = bench.recorded.find("the call", |record| record["m"] == "tools/call").await;
            assert_eq!(told(&answer, &["m", "name", "id"]), told(&call, &["m", "name", "id"]), "{path}");
            assert_eq!((&answer["re"], answer["name"] == "slow", answer["id"] == 7), (&call["seq"], named, !named));
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_fails_while_its_client_polls_has_failed() {
    // The rest has no event with an id, so it cannot be asked for again.
    bench("", polled(&[": nothing\n\n"]), async |bench| {
        let (session, last) = call(&bench).await;
        let text = resume(&bench, &session, &last).await;
        assert!(text.contains("-31003"), "{text}");
        let request = bench.recorded.find("the call", |record| record["body"]["id"] == 7).await["seq"].clone();
        let failure = bench.recorded.find("the failure", |record| record["out"] == "failed").await;
        assert_eq!(
            told(&failure, &MEMBERS),
            format!(r#"m="tools/call" name="slow" re={request} op={request} out="failed" code=-31003"#)
        );
        assert!(!bench.recorded.text().contains("call_abandoned"), "{}", bench.recorded.text());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_wait_for_their_clients_end_when_the_gateway_does_and_one_that_cannot_be_told_costs_no_other() {
    let mut kept = None;
    bench("", polled(&[]), async |bench| {
        call(&bench).await;
        call(&bench).await;
        // Nothing else is to be recorded.
        bench.recorded.records(6).await;
        bench.recorded.break_once();
        kept = Some(bench.recorded.clone());
    })
    .await;
    let recorded = kept.expect("the test has run");
    let records = recorded.records(7).await;
    let calls: Vec<&Value> = records.iter().filter(|record| record["body"]["id"] == 7).collect();
    let endings: Vec<&Value> = records.iter().filter(|record| record["life"] == "call_abandoned").collect();
    assert_eq!((calls.len(), endings.len()), (2, 1), "{}", recorded.text());
    let request = &calls[1]["seq"];
    let ending = format!(r#"m="tools/call" name="slow" re={request} op={request} out="cancelled" code=null"#);
    assert_eq!((told(endings[0], &MEMBERS), &endings[0]["tape"]), (ending, &calls[1]["tape"]));
    assert_eq!(recorded.lost(), [(1, "recorder_failed".to_owned())]);
}
