//! How a child's messages find their way, and how its failures are told.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use serde_json::json;
use shadowcat_upstream::reaper::Reaper;
use shadowcat_upstream::{Stage, StdioUpstream, Upstream, UpstreamMetrics, Why};

use crate::support::{
    Count, Events, Process, ask, at_rest, body, delete, events, get, message, open, pid, post, post_text, python,
    request, settings, until, upstream, with_token,
};

#[tokio::test]
async fn calls_of_a_session_reach_the_child_that_was_initialized() {
    let upstream = upstream(settings(python()));
    let (session, child) = open(&upstream).await;
    let answer = ask(&upstream, &session, &request(1, "echo", &json!({"text": "hello"}))).await;
    assert_eq!(pid(&answer["result"]), child);
    assert_eq!(answer["result"]["params"]["text"], "hello");
}

#[tokio::test]
async fn two_sessions_have_two_children_and_unguessable_ids() {
    let upstream = upstream(settings(python()));
    let ((first, one), (second, other)) = (open(&upstream).await, open(&upstream).await);
    assert_ne!(one, other);
    assert_ne!(first, second);
    assert_eq!(first.len(), 22);
}

#[tokio::test]
async fn a_refused_initialize_opens_no_session() {
    let upstream = upstream(settings(vec![
        "sh".into(),
        "-c".into(),
        r#"read line; echo '{"jsonrpc":"2.0","id":0,"error":{"code":-32602,"message":"no"}}'; cat"#.into(),
    ]));
    let response = upstream.call(post(&request(0, "initialize", &json!({})), None)).await.expect("an answer");
    assert!(!response.headers().contains_key("mcp-session-id"));
    assert_eq!(message(response).await["error"]["message"], "no");
    until("the child is gone", || upstream.status().children == 0).await;
}

#[tokio::test]
async fn progress_makes_an_answer_a_stream_that_ends_with_the_response() {
    let upstream = upstream(settings(python()));
    let (session, _) = open(&upstream).await;
    let call = post(&with_token(1, "progress", "t", 3), Some(&session));
    let all = events(upstream.call(call).await.expect("an answer")).await;
    assert_eq!(all.len(), 4);
    assert!(all[..3].iter().all(|event| event["params"]["progressToken"] == "t"));
    assert_eq!(all[3]["result"]["done"], true);
    assert_eq!(upstream.status().in_flight, 0);
}

#[tokio::test]
async fn a_question_goes_to_the_call_in_flight_and_its_answer_back_to_the_server() {
    let upstream = upstream(settings(python()));
    let (session, _) = open(&upstream).await;
    let call = post(&request(1, "question", &json!({})), Some(&session));
    let mut stream = Events::of(upstream.call(call).await.expect("an answer"));
    let question = stream.next_message().await;
    assert_eq!(question["method"], "roots/list");
    let reply = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"roots": []}});
    let accepted = upstream.call(post(&reply, Some(&session))).await.expect("accepted");
    assert_eq!(accepted.status(), StatusCode::ACCEPTED);
    assert_eq!(stream.next_message().await["result"]["reply"]["roots"], json!([]));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn what_comes_unasked_goes_to_the_get_stream() {
    let upstream = upstream(settings(python()));
    let (session, _) = open(&upstream).await;
    let mut stream = Events::of(upstream.call(get(&session)).await.expect("a stream"));
    ask(&upstream, &session, &request(1, "unasked", &json!({"count": 2}))).await;
    assert_eq!(stream.next_message().await["params"]["n"], 0);
    assert_eq!(stream.next_message().await["params"]["n"], 1);
}

#[tokio::test]
async fn the_backlog_keeps_the_last_64_messages_and_counts_the_others() {
    let (dropped, dropped_messages) = Count::new();
    let metrics = UpstreamMetrics { dropped_messages, ..UpstreamMetrics::default() };
    let upstream = StdioUpstream::new(settings(python()), Reaper::absent(), metrics);
    let (session, _) = open(&upstream).await;
    ask(&upstream, &session, &request(1, "unasked", &json!({"count": 70}))).await;
    until("six messages fell out", || dropped.get() == 6).await;
    let mut stream = Events::of(upstream.call(get(&session)).await.expect("a stream"));
    for n in 6..70 {
        assert_eq!(stream.next_message().await["params"]["n"], n);
    }
}

#[tokio::test]
async fn a_newer_get_stream_takes_over_from_an_older_one() {
    let upstream = upstream(settings(python()));
    let (session, _) = open(&upstream).await;
    let mut older = Events::of(upstream.call(get(&session)).await.expect("a stream"));
    let mut newer = Events::of(upstream.call(get(&session)).await.expect("a stream"));
    assert!(older.next().await.is_none());
    ask(&upstream, &session, &request(1, "unasked", &json!({"count": 1}))).await;
    assert_eq!(newer.next_message().await["params"]["n"], 0);
}

/// What may lie between a child and a reader that does not read, in bytes: the pipe's 64 KiB, the stream's 64 messages of the
/// size below, and a few in the hands of those who carry them.
const HELD_MAX: u64 = 1024 * 1024;

