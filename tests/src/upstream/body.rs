//! Answers of the scripted server.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};

pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

pub(super) const JSON: &str = "application/json";
pub(super) const EVENTS: &str = "text/event-stream";

/// A whole answer.
pub(super) fn whole(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed_unsync();
    with_type(Response::new(body), status, content_type)
}

/// An answer that is produced piece by piece, each only when the connection has room for it.
pub(super) fn pieces(
    content_type: &'static str,
    pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Response<Body> {
    let body = StreamBody::new(pieces.map(|piece| piece.map(Frame::data))).boxed_unsync();
    with_type(Response::new(body), StatusCode::OK, content_type)
}

/// A JSON-RPC answer with one text content.
pub(super) fn result(id: &Value, text: &str) -> Response<Body> {
    whole(StatusCode::OK, JSON, text_result(id, text).to_string())
}

/// A JSON-RPC error under an HTTP status.
pub(super) fn refuse(status: StatusCode, id: &Value, message: &str) -> Response<Body> {
    let error = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32600, "message": message } });
    whole(status, JSON, error.to_string())
}

/// A message with one text content.
pub(super) fn text_result(id: &Value, text: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [{ "type": "text", "text": text }] } })
}

/// One event.
pub(super) fn event(id: Option<u64>, message: &Value) -> Bytes {
    let id = id.map(|id| format!("id: up-{id}\n")).unwrap_or_default();
    Bytes::from(format!("{id}event: message\ndata: {message}\n\n"))
}

fn with_type(mut response: Response<Body>, status: StatusCode, content_type: &'static str) -> Response<Body> {
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
