//! Servers that are child processes: what they do and say beside their answers.

use serde_json::Value;

use crate::support::{child_bench, child_config, told};

const LIST: &str = r#"{"jsonrpc":"2.0","id":"mine","method":"tools/list"}"#;
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;

/// Says things that are none of anybody's business, answers whatever comes under the id it came with, and ends at the end of its input.
const INDISCREET: &str = r#"
    echo 'Welcome, Bearer abcdefghijklmnopqrstuvwxyz012345'
    echo 'password=hunter2-and-more' >&2
    echo '-----BEGIN PRIVATE KEY-----' >&2
    echo 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCMIIEvQIBADANBgkqhkiG9w0BAQEFAASC' >&2
    echo '-----END PRIVATE KEY-----' >&2
    echo 'ready' >&2
    while read -r line; do
        id=$(printf '%s' "$line" | sed -n 's/.*"id":\("[^"]*"\|[0-9]*\).*/\1/p')
        [ -n "$id" ] && printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}\n' "$id"
        case $line in *die*) echo 'token: last-words-0123456789' >&2; exit 3;; esac
    done
"#;

const SECRETS: [&str; 5] = ["abcdefghijkl", "hunter2", "MIIEvQ", "argv-secret", "last-words"];

fn is(record: &Value, kind: &str, text: &str) -> bool {
    record["k"] == kind && record["text"].as_str().is_some_and(|told| told.contains(text))
}