#[tokio::test]
async fn a_reader_that_does_not_read_holds_the_child_back_and_loses_nothing() {
    const MESSAGES: usize = 2_000;
    let upstream = upstream(settings(python()));
    let (session, child) = open(&upstream).await;
    let child = Process(child);
    let params = json!({"count": MESSAGES, "pad": "x".repeat(8 * 1024), "_meta": {"progressToken": "t"}});
    let response = upstream.call(post(&request(1, "progress", &params), Some(&session))).await.expect("an answer");
    let written = at_rest("what the child writes", || child.waits().then(|| child.written())).await;
    assert!(written < HELD_MAX, "the child has written {written} bytes that nobody reads");

    let mut stream = Events::of(response);
    for n in 0..MESSAGES / 2 {
        assert_eq!(stream.next_message().await["params"]["progress"], n);
    }
    until("the child writes on", || child.written() > written).await;
    for n in MESSAGES / 2..MESSAGES {
        assert_eq!(stream.next_message().await["params"]["progress"], n);
    }
    assert_eq!(stream.next_message().await["result"]["done"], true);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_death_is_told_by_the_call_that_met_it_with_status_and_last_words() {
    let upstream = upstream(settings(python()));
    let (session, _) = open(&upstream).await;
    let error = upstream.call(post(&request(1, "die", &json!({})), Some(&session))).await.expect_err("a death");
    assert_eq!((error.stage, error.why, error.sent), (Stage::FirstByte, Why::Unreachable, true));
    assert!(error.detail.contains("exit status: 3") && error.detail.contains("last words"), "{}", error.detail);
    let after = upstream.call(post(&request(2, "echo", &json!({})), Some(&session))).await.expect("an answer");
    assert_eq!(after.status(), StatusCode::NOT_FOUND);
    assert!(!upstream.status().reachable);
}

#[tokio::test]
async fn a_death_between_calls_is_told_once_and_then_the_session_is_unknown() {
    let upstream = upstream(settings(python()));
    let (session, child) = open(&upstream).await;
    ask(&upstream, &session, &request(1, "answer-and-die", &json!({}))).await;
    until("the failure is known", || !upstream.status().reachable).await;
    assert!(!crate::support::group_lives(child));
    let error = upstream.call(post(&request(2, "echo", &json!({})), Some(&session))).await.expect_err("a death");
    assert_eq!((error.stage, error.why, error.sent), (Stage::Write, Why::Unreachable, false));
    let after = upstream.call(post(&request(3, "echo", &json!({})), Some(&session))).await.expect("an answer");
    assert_eq!(after.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_stream_whose_child_dies_ends_with_the_death() {
    let upstream = upstream(settings(python()));
    let (session, child) = open(&upstream).await;
    let call = post(&with_token(1, "stall", "t", 1), Some(&session));
    let mut stream = Events::of(upstream.call(call).await.expect("an answer"));
    stream.next_message().await;
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(child).expect("a process id"),
        rustix::process::Signal::KILL,
    )
    .expect("killed");
    let error = stream.next().await.expect("an end with a reason").expect_err("a death");
    assert_eq!((error.stage, error.why), (Stage::Body, Why::Unreachable));
    assert!(error.detail.contains("signal: 9"), "{}", error.detail);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_child_that_never_answers_is_given_up_on_and_told_so() {
    let mut settings = settings(python());
    // Twice what a Python needs to start on a busy machine: its own first answer is timed, too.
    settings.first_byte = Duration::from_secs(3);
    let upstream = upstream(settings);
    let (session, _) = open(&upstream).await;
    let error = upstream.call(post(&request(7, "never", &json!({})), Some(&session))).await.expect_err("silence");
    assert_eq!((error.stage, error.why, error.sent), (Stage::FirstByte, Why::TimedOut, true));
    let heard = ask(&upstream, &session, &request(8, "heard", &json!({}))).await;
    assert_eq!(heard["result"]["heard"][0]["params"]["requestId"], 7);
}

#[tokio::test]
async fn a_stream_that_stalls_is_broken_off() {
    let mut settings = settings(python());
    settings.idle = Duration::from_millis(200);
    let upstream = upstream(settings);
    let (session, _) = open(&upstream).await;
    let call = post(&with_token(1, "stall", "t", 1), Some(&session));
    let mut stream = Events::of(upstream.call(call).await.expect("an answer"));
    stream.next_message().await;
    let error = stream.next().await.expect("an end with a reason").expect_err("a stall");
    assert_eq!((error.stage, error.why), (Stage::Body, Why::TimedOut));
}

#[tokio::test]
async fn a_line_beyond_the_cap_is_a_breach_of_protocol_and_ends_the_child() {
    let upstream = upstream(settings(python()));
    let (session, child) = open(&upstream).await;
    let error = upstream.call(post(&request(1, "giant", &json!({})), Some(&session))).await.expect_err("too long");
    assert_eq!(error.why, Why::BrokeProtocol);
    until("the child is gone", || !crate::support::group_lives(child)).await;
}

#[tokio::test]
async fn lines_that_are_no_messages_are_skipped_and_counted() {
    let (skipped, skipped_lines) = Count::new();
    let metrics = UpstreamMetrics { skipped_lines, ..UpstreamMetrics::default() };
    let upstream = StdioUpstream::new(settings(python()), Reaper::absent(), metrics);
    let (session, child) = open(&upstream).await;
    let answer = ask(&upstream, &session, &request(1, "banner", &json!({}))).await;
    assert_eq!(pid(&answer["result"]), child);
    assert_eq!(skipped.get(), 2);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_fails_its_call_at_once_and_no_other() {
    let upstream = upstream(settings(python()));
    let (session, _) = open(&upstream).await;
    let error = upstream.call(post(&request(1, "twice", &json!({})), Some(&session))).await.expect_err("ambiguous");
    assert_eq!((error.stage, error.why, error.sent), (Stage::FirstByte, Why::BrokeProtocol, true));
    assert!(error.detail.contains("\"result\" occurs twice"), "{}", error.detail);
    ask(&upstream, &session, &request(2, "echo", &json!({}))).await;
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_named() {
    let upstream = upstream(settings(vec!["no-such-server".to_owned()]));
    let error = upstream.call(post(&request(0, "initialize", &json!({})), None)).await.expect_err("no program");
    assert_eq!((error.stage, error.why, error.sent), (Stage::Spawn, Why::Unreachable, false));
    assert!(error.detail.contains("`no-such-server`"), "{}", error.detail);
    assert_eq!(upstream.status().children, 0);
}

#[tokio::test]
async fn a_program_that_fails_to_start_tells_why_in_the_first_call() {
    let upstream = upstream(settings(crate::support::shell("echo 'missing module' >&2; exit 127")));
    let error = upstream.call(post(&request(0, "initialize", &json!({})), None)).await.expect_err("a death");
    assert!(error.detail.contains("exit status: 127") && error.detail.contains("missing module"), "{}", error.detail);
}

#[tokio::test]
async fn a_message_of_several_lines_reaches_the_child_as_one() {
    let upstream = upstream(settings(python()));
    let (session, _) = open(&upstream).await;
    let text = "{\n  \"jsonrpc\": \"2.0\",\r\n  \"id\": 5,\n  \"method\": \"echo\"\n}\n";
    let answer = message(upstream.call(post_text(text, Some(&session))).await.expect("an answer")).await;
    assert_eq!(answer["id"], 5);
}

#[tokio::test]
async fn messages_pass_byte_for_byte() {
    let upstream = upstream(settings(crate::support::shell("cat")));
    let response = upstream.call(post(&request(0, "initialize", &json!({})), None));
    // `cat` sends the request back: a question in the eyes of the adapter, which opens a stream for it.
    let stream = body_start(response.await.expect("an answer")).await;
    assert_eq!(stream, format!("data: {}\n\n", request(0, "initialize", &json!({}))));
}

async fn body_start(response: http::Response<shadowcat_upstream::UpstreamBody>) -> String {
    use http_body_util::BodyExt;
    let frame = response.into_body().frame().await.expect("a frame").expect("no failure");
    String::from_utf8(frame.into_data().expect("data").to_vec()).expect("text")
}

#[tokio::test]
async fn a_second_request_with_an_id_in_flight_is_refused() {
    let upstream = upstream(settings(python()));
    let (session, _) = open(&upstream).await;
    let first = upstream.call(post(&request(1, "wait", &json!({"seconds": 0.3})), Some(&session)));
    let second = async {
        until("the first is under way", || upstream.status().in_flight == 1).await;
        upstream.call(post(&request(1, "echo", &json!({})), Some(&session))).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.expect("an answer").status(), StatusCode::OK);
    let second = second.expect("a refusal");
    assert_eq!(second.status(), StatusCode::BAD_REQUEST);
    assert!(std::str::from_utf8(&body(second).await).expect("text").contains("-32600"));
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_disturb_the_child() {
    let (dropped, dropped_messages) = Count::new();
    let metrics = UpstreamMetrics { dropped_messages, ..UpstreamMetrics::default() };
    let upstream = StdioUpstream::new(settings(python()), Reaper::absent(), metrics);
    let (session, child) = open(&upstream).await;
    let abandoned = upstream.call(post(&request(1, "wait", &json!({"seconds": 0.3})), Some(&session)));
    assert!(tokio::time::timeout(Duration::from_millis(50), abandoned).await.is_err());
    let answer = ask(&upstream, &session, &request(2, "echo", &json!({}))).await;
    assert_eq!(pid(&answer["result"]), child);
    assert_eq!(dropped.get(), 1);
}

#[tokio::test]
async fn unknown_sessions_and_streams_without_one_are_refused() {
    let upstream = upstream(settings(python()));
    let forged = HeaderValue::from_static("forged");
    for call in [post(&request(1, "echo", &json!({})), Some(&forged)), get(&forged), delete(&forged)] {
        assert_eq!(upstream.call(call).await.expect("an answer").status(), StatusCode::NOT_FOUND);
    }
    let mut without = get(&forged);
    without.session = None;
    assert_eq!(upstream.call(without).await.expect("an answer").status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(upstream.status().children, 0);
}
