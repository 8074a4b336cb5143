//! The scripted server's endpoint: sessions, methods, and where a call goes.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::Sessions;
use super::body::{Body, EVENTS, JSON, pieces, refuse, whole};
use super::ledger::{Ledger, Seen};
use super::tools;

const SESSION: &str = "mcp-session-id";

/// What a test says unasked at once; `Upstream::say` waits beyond it.
const SAID_MAX: usize = 64;

pub(super) async fn accept(listener: TcpListener, ledger: Arc<Ledger>, sessions: Sessions) {
    loop {
        let Ok((connection, _)) = listener.accept().await else { continue };
        let ledger = Arc::clone(&ledger);
        let service = service_fn(move |request| {
            let ledger = Arc::clone(&ledger);
            async move { Ok::<_, Infallible>(answer(request, &ledger, sessions).await) }
        });
        // A peer that leaves is what some tests are about.
        let _ = connection.set_nodelay(true);
        tokio::spawn(async move {
            auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(connection), service).await
        });
    }
}

async fn answer(request: Request<Incoming>, ledger: &Arc<Ledger>, sessions: Sessions) -> Response<Body> {
    let (head, body) = request.into_parts();
    let session = head.headers.get(SESSION).and_then(|id| id.to_str().ok()).map(str::to_owned);
    if let Some(id) = session.as_deref().filter(|_| sessions == Sessions::Minted)
        && !ledger.with(|book| book.sessions.contains(id))
    {
        return refuse(StatusCode::NOT_FOUND, &Value::Null, "the session is not known here");
    }
    match head.method {
        Method::POST => match body.collect().await {
            Ok(body) => post(&head.headers, body.to_bytes(), ledger, sessions).await,
            Err(error) => refuse(StatusCode::BAD_REQUEST, &Value::Null, &format!("half a body: {error}")),
        },
        Method::GET => match ledger.script("GET") {
            Some((content_type, body)) => whole(StatusCode::METHOD_NOT_ALLOWED, content_type, body),
            None => listen(ledger),
        },
        Method::DELETE => {
            ledger.with(|book| session.is_some_and(|id| book.sessions.remove(&id)));
            whole(StatusCode::NO_CONTENT, JSON, Bytes::new())
        }
        _ => refuse(StatusCode::METHOD_NOT_ALLOWED, &Value::Null, "POST, GET or DELETE"),
    }
}

async fn post(headers: &HeaderMap, body: Bytes, ledger: &Arc<Ledger>, sessions: Sessions) -> Response<Body> {
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return refuse(StatusCode::BAD_REQUEST, &Value::Null, "the body is not JSON");
    };
    let method = message["method"].as_str().unwrap_or_default();
    ledger.with(|book| *book.messages.entry(method.to_owned()).or_default() += 1);
    if let Some(token) = message["params"]["arguments"]["token"].as_str() {
        let seen = Seen { headers: headers.clone(), body: body.clone() };
        ledger.with(|book| book.calls.entry(token.to_owned()).or_default().push(seen));
    }
    let is_modern =
        headers.get("mcp-protocol-version").is_some_and(|version| version.as_bytes() >= b"2026-07-28".as_slice());
    let lacks_session =
        sessions == Sessions::Minted && !is_modern && !headers.contains_key(SESSION) && method != "initialize";
    if lacks_session {
        return refuse(StatusCode::BAD_REQUEST, &message["id"], "this server wants a session");
    }
    match method {
        "initialize" => initialize(&message, ledger, sessions),
        "tools/call" => tools::call(&message, ledger).await,
        "tools/list" => ok(&message, &json!({ "tools": [{ "name": "echo", "inputSchema": { "type": "object" } }] })),
        "server/discover" => {
            ok(&message, &json!({ "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} } }))
        }
        "ping" => ok(&message, &json!({})),
        "" => take_answer(&message, ledger),
        _ if message.get("id").is_none() => {
            let (content_type, body) = ledger.script(method).unwrap_or((JSON, Bytes::new()));
            whole(StatusCode::ACCEPTED, content_type, body)
        }
        other => refuse(StatusCode::OK, &message["id"], &format!("{other} is not known here")),
    }
}

fn ok(message: &Value, result: &Value) -> Response<Body> {
    whole(StatusCode::OK, JSON, json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }).to_string())
}

fn initialize(message: &Value, ledger: &Ledger, sessions: Sessions) -> Response<Body> {
    let result = json!({
        "protocolVersion": message["params"]["protocolVersion"],
        "capabilities": { "tools": { "listChanged": true } },
        "serverInfo": { "name": "scripted", "version": "1" },
    });
    let mut response = ok(message, &result);
    if sessions == Sessions::Minted {
        let id = format!("up-{:016x}", fastrand::u64(..));
        response.headers_mut().insert(SESSION, id.parse().expect("hexadecimal digits are a header value"));
        ledger.with(|book| book.sessions.insert(id));
    }
    response
}

/// The client's answer to a question of the tool `ask`.
fn take_answer(message: &Value, ledger: &Ledger) -> Response<Body> {
    let asked = message["id"].as_str().and_then(|id| ledger.with(|book| book.questions.remove(id)));
    match asked {
        Some(asked) => {
            let _ = asked.send(message["result"].clone());
            whole(StatusCode::ACCEPTED, JSON, Bytes::new())
        }
        None => refuse(StatusCode::BAD_REQUEST, &Value::Null, "nobody asked"),
    }
}

/// The stream for what a test makes the server say unasked.
fn listen(ledger: &Ledger) -> Response<Body> {
    let (say, said) = mpsc::channel(SAID_MAX);
    ledger.with(|book| book.listeners.push(say));
    pieces(EVENTS, stream::unfold(said, |mut said| async { said.recv().await.map(|event| (event, said)) }).map(Ok))
}
