//! How much is kept, as the recording says.

use crate::support::{Said, bench, result, told};

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"login","arguments":{"password":"hunter2-and-more","pin":"1234-5678","note":"mail ada, Bearer abcdefghijklmnopqrstuvwxyz012345"}}}"#;

fn answer(message: &serde_json::Value) -> Said {
    Said::Json(result(message, r#"{"content":[{"type":"text","text":"{\"api_key\":\"0123456789abcdef0123\"}"}]}"#))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_blotted_out_before_anything_is_kept() {
    bench(", redact: { keys: [pin] }", answer, async |bench| {
        bench.modern(CALL).await;
        let records = bench.recorded.records(2).await;
        let text = bench.recorded.text();
        for secret in ["hunter2", "1234-5678", "abcdefghijklmnop", "0123456789abcdef"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert!(text.contains("mail ada") && records[0]["red"].as_array().unwrap().len() == 3, "{text}");
        assert_eq!(records[0]["sz"], CALL.len());
        assert_eq!(records[0]["body"]["params"]["name"], "login");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_for_an_id_or_a_method_is_blotted_out_of_what_stands_beside_the_message() {
    let key = ["gh", "p_8bOfZqfM2oeq3hDavJA76rNicHTp8hkqdlm7"].concat();
    bench("", answer, async |bench| {
        let call = CALL.replace(r#""id":1"#, &format!(r#""id":"{key}""#)).replace("tools/call", &key);
        bench.modern(&call).await;
        let records = bench.recorded.records(2).await;
        let text = bench.recorded.text();
        assert!(!text.contains(&key), "{text}");
        assert_eq!((&records[0]["id"], &records[0]["m"]), (&records[1]["id"], &records[1]["m"]));
        assert_eq!(records[0]["id"], records[0]["body"]["id"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_path_takes_from_a_message_is_told_by_nothing_beside_it() {
    let call = r#"{"jsonrpc":"2.0","id":"of-ada","method":"tools/call","params":{"name":"file-of-ada","arguments":{"city":"São Paulo","town":"Bath"}}}"#;
    let headers = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-name", "file-of-ada"),
        ("mcp-method", "tools/call"),
        ("mcp-param-city", "=?base64?U8OjbyBQYXVsbw==?="),
        ("mcp-param-town", "Bath"),
    ];
    let redact = ", redact: { paths: ['$.id', '$.params.name', '$.params.arguments.city'] }";
    for kept in ["", ", capture: HEADERS", ", capture: METADATA", ", max_message: 1Ki"] {
        bench(&format!("{kept}{redact}"), answer, async |bench| {
            let padding = format!(r#""id":"of-ada","_":"{}""#, "x".repeat(2000));
            let call = if kept.contains("max") { call.replace(r#""id":"of-ada""#, &padding) } else { call.to_owned() };
            bench.post(&call, &headers).await;
            let records = bench.recorded.records(2).await;
            let text = bench.recorded.text();
            for gone in ["of-ada", "Paulo", "U8Ojb"] {
                assert!(!text.contains(gone), "{kept}: {gone}: {text}");
            }
            assert_eq!(told(&records[0], &["m", "name", "id"]), told(&records[1], &["m", "name", "id"]), "{kept}");
            assert_eq!(records[0]["m"], "tools/call");
            for tag in ["id", "name"] {
                assert!(records[0][tag].as_str().unwrap().starts_with("⟦r:"), "{kept}: {text}");
            }
            let sent = &records[0]["http"]["headers"];
            if !kept.contains("METADATA") {
                assert_eq!((&sent["mcp-name"], &sent["mcp-param-town"]), (&records[0]["name"], &"Bath".into()));
                assert!(sent["mcp-param-city"].as_str().unwrap().starts_with("⟦r:"), "{sent}");
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_its_place_makes_a_secret_is_one_in_the_header_that_repeats_it() {
    for kept in ["", ", capture: HEADERS"] {
        bench(kept, answer, async |bench| {
            let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-param-pass", "hunter2-and-more")];
            bench.post(CALL, &headers).await;
            let records = bench.recorded.records(2).await;
            assert!(!bench.recorded.text().contains("hunter2"), "{}", bench.recorded.text());
            let header = records[0]["http"]["headers"]["mcp-param-pass"].as_str().unwrap();
            assert!(header.starts_with("⟦r:"), "{header}");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_says_what_passed_without_its_content() {
    bench(", capture: METADATA", answer, async |bench| {
        bench.modern(CALL).await;
        let records = bench.recorded.records(2).await;
        assert_eq!(
            told(&records[0], &["m", "name", "sz", "body", "b64"]),
            format!(r#"m="tools/call" name="login" sz={} body=null b64=null"#, CALL.len())
        );
        assert_eq!(records[0]["http"]["headers"], serde_json::Value::Null);
        assert_eq!(told(&records[1], &["out", "body"]), r#"out="ok" body=null"#);
    })
    .await;
    bench(", capture: HEADERS, max_message: 1Ki", answer, async |bench| {
        bench.modern(CALL).await;
        let records = bench.recorded.records(2).await;
        assert_eq!(told(&records[0], &["name", "body"]), r#"name="login" body=null"#);
        assert_eq!(records[0]["http"]["headers"]["mcp-protocol-version"], "2026-07-28");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_message_beyond_the_bound_its_size_is_kept() {
    let long = format!(r#"{{"text":"{}"}}"#, "x".repeat(3000));
    let answer = move |message: &serde_json::Value| Said::Json(result(message, &long));
    bench(", max_message: 1Ki", answer, async |bench| {
        bench.modern(CALL).await;
        let records = bench.recorded.records(2).await;
        assert!(records[0]["body"].is_object() && records[1]["body"].is_null());
        assert!(records[1]["sz"].as_u64() > Some(3000) && records[1]["out"] == "ok");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tape_is_kept_whole_or_not_at_all() {
    bench(", sample_percent: 0", answer, async |bench| {
        assert_eq!(bench.modern(CALL).await.0, 200);
        assert_eq!(bench.recorded.text(), "");
    })
    .await;
    bench(", sample_percent: 50", answer, async |bench| {
        for _ in 0..64 {
            // A connection of its own, and so a tape.
            let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
            let own = crate::support::Bench { client, ..bench.again() };
            own.modern(CALL).await;
        }
        bench.recorded.records(2).await;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let records = bench.recorded.records(2).await;
        assert!(records.len().is_multiple_of(2) && (16..=112).contains(&records.len()), "{}", records.len());
    })
    .await;
}
