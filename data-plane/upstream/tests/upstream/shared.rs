//! One child for all sessions.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use shadowcat_upstream::{Upstream, Why};

use crate::support::{
    Events, ask, delete, events, get, group_lives, message, open, pid, post, python, request, shared, until, upstream,
    with_token,
};

#[tokio::test]
async fn sessions_share_one_child_that_is_initialized_once() {
    let upstream = upstream(shared(python()));
    let ((first, one), (second, other)) = (open(&upstream).await, open(&upstream).await);
    assert_eq!(one, other);
    assert_ne!(first, second);
    for session in [&first, &second] {
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(upstream.call(post(&ready, Some(session))).await.expect("accepted").status(), StatusCode::ACCEPTED);
    }
    let heard = ask(&upstream, &first, &request(1, "heard", &json!({}))).await;
    assert_eq!(heard["result"]["heard"].as_array().expect("a list").len(), 1);
    assert_eq!(upstream.status().children, 1);
}

#[tokio::test]
async fn clients_that_come_at_the_same_time_initialize_the_child_once() {
    let upstream = upstream(shared(python()));
    let ((_, one), (_, other), (_, third)) = tokio::join!(open(&upstream), open(&upstream), open(&upstream));
    assert!(one == other && other == third);
    assert_eq!(upstream.status().children, 1);
}

#[tokio::test]
async fn equal_ids_and_tokens_of_two_sessions_do_not_meet() {
    let upstream = upstream(shared(python()));
    let ((first, _), (second, _)) = (open(&upstream).await, open(&upstream).await);
    let call = with_token(1, "progress", "t", 3);
    let (one, other) =
        tokio::join!(upstream.call(post(&call, Some(&first))), upstream.call(post(&call, Some(&second))));
    for response in [one, other] {
        let all = events(response.expect("an answer")).await;
        assert_eq!(all.len(), 4);
        assert!(all[..3].iter().all(|event| event["params"]["progressToken"] == "t"));
        assert_eq!(all[3]["id"], 1);
    }
}

#[tokio::test]
async fn a_cancellation_names_the_request_as_the_child_knows_it() {
    let upstream = upstream(shared(python()));
    let (session, _) = open(&upstream).await;
    let never = upstream.call(post(&request(41, "never", &json!({})), Some(&session)));
    let cancelling = async {
        until("the call is under way", || upstream.status().in_flight == 1).await;
        let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 41}});
        upstream.call(post(&cancel, Some(&session))).await.expect("accepted");
        ask(&upstream, &session, &request(42, "heard", &json!({}))).await
    };
    let heard = tokio::select! {
        heard = cancelling => heard,
        _ = never => panic!("answered"),
    };
    let cancelled = &heard["result"]["heard"][0]["params"]["requestId"];
    assert!(cancelled.is_u64() && cancelled != 41, "{heard}");
}

#[tokio::test]
async fn questions_of_the_child_are_refused_but_its_pings_are_answered() {
    let upstream = upstream(shared(python()));
    let (session, _) = open(&upstream).await;
    let refused = ask(&upstream, &session, &request(1, "question", &json!({}))).await;
    assert_eq!(refused["result"]["reply"]["code"], -32601);
    let answered = ask(&upstream, &session, &request(2, "ping-back", &json!({}))).await;
    assert_eq!(answered["result"]["reply"], json!({}));
}

#[tokio::test]
async fn what_comes_unasked_goes_to_every_open_stream() {
    let upstream = upstream(shared(python()));
    let ((first, _), (second, _)) = (open(&upstream).await, open(&upstream).await);
    let mut one = Events::of(upstream.call(get(&first)).await.expect("a stream"));
    let mut other = Events::of(upstream.call(get(&second)).await.expect("a stream"));
    ask(&upstream, &first, &request(1, "unasked", &json!({"count": 1}))).await;
    assert_eq!(one.next_message().await["params"]["n"], 0);
    assert_eq!(other.next_message().await["params"]["n"], 0);
}

#[tokio::test]
async fn a_slow_reader_is_cut_off_and_the_others_do_not_feel_it() {
    let upstream = upstream(shared(python()));
    let ((slow, _), (other, _)) = (open(&upstream).await, open(&upstream).await);
    let call = post(&with_token(1, "progress", "t", 5_000), Some(&slow));
    let mut unread = Events::of(upstream.call(call).await.expect("a stream"));
    ask(&upstream, &other, &request(1, "echo", &json!({}))).await;
    let error = loop {
        match unread.next().await.expect("an end with a reason") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.why, Why::Overloaded);
}

#[tokio::test]
async fn sessions_end_with_the_child_and_the_next_one_starts_anew() {
    let upstream = upstream(shared(python()));
    let ((first, child), (second, _)) = (open(&upstream).await, open(&upstream).await);
    let error = upstream.call(post(&request(1, "die", &json!({})), Some(&first))).await.expect_err("a death");
    assert!(error.detail.contains("last words"), "{}", error.detail);
    let after = upstream.call(post(&request(2, "echo", &json!({})), Some(&second))).await.expect("an answer");
    assert_eq!(after.status(), StatusCode::NOT_FOUND);
    let (_, successor) = open(&upstream).await;
    assert_ne!(child, successor);
}

#[tokio::test]
async fn delete_ends_a_session_and_leaves_the_child_to_the_others() {
    let upstream = upstream(shared(python()));
    let ((first, child), (second, _)) = (open(&upstream).await, open(&upstream).await);
    assert_eq!(upstream.call(delete(&first)).await.expect("an answer").status(), StatusCode::NO_CONTENT);
    assert_eq!(upstream.call(get(&first)).await.expect("an answer").status(), StatusCode::NOT_FOUND);
    let answer = ask(&upstream, &second, &request(1, "echo", &json!({}))).await;
    assert_eq!(pid(&answer["result"]), child);
}

#[tokio::test]
async fn calls_without_a_session_are_served_and_subscriptions_refused() {
    let upstream = upstream(shared(python()));
    let answer = message(upstream.call(post(&request(9, "echo", &json!({})), None)).await.expect("an answer")).await;
    assert_eq!(answer["id"], 9);
    let call = post(&request(10, "subscriptions/listen", &json!({})), None);
    let refused = message(upstream.call(call).await.expect("an answer")).await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(10), &json!(-32601)));
}

#[tokio::test]
async fn an_unused_child_is_stopped() {
    let mut settings = shared(python());
    settings.stop_when_idle_for = Duration::from_millis(200);
    let upstream = upstream(settings);
    let (session, child) = open(&upstream).await;
    until("the child is gone", || !group_lives(child)).await;
    let after = upstream.call(post(&request(1, "echo", &json!({})), Some(&session))).await.expect("an answer");
    assert_eq!(after.status(), StatusCode::NOT_FOUND);
}
