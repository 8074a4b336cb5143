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
