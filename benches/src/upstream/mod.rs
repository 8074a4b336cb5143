//! The reference upstream: an MCP server that costs next to nothing, so that what is measured is what stands before it.
//!
//! It understands just what the load generator says. One thread: a second would only fight the proxy for the cores.

mod body;
mod reply;
mod stdio;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use tokio::net::TcpListener;

use crate::exchange::SESSION_ID;
use crate::serve;
use body::AnswerBody;
use reply::Reply;

pub(crate) use stdio::serve as serve_stdio;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Serves MCP over Streamable HTTP at next to no cost.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where to listen; port 0 takes a free one, which is printed
    #[arg(long, default_value = "127.0.0.1:0")]
    bind: SocketAddr,
}

/// Serves until the process ends.
pub(crate) fn serve(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { serve_on(serve::listen(options.bind).await?).await })
}

/// Serves on `listener`.
pub(crate) async fn serve_on(listener: TcpListener) -> anyhow::Result<()> {
    let sessions = Arc::new(Sessions::default());
    serve::serve(listener, move |request| answer(Arc::clone(&sessions), request)).await
}

/// Sessions are the numbers below the next one: known without being kept.
#[derive(Default)]
struct Sessions {
    next: AtomicU64,
}

impl Sessions {
    fn open(&self) -> String {
        format!("reference-{}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn knows(&self, headers: &HeaderMap) -> bool {
        let id = headers.get(SESSION_ID);
        id.and_then(|id| id.to_str().ok()?.strip_prefix("reference-")?.parse::<u64>().ok())
            .is_some_and(|number| number < self.next.load(Ordering::Relaxed))
    }
}

async fn answer(sessions: Arc<Sessions>, request: Request<Incoming>) -> Response<AnswerBody> {
    let (head, body) = request.into_parts();
    match head.method {
        Method::POST => match body.collect().await {
            Ok(body) => post(&sessions, &head.headers, &body.to_bytes()),
            Err(_) => plain(StatusCode::BAD_REQUEST),
        },
        Method::GET if sessions.knows(&head.headers) => stream(AnswerBody::Silence),
        Method::DELETE if sessions.knows(&head.headers) => plain(StatusCode::OK),
        Method::GET | Method::DELETE => plain(StatusCode::NOT_FOUND),
        _ => plain(StatusCode::METHOD_NOT_ALLOWED),
    }
}

fn post(sessions: &Sessions, headers: &HeaderMap, body: &[u8]) -> Response<AnswerBody> {
    let Ok(reply) = Reply::to(body) else {
        return plain(StatusCode::BAD_REQUEST);
    };
    match reply {
        Reply::Initialize(message) => {
            let mut answer = json(message);
            let id = HeaderValue::try_from(sessions.open()).expect("a word and a number make a header value");
            answer.headers_mut().insert(SESSION_ID, id);
            answer
        }
        _ if !sessions.knows(headers) => plain(StatusCode::NOT_FOUND),
        Reply::Nothing => plain(StatusCode::ACCEPTED),
        Reply::Message(message) => json(message),
        Reply::Events(messages) => stream(AnswerBody::events(&messages)),
    }
}

fn json(message: String) -> Response<AnswerBody> {
    let mut answer = Response::new(AnswerBody::Whole(Some(Bytes::from(message))));
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    answer
}

fn stream(body: AnswerBody) -> Response<AnswerBody> {
    let mut answer = Response::new(body);
    answer.headers_mut().insert(CONTENT_TYPE, EVENT_STREAM);
    answer
}

fn plain(status: StatusCode) -> Response<AnswerBody> {
    let mut answer = Response::new(AnswerBody::Whole(None));
    *answer.status_mut() = status;
    answer
}
