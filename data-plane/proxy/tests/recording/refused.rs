//! Calls that do not go well: both what came and what was said instead are there.

use crate::support::{Said, bench, result, told};

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_message_is_recorded_as_it_came_with_the_refusal() {
    bench(
        "",
        |_| Said::Status(500),
        async |bench| {
            assert_eq!(bench.modern("{\"jsonrpc\":\"2.0\",\n").await.0, 400);
            let records = bench.recorded.records(2).await;
            assert_eq!(told(&records[0], &["k", "dir", "b64"]), r#"k="raw" dir="c2s" b64="eyJqc29ucnBjIjoiMi4wIiwK""#);
            assert_eq!(
                told(&records[1], &["k", "dir", "stage", "re", "out", "code"]),
                r#"k="msg" dir="s2c" stage="tx" re=1 out="refused" code=-32700"#
            );
            assert_eq!(bench.calls(), 0);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_none_is_recorded_beside_what_the_client_was_told() {
    let lies = |_: &serde_json::Value| Said::Json(r#"{"jsonrpc":"2.0","id":"other","result":{}}"#.to_owned());
    bench("", lies, async |bench| {
        assert_eq!(bench.modern(LIST).await.0, 502);
        let records = bench.recorded.records(3).await;
        assert_eq!(told(&records[1], &["k", "stage", "op", "out"]), r#"k="raw" stage="rx" op=1 out=null"#);
        assert_eq!(records[1]["body"]["id"], "other");
        assert_eq!(
            told(&records[2], &["k", "stage", "re", "out", "code", "id"]),
            r#"k="msg" stage="tx" re=1 out="failed" code=-31003 id=1"#
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_the_server_are_told_by_their_code() {
    let fails = |message: &serde_json::Value| {
        Said::Json(format!(r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32602,"message":"no"}}}}"#, message["id"]))
    };
    bench("", fails, async |bench| {
        bench.modern(LIST).await;
        let records = bench.recorded.records(2).await;
        assert_eq!(told(&records[1], &["stage", "out", "code"]), r#"stage="rx" out="rpc_error" code=-32602"#);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_must_be_recorded_is_refused_while_it_cannot_be() {
    let answer = |message: &serde_json::Value| Said::Json(result(message, "{}"));
    bench(", on_overflow: REQUIRED", answer, async |bench| {
        assert_eq!(bench.modern(LIST).await.0, 200);
        bench.recorded.records(2).await;
        bench.recorded.fail();
        let refused = async { while bench.modern(LIST).await.0 != 503 {} };
        tokio::time::timeout(std::time::Duration::from_secs(20), refused).await.expect("it is refused");
        let before = bench.calls();
        let (status, text) = bench.modern(LIST).await;
        assert!(status == 503 && text.contains("-31004") && text.contains("must be recorded"), "{text}");
        assert_eq!(bench.calls(), before, "it was not run");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_whose_end_must_be_recorded_lasts_while_it_cannot_be() {
    let answer = |message: &serde_json::Value| {
        Said::Session(result(
            message,
            r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}"#,
        ))
    };
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
    bench(", on_overflow: REQUIRED", answer, async |bench| {
        let opened = bench.send(initialize, &[]).await;
        let session = opened.headers()["mcp-session-id"].clone();
        bench.recorded.records(2).await;
        bench.recorded.fail();
        let refused = async { while bench.modern(LIST).await.0 != 503 {} };
        tokio::time::timeout(std::time::Duration::from_secs(20), refused).await.expect("it is refused");
        let before = bench.calls();
        let delete = async || {
            let request = bench.client.delete(&bench.url).header("mcp-session-id", session.clone());
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        };
        let (status, text) = delete().await;
        assert!(status == 503 && text.contains("must be recorded"), "{status}: {text}");
        assert_eq!(bench.calls(), before, "the server was told nothing");
        bench.recorded.mend();
        let ends = async {
            loop {
                let known = bench.recorded.records(0).await.len();
                let (status, text) = delete().await;
                if status == 204 {
                    return;
                }
                assert!(status == 503, "it is still there: {status}: {text}");
                // Refusals are recorded too, and a client that does not wait for that keeps the recorder from catching up.
                bench.recorded.records(known + 2).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), ends).await.expect("it ends");
    })
    .await;
}
