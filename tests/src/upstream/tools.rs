//! What the scripted server's tools do.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, stream};
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::body::{Body, EVENTS, event, pieces, refuse, result, text_result, whole};
use super::ledger::{Gate, Ledger};
use super::lies;

/// Calls the tool that `message` names:
///
/// | tool | arguments | answer |
/// |---|---|---|
/// | `echo` | `message` | its text |
/// | `stream` | `events` | an event stream of that many progress notifications, each held until its gate lets it go, and the result |
/// | `flood` | `events`, `size` | the same, without a gate, as fast as the connection takes it |
/// | `hold` | | its token, held until its gate lets it go |
/// | `scripted` | | what [`Upstream::script`](super::Upstream::script) said |
/// | `ask` | | asks the client for a colour first, and answers with what it said |
/// | `numbered-N` | | its own name: a server with any number of tools |
/// | `lie` | `how` | see [`lies`] |
pub(super) async fn call(message: &Value, ledger: &Arc<Ledger>) -> Response<Body> {
    let (id, arguments) = (&message["id"], &message["params"]["arguments"]);
    let token = arguments["token"].as_str().unwrap_or_default();
    let gate = ledger.gate(token);
    match message["params"]["name"].as_str().unwrap_or_default() {
        "echo" => result(id, arguments["message"].as_str().unwrap_or(token)),
        "stream" => stream_progress(message, gate),
        "flood" => flood(message, gate),
        "hold" => {
            let _under_way = gate.enter();
            gate.pass().await;
            result(id, token)
        }
        "scripted" => match ledger.script(token) {
            Some((content_type, body)) => whole(StatusCode::OK, content_type, body),
            None => refuse(StatusCode::OK, id, "there is no script for this token"),
        },
        "ask" => ask(message, token, ledger),
        "lie" => lies::tell(arguments["how"].as_str().unwrap_or_default(), id, gate).await,
        numbered if numbered.starts_with("numbered-") => result(id, numbered),
        other => refuse(StatusCode::OK, id, &format!("there is no tool {other}")),
    }
}

fn stream_progress(message: &Value, gate: Arc<Gate>) -> Response<Body> {
    let events = message["params"]["arguments"]["events"].as_u64().unwrap_or_default();
    let (id, under_way) = (message["id"].clone(), gate.enter());
    let steps = stream::iter(1..=events).then(move |step| {
        let gate = Arc::clone(&gate);
        async move {
            gate.pass().await;
            gate.count_sent();
            Ok(event(Some(step), &progress(step, "")))
        }
    });
    let last = async move {
        drop(under_way);
        Ok(event(Some(events + 1), &text_result(&id, "done")))
    };
    pieces(EVENTS, steps.chain(last.into_stream()))
}

fn flood(message: &Value, gate: Arc<Gate>) -> Response<Body> {
    let arguments = &message["params"]["arguments"];
    let events = arguments["events"].as_u64().unwrap_or_default();
    let filling =
        "x".repeat(arguments["size"].as_u64().and_then(|size| usize::try_from(size).ok()).unwrap_or_default());
    let (id, under_way) = (message["id"].clone(), gate.enter());
    let steps = stream::iter(1..=events).map(move |step| {
        gate.count_sent();
        Ok(event(Some(step), &progress(step, &filling)))
    });
    let last = async move {
        drop(under_way);
        Ok(event(Some(events + 1), &text_result(&id, "done")))
    };
    pieces(EVENTS, steps.chain(last.into_stream()))
}

fn ask(message: &Value, token: &str, ledger: &Ledger) -> Response<Body> {
    let (answered, answer) = oneshot::channel();
    let question_id = format!("question-{token}");
    let schema = json!({ "type": "object", "properties": { "colour": { "type": "string" } } });
    let question = json!({ "jsonrpc": "2.0", "id": question_id, "method": "elicitation/create",
        "params": { "message": "Which colour?", "requestedSchema": schema } });
    ledger.with(|book| book.questions.insert(question_id, answered));
    let id = message["id"].clone();
    let asked = async move { Ok(event(None, &question)) };
    let result = async move {
        let answer = answer.await.unwrap_or_default();
        Ok(event(None, &text_result(&id, answer["content"]["colour"].as_str().unwrap_or("none"))))
    };
    pieces(EVENTS, asked.into_stream().chain(result.into_stream()))
}

fn progress(step: u64, message: &str) -> Value {
    let params = json!({ "progressToken": "t", "progress": step, "message": message });
    json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })
}
