//! What a server must not do, done.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future, stream};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::body::{Body, EVENTS, JSON, event, pieces, text_result, whole};
use super::ledger::Gate;

/// More than any limit of a gateway on one message.
const HUGE_BYTES: usize = 80 * 1024 * 1024;

/// One piece of something huge.
const PIECE_BYTES: usize = 64 * 1024;

/// Between two pieces: long enough that each leaves by itself, and often enough that no idle time-out ends a stream.
const DRIP: Duration = Duration::from_millis(50);

/// Answers the request `id` with the lie named `how`.
pub(super) async fn tell(how: &str, id: &Value, gate: Arc<Gate>) -> Response<Body> {
    let truth = text_result(id, "true").to_string();
    match how {
        "half a JSON text" => whole(StatusCode::OK, JSON, truth[..truth.len() / 2].to_owned()),
        "not JSON-RPC" => whole(StatusCode::OK, JSON, r#"{"hello":"world"}"#),
        "another id" => whole(StatusCode::OK, JSON, text_result(&json!("somebody else's"), "true").to_string()),
        "another media type" => whole(StatusCode::OK, "text/html", "<p>it works</p>"),
        "an HTML error" => whole(StatusCode::INTERNAL_SERVER_ERROR, "text/html", "<h1>500</h1>"),
        "silence" => {
            let _under_way = gate.enter();
            future::pending().await
        }
        "silence in mid-body" => pieces(JSON, now(truth[..8].to_owned()).chain(forever(&gate))),
        "a body that breaks off" => pieces(JSON, now(truth[..8].to_owned()).chain(broken())),
        "a huge body" => pieces(JSON, now("[\"").chain(filling(&gate))),
        "a huge event" => pieces(EVENTS, now("data: ").chain(filling(&gate))),
        "a stream without an answer" => pieces(EVENTS, stream::iter([Ok(event(None, &notification()))])),
        "a stream of no JSON" => pieces(EVENTS, now("data: {\"jsonrpc\":\n\n")),
        "a stream that breaks off" => pieces(EVENTS, stream::iter([Ok(event(None, &notification()))]).chain(broken())),
        "a stream that never ends" => pieces(EVENTS, drip(&gate)),
        "a stream that falls silent" => {
            pieces(EVENTS, stream::iter([Ok(event(None, &notification()))]).chain(forever(&gate)))
        }
        other => panic!("there is no lie named {other}"),
    }
}

type Pieces = stream::BoxStream<'static, io::Result<Bytes>>;

fn now(bytes: impl Into<Bytes>) -> Pieces {
    let bytes = bytes.into();
    async move { Ok(bytes) }.into_stream().boxed()
}

/// Nothing more, for as long as somebody reads.
fn forever(gate: &Arc<Gate>) -> Pieces {
    let under_way = gate.enter();
    async move {
        let _under_way = under_way;
        future::pending().await
    }
    .into_stream()
    .boxed()
}

/// An end without an end, once what came before it has left.
fn broken() -> Pieces {
    async {
        tokio::time::sleep(DRIP).await;
        Err(io::Error::other("this server breaks off"))
    }
    .into_stream()
    .boxed()
}

fn filling(gate: &Arc<Gate>) -> Pieces {
    let piece = Bytes::from(vec![b'x'; PIECE_BYTES]);
    let (gate, under_way) = (Arc::clone(gate), gate.enter());
    stream::iter(0..HUGE_BYTES / PIECE_BYTES)
        .map(move |_| {
            let _ = &under_way;
            gate.count_sent();
            Ok(piece.clone())
        })
        .boxed()
}

fn drip(gate: &Arc<Gate>) -> Pieces {
    let under_way = gate.enter();
    stream::unfold(under_way, |under_way| async {
        tokio::time::sleep(DRIP).await;
        Some((Ok(event(None, &notification())), under_way))
    })
    .boxed()
}

fn notification() -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": "still there" } })
}
