//! Frames of other exchanges that belong to an operation.

use crate::support::{Said, bench, result, told};

/// A server whose tool asks before it answers, by either way to ask.
fn asks(message: &serde_json::Value) -> Said {
    let params = &message["params"];
    match message["method"].as_str() {
        Some("tools/call") if params["inputResponses"].is_object() => Said::Json(result(message, "{}")),
        Some("tools/call") if params["name"] == "stateless" => {
            Said::Json(result(message, r#"{"resultType":"input_required","inputRequests":{"city":{}}}"#))
        }
        Some("tools/call") if params["name"] == "task" => {
            Said::Json(result(message, r#"{"resultType":"task","taskId":"t-1"}"#))
        }
        Some("tools/call") => Said::Json(result(
            message,
            r#"{"resultType":"input_required","inputRequests":{"city":{}},"requestState":"opaque"}"#,
        )),
        _ => Said::Json(result(message, "{}")),
    }
}

const LINKS: [&str; 5] = ["seq", "m", "op", "op_link", "out"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rounds_of_a_call_that_asks_are_one_operation() {
    bench("", asks, async |bench| {
        let first = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"book"}}"#;
        let retry = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"book","inputResponses":{"city":{}},"requestState":"opaque"}}"#;
        bench.modern(first).await;
        bench.modern(retry).await;
        let records = bench.recorded.records(4).await;
        assert_eq!(
            records.iter().map(|record| told(record, &LINKS)).collect::<Vec<_>>(),
            [
                r#"seq=1 m="tools/call" op=null op_link=null out=null"#,
                r#"seq=2 m="tools/call" op=1 op_link=null out="input_required""#,
                r#"seq=3 m="tools/call" op=1 op_link="state" out=null"#,
                r#"seq=4 m="tools/call" op=1 op_link=null out="ok""#,
            ]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_fits_two_calls_is_linked_to_neither() {
    bench("", asks, async |bench| {
        let first = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"stateless"}}"#;
        let retry = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"stateless","inputResponses":{"city":{}}}}"#;
        bench.modern(first).await;
        bench.modern(retry).await;
        bench.modern(first).await;
        bench.modern(first).await;
        bench.modern(retry).await;
        let records = bench.recorded.records(10).await;
        assert_eq!(told(&records[2], &LINKS), r#"seq=3 m="tools/call" op=1 op_link="keys" out=null"#);
        assert_eq!(told(&records[8], &LINKS), r#"seq=9 m="tools/call" op=null op_link="none" out=null"#);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_polls_of_a_task_belong_to_the_call_that_made_it() {
    bench("", asks, async |bench| {
        bench.modern(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"task"}}"#).await;
        bench.modern(r#"{"jsonrpc":"2.0","id":2,"method":"tasks/get","params":{"taskId":"t-1"}}"#).await;
        let records = bench.recorded.records(4).await;
        assert_eq!(told(&records[1], &LINKS), r#"seq=2 m="tools/call" op=1 op_link=null out="task""#);
        assert_eq!(told(&records[2], &LINKS), r#"seq=3 m="tasks/get" op=1 op_link="task" out=null"#);
        assert_eq!(records[2]["name"], "t-1");
    })
    .await;
}

/// A server that never answers a call, and tells whoever listens how far it is.
fn slow(message: &serde_json::Value) -> Said {
    match message["method"].as_str() {
        Some("initialize") => Said::Session(result(message, r#"{"protocolVersion":"2025-11-25","capabilities":{}}"#)),
        Some("tools/call") => Said::Nothing,
        Some("GET") => Said::Stream(
            "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":\"p\",\"progress\":1}}\n\n\
             data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":\"q\",\"progress\":1}}\n\n",
        ),
        _ => Said::Status(202),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_and_cancellation_in_other_exchanges_belong_to_the_call_that_they_name() {
    bench("", slow, async |bench| {
        let session = bench.session().await;
        let headers = [("mcp-session-id", session.as_str())];
        let call =
            r#"{"jsonrpc":"2.0","id":"7","method":"tools/call","params":{"name":"slow","_meta":{"progressToken":"p"}}}"#;
        let cancel = |id: &str| {
            format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#)
        };
        let telling = async {
            let call = bench.recorded.find("the call", |record| record["body"]["id"] == "7").await;
            bench.listen(&session).await.text().await.unwrap();
            bench.post(&cancel("7"), &headers).await;
            bench.post(&cancel(r#""7""#), &headers).await;
            call["seq"].clone()
        };
        let call = tokio::select! {
            call = telling => call,
            _ = bench.post(call, &headers) => panic!("nobody answers it"),
        };
        let by = |member: &'static str, value: serde_json::Value| {
            move |record: &serde_json::Value| record["body"]["params"][member] == value
        };
        let find = async |member, value| {
            let found = bench.recorded.find("what names the call", by(member, value)).await;
            told(&found, &["op", "op_link"])
        };
        let linked = format!(r#"op={call} op_link="id""#);
        assert_eq!(find("progressToken", "p".into()).await, linked);
        assert_eq!(find("requestId", "7".into()).await, linked);
        let alone = "op=null op_link=null";
        assert_eq!(find("progressToken", "q".into()).await, alone, "no call has this token");
        assert_eq!(find("requestId", 7.into()).await, alone, "an id keeps its type");
        let left = bench.recorded.find("its end", |record| record["life"] == "call_abandoned").await;
        assert_eq!(told(&left, &["re", "op", "out"]), format!(r#"re={call} op={call} out="cancelled""#));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_answers_nothing_is_told_when_it_opens_and_when_it_ends() {
    bench("", slow, async |bench| {
        let session = bench.session().await;
        bench.listen(&session).await.text().await.unwrap();
        bench.recorded.find("its end", |record| record["life"] == "listen_closed").await;
        let records = bench.recorded.records(7).await;
        let line = |record: &serde_json::Value| told(record, &["k", "dir", "op", "life"]);
        assert_eq!(
            records[2..].iter().map(line).collect::<Vec<_>>(),
            [
                r#"k="http" dir="c2s" op=null life=null"#,
                r#"k="life" dir="local" op=3 life="listen_opened""#,
                r#"k="msg" dir="s2c" op=null life=null"#,
                r#"k="msg" dir="s2c" op=null life=null"#,
                r#"k="life" dir="local" op=3 life="listen_closed""#,
            ]
        );
        assert!(records[2..].iter().all(|record| record["out"].is_null()), "no call has ended");
    })
    .await;
}