fn lives(record: &Value, what: &str) -> bool {
    record["k"] == "life" && record["life"] == what
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_life_of_a_child_is_recorded_without_its_secrets() {
    child_bench("", ("", INDISCREET), async |bench| {
        bench.modern(&LIST.replace("tools/list", "die")).await;
        let recorded = &bench.recorded;
        let exited = recorded.find("the end", |record| lives(record, "exited")).await;
        assert_eq!(exited["text"], "exit status: 3");
        let spawned = recorded.find("the start", |record| lives(record, "spawned")).await;
        let command = spawned["text"].as_str().unwrap();
        assert!(command.starts_with("pid ") && command.contains(": sh -c"), "{command}");
        let stray = recorded.find("a stray line", |record| is(record, "raw", "Welcome, Bearer ⟦r:")).await;
        let heard = recorded.find("a word of stderr", |record| is(record, "stderr", "ready")).await;
        let key = recorded.find("a key", |record| is(record, "stderr", "⟦r:pem:")).await;
        assert_eq!(told(&key, &["dir", "stage", "sz", "session"]), r#"dir="s2c" stage="rx" sz=64 session=null"#);
        let (tape, text) = (heard["tape"].as_str().unwrap(), recorded.text());
        assert!(tape.starts_with("u-u-") && tape.len() == tape.rfind('-').unwrap() + 9, "{tape}");
        for record in [&exited, &spawned, &stray, &key] {
            assert_eq!(record["tape"], tape);
            assert_eq!(
                told(record, &["recording", "upstream", "endpoint"]),
                r#"recording="all" upstream="u" endpoint="sh""#
            );
        }
        assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "{text}");
        assert_eq!(recorded.lost(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_words_of_a_child_are_on_the_tape_of_its_session() {
    let late = r#"read -r one; echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}'; read -r two; echo noted >&2; cat"#;
    child_bench("", ("", late), async |bench| {
        let opened = bench.send(INITIALIZE, &[]).await;
        let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        let noted = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        bench.post(noted, &[("mcp-session-id", &session)]).await;
        let words = bench.recorded.find("its words", |record| is(record, "stderr", "noted")).await;
        assert_eq!((&words["tape"], &words["session"]), (&session[..8].into(), &session[..8].into()));
        let linked = bench.recorded.find("the link", |record| lives(record, "session")).await;
        let first = bench.recorded.find("the request", |record| record["m"] == "initialize").await;
        assert!(linked["tape"].as_str().unwrap().starts_with("u-u-"), "{linked}");
        assert_eq!((&linked["xchg"], &first["tape"]), (&first["xchg"], &words["tape"]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_a_shared_child_is_recorded_on_both_sides() {
    child_bench("", (", sharing: SHARED", INDISCREET), async |bench| {
        let (status, answer) = bench.modern(LIST).await;
        assert!(status == 200 && answer.contains(r#""id":"mine""#), "{answer}");
        let asked = bench.recorded.find("the request", |record| record["id"] == "mine" && record["dir"] == "c2s").await;
        let sent = bench.recorded.find("what was sent on", |record| record["dir"] == "c2s" && record["id"] == 1).await;
        assert_eq!(
            told(&sent, &["k", "stage", "m", "of", "op", "xchg", "out"]),
            format!(
                r#"k="msg" stage="tx" m="tools/list" of={0} op={0} xchg={1} out=null"#,
                asked["seq"], asked["xchg"]
            )
        );
        assert_eq!((&sent["body"]["id"], &sent["body"]["method"]), (&1.into(), &"tools/list".into()));
        let came = bench.recorded.find("what came", |record| record["dir"] == "s2c" && record["id"] == 1).await;
        assert_eq!(
            told(&came, &["stage", "op", "xchg", "re"]),
            format!(r#"stage="rx" op={} xchg={} re=null"#, asked["seq"], asked["xchg"])
        );
        assert_eq!(came["tape"], sent["tape"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_path_takes_from_a_message_is_not_told_of_what_a_shared_child_is_sent() {
    for kept in ["", ", capture: METADATA"] {
        let recording = format!("{kept}, redact: {{ paths: ['$.params.name'] }}");
        child_bench(&recording, (", sharing: SHARED", INDISCREET), async |bench| {
            let call = r#"{"jsonrpc":"2.0","id":"mine","method":"tools/call","params":{"name":"file-of-ada"}}"#;
            assert_eq!(bench.modern(call).await.0, 200);
            let is_sent = |record: &Value| record["stage"] == "tx" && record["m"] == "tools/call";
            let sent = bench.recorded.find("what was sent on", is_sent).await;
            let asked = bench.recorded.find("the request", |record| record["id"] == "mine").await;
            assert!(sent["name"].as_str().unwrap().starts_with("⟦r:") && sent["name"] == asked["name"], "{sent}");
            assert!(!bench.recorded.text().contains("file-of-ada"), "{}", bench.recorded.text());
        })
        .await;
    }
}

/// Lines that a child says at once: several times what may wait. Each is longer than a hundredth of a pipe, so that most of them have
/// been read before the last is written.
const LINES: u64 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_talks_faster_than_is_written_costs_no_call_its_record() {
    let line = "nothing to see here, ".repeat(32);
    let talker = format!("yes '{line}' | head -n {LINES} >&2; {INDISCREET}");
    child_bench("", ("", &talker), async |bench| {
        bench.recorded.hold();
        for number in 0..20 {
            assert_eq!(bench.modern(&LIST.replace("mine", &format!("call-{number}"))).await.0, 200);
        }
        bench.recorded.release();
        for number in 0..20 {
            let id = format!("call-{number}");
            bench.recorded.find(&id, |record| record["id"] == *id && record["out"] == "ok").await;
        }
        let lost = bench.recorded.lost();
        assert!(lost.iter().all(|(_, why)| why == "children_full"), "{lost:?}");
        let missing: u64 = lost.iter().map(|(frames, _)| frames).sum();
        assert!((LINES / 2..LINES).contains(&missing), "{missing}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_says_that_a_child_spoke_and_not_what() {
    child_bench(", capture: METADATA", ("", INDISCREET), async |bench| {
        bench.modern(LIST).await;
        let words = bench.recorded.find("its words", |record| record["k"] == "stderr").await;
        assert_eq!(told(&words, &["sz", "text", "body"]), "sz=25 text=null body=null");
        let stray = bench.recorded.find("a stray line", |record| record["k"] == "raw").await;
        assert_eq!(told(&stray, &["sz", "text", "b64"]), "sz=48 text=null b64=null");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_error_that_reports_a_death_holds_no_secret() {
    let script = "read line; echo 'cannot log in with password=hunter2-and-more' >&2; exit 1";
    child_bench("", ("", script), async |bench| {
        let (status, answer) = bench.modern(LIST).await;
        assert!(status == 502 && answer.contains("cannot log in") && !answer.contains("hunter2"), "{answer}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_lives_on_is_recorded_as_the_newest_configuration_says() {
    let script = r#"n=0; while read -r line; do n=$((n + 1)); echo "call $n" >&2; echo '{"jsonrpc":"2.0","id":"mine","result":{}}'; done"#;
    let stdio = ("", script);
    child_bench("", stdio, async |bench| {
        bench.modern(LIST).await;
        bench.recorded.find("the first", |record| is(record, "stderr", "call 1")).await;
        bench.control.reload(child_config(None, stdio)).await.unwrap();
        bench.modern(LIST).await;
        // Once this is answered, what the child said of the call before has been read.
        bench.modern(LIST).await;
        bench.control.reload(child_config(Some(""), stdio)).await.unwrap();
        bench.modern(LIST).await;
        bench.recorded.find("the fourth", |record| is(record, "stderr", "call 4")).await;
        assert!(!bench.recorded.text().contains("call 2"), "{}", bench.recorded.text());
        let began = bench.recorded.text().matches(r#""life":"spawned""#).count();
        assert_eq!(began, 1, "it was one child all along");
    })
    .await;
}
