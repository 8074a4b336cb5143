//! Calls that go well.

use crate::support::{Said, bench, result, told};

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"echo","arguments":{"b":1.0,"a":[ ]}}}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_two_frames_that_say_what_passed_and_how_it_ended() {
    let answer = |message: &serde_json::Value| Said::Json(result(message, r#"{"content":[],"x":1.50}"#));
    bench("", answer, async |bench| {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let headers = [("mcp-protocol-version", "2026-07-28"), ("traceparent", trace), ("cookie", "a=b")];
        let (status, told_client) = bench.post(CALL, &headers).await;
        assert_eq!(status, 200);
        let records = bench.recorded.records(2).await;
        let [request, answer] = &*records else { panic!("{records:?}") };
        let shared = ["tape", "conn", "xchg", "m", "name", "route", "recording", "upstream", "endpoint", "era", "tp"];
        assert_eq!(told(request, &shared), told(answer, &shared));
        assert_eq!(
            told(request, &["k", "seq", "dir", "stage", "id", "m", "name", "route", "upstream", "endpoint", "era", "sz"]),
            r#"k="msg" seq=1 dir="c2s" stage="rx" id="a" m="tools/call" name="echo" route="r" upstream="u" endpoint="http://127.0.0.1:9/mcp" era="2026-07-28" sz=103"#
        );
        assert_eq!(
            told(answer, &["k", "seq", "dir", "re", "op", "out", "code", "tp"]),
            r#"k="msg" seq=2 dir="s2c" re=1 op=1 out="ok" code=null tp="4bf92f3577b34da6a3ce929d0e0e4736""#
        );
        assert!(answer["lat"].as_u64() > Some(0) && answer["t"].as_u64() >= request["t"].as_u64());
        assert_eq!(told(&request["http"], &["method", "path"]), r#"method="POST" path="/mcp""#);
        assert_eq!(answer["http"]["status"], 200);
        assert_eq!(request["http"]["headers"]["mcp-protocol-version"], "2026-07-28");
        assert_eq!(request["http"]["headers"]["cookie"], serde_json::Value::Null);
        assert!(bench.recorded.text().contains(CALL) && bench.recorded.text().contains(&told_client), "byte for byte");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_frames_of_a_session_are_one_tape_and_its_id_is_not_told() {
    let answer = |message: &serde_json::Value| match message["method"].as_str() {
        Some("initialize") => Said::Session(result(message, r#"{"protocolVersion":"2025-11-25","capabilities":{}}"#)),
        Some("notifications/initialized") => Said::Status(202),
        _ => Said::Json(result(message, r#"{"isError":true,"content":[]}"#)),
    };
    bench("", answer, async |bench| {
        let open = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t"}}}"#;
        let opened = bench.send(open, &[]).await;
        let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        opened.text().await.unwrap();
        let in_session = [("mcp-session-id", session.as_str())];
        bench.post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, &in_session).await;
        bench.post(r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"break"}}"#, &in_session).await;
        let records = bench.recorded.records(5).await;
        let begin = &session[..8];
        for record in &records {
            assert_eq!(told(record, &["tape", "session"]), format!(r#"tape="{begin}" session="{begin}""#), "{record}");
        }
        let line = |record: &serde_json::Value| told(record, &["k", "dir", "m", "re", "out"]);
        assert_eq!(
            records.iter().map(line).collect::<Vec<_>>(),
            [
                r#"k="msg" dir="c2s" m="initialize" re=null out=null"#,
                r#"k="msg" dir="s2c" m="initialize" re=1 out="ok""#,
                r#"k="msg" dir="c2s" m="notifications/initialized" re=null out=null"#,
                r#"k="msg" dir="c2s" m="tools/call" re=null out=null"#,
                r#"k="msg" dir="s2c" m="tools/call" re=4 out="tool_error""#,
            ]
        );
        assert_eq!(records[4]["era"], "2025-11-25", "as the session has it, though no header says so");
        assert!(!bench.recorded.text().contains(&session), "whoever knows the id can speak for the session");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_of_a_streamed_answer_is_a_frame_of_its_operation() {
    let answer = |message: &serde_json::Value| {
        Said::Events(vec![
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":1}}"#
                .to_owned(),
            r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{}}"#.to_owned(),
            "no json".to_owned(),
            result(message, "{}"),
        ])
    };
    bench("", answer, async |bench| {
        let call =
            r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"slow","_meta":{"progressToken":7}}}"#;
        assert_eq!(bench.modern(call).await.0, 200);
        let records = bench.recorded.records(5).await;
        let line = |record: &serde_json::Value| told(record, &["k", "m", "op", "out", "text"]);
        assert_eq!(
            records.iter().map(line).collect::<Vec<_>>(),
            [
                r#"k="msg" m="tools/call" op=null out=null text=null"#,
                r#"k="msg" m="notifications/progress" op=1 out=null text=null"#,
                r#"k="msg" m="elicitation/create" op=1 out=null text=null"#,
                r#"k="raw" m=null op=1 out=null text=null"#,
                r#"k="msg" m="tools/call" op=1 out="ok" text=null"#,
            ]
        );
        assert_eq!(records[3]["b64"], "bm8ganNvbg==");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_passes_as_it_comes_is_recorded_whole() {
    let long = "x".repeat(300 * 1024);
    let text = long.clone();
    let answer = move |message: &serde_json::Value| Said::Json(result(message, &format!(r#"{{"text":"{text}"}}"#)));
    bench("", answer, async |bench| {
        let (_, told_client) = bench.modern(CALL).await;
        let records = bench.recorded.records(2).await;
        assert_eq!(told(&records[1], &["out", "sz", "re"]), format!(r#"out="ok" sz={} re=1"#, told_client.len()));
        assert!(bench.recorded.text().contains(&long));
    })
    .await;
}
