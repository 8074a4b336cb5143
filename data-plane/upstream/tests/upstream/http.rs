//! HTTP upstreams against servers that are honest, dead, slow, lying or never-ending.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use serde_json::json;
use shadowcat_upstream::{HttpSettings, HttpUpstream, Stage, Upstream, UpstreamMetrics, Why};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{PATIENCE, at_rest, body, get, post, post_text, request, until};

const EMPTY_RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;

type Connection = BufReader<TcpStream>;

/// A server that treats each connection as `handler` says; it ends when dropped.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start<F>(handler: impl Fn(Connection) -> F + Send + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut handlers = JoinSet::new();
            while let Ok((socket, _peer)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let handling = handler(BufReader::new(socket));
                // A client that goes away in the middle is a case under test, not a failure of the server.
                handlers.spawn(async move { _ = handling.await });
            }
        });
        Self { address, connections, _tasks: tasks }
    }

    /// A server that answers every request with `response`.
    async fn answering(response: impl Into<String>) -> Self {
        let response = response.into();
        Self::start(move |mut connection| {
            let response = response.clone();
            async move {
                while read_request(&mut connection).await?.is_some() {
                    connection.write_all(response.as_bytes()).await?;
                }
                Ok(())
            }
        })
        .await
    }

    fn upstream(&self) -> HttpUpstream {
        upstream(self.settings())
    }

    fn settings(&self) -> HttpSettings {
        settings(self.address)
    }
}

fn settings(address: SocketAddr) -> HttpSettings {
    HttpSettings {
        name: "everything".to_owned(),
        url: format!("http://{address}/mcp").parse().expect("a url"),
        headers: HeaderMap::new(),
        max_connections: 8,
        idle_timeout: Duration::from_secs(60),
        connect: Duration::from_secs(2),
        first_byte: Duration::from_secs(10),
        idle: Duration::from_secs(10),
    }
}

fn upstream(settings: HttpSettings) -> HttpUpstream {
    HttpUpstream::new(settings, &UpstreamMetrics::default()).expect("a good url")
}

/// The head and the body of the next request; `None` at the end of the connection.
async fn read_request(connection: &mut Connection) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if connection.read_line(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await?;
    Ok(Some((head, body)))
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn call() -> shadowcat_upstream::Call {
    post(&request(1, "ping", &json!({})), None)
}

#[tokio::test]
async fn the_message_goes_out_and_the_answer_comes_back_unchanged() {
    let text = "{ \"jsonrpc\":\"2.0\", \"id\" : 1.0e0,\"method\":\"ping\"}".replace("1.0e0", "1");
    let (told, mut hearing) = tokio::sync::mpsc::channel(1);
    let server = Server::start(move |mut connection| {
        let told = told.clone();
        async move {
            let request = read_request(&mut connection).await?.expect("a request");
            told.send(request).await.expect("heard");
            let head =
                "HTTP/1.1 202 Accepted\r\nconnection: x-private\r\nx-private: 1\r\nkeep-alive: 5\r\nx-end: 2\r\n";
            connection.write_all(format!("{head}content-length: 3\r\n\r\nabc").as_bytes()).await
        }
    })
    .await;
    let mut settings = server.settings();
    settings.headers.insert("x-api-key", HeaderValue::from_static("ours"));
    let upstream = upstream(settings);

    let mut call = post_text(text.clone(), Some(&HeaderValue::from_static("s1")));
    call.headers.insert("x-api-key", HeaderValue::from_static("theirs"));
    call.headers.insert("x-client", HeaderValue::from_static("kept"));
    call.headers.insert("content-length", HeaderValue::from_static("999"));
    call.headers.insert("accept-encoding", HeaderValue::from_static("gzip"));
    let response = upstream.call(call).await.expect("an answer");

    let (head, sent) = hearing.recv().await.expect("a request");
    assert_eq!(sent, text.as_bytes());
    assert!(head.starts_with("POST /mcp HTTP/1.1\r\n"), "{head}");
    let host = format!("host: {}", server.address);
    for line in ["x-api-key: ours", "x-client: kept", "mcp-session-id: s1", "content-type: application/json", &host] {
        assert!(head.lines().any(|present| present == line), "{line} in {head}");
    }
    assert!(head.contains("accept: application/json, text/event-stream"), "{head}");
    assert!(!head.contains("theirs") && !head.contains("999") && !head.contains("gzip"), "{head}");

    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(response.headers()["x-end"], "2");
    for stripped in ["connection", "keep-alive", "x-private"] {
        assert!(!response.headers().contains_key(stripped), "{stripped}");
    }
    assert_eq!(body(response).await, "abc");
}

#[tokio::test]
async fn calls_one_after_the_other_use_one_connection() {
    let server = Server::answering(ok(EMPTY_RESULT)).await;
    let upstream = server.upstream();
    for _ in 0..20 {
        assert_eq!(body(upstream.call(call()).await.expect("an answer")).await, EMPTY_RESULT);
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
    assert_eq!(upstream.status().in_flight, 0);
}

#[tokio::test]
async fn a_call_that_meets_a_closed_pooled_connection_runs_once_on_another() {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    let server = Server::start(move |mut connection| {
        let count = Arc::clone(&count);
        async move {
            if read_request(&mut connection).await?.is_some() {
                count.fetch_add(1, Ordering::Relaxed);
                connection.write_all(ok(EMPTY_RESULT).as_bytes()).await?;
            }
            // And closes, without having said so.
            Ok(())
        }
    })
    .await;
    let upstream = server.upstream();
    for _ in 0..5 {
        body(upstream.call(call()).await.expect("an answer")).await;
        until("the connection's share is back", || upstream.status().in_flight == 0).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(requests.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn a_refused_connection_sent_nothing_and_names_the_hint() {
    let address = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound");
    let upstream = upstream(settings(address));
    let error = upstream.call(call()).await.expect_err("nobody there");
    assert_eq!((error.stage, error.why, error.sent), (Stage::Connect, Why::Unreachable, false));
    assert_eq!(error.to_string(), "upstream everything: refuses connections: is the server running?");
    let status = upstream.status();
    assert!(!status.reachable && status.last_error.is_some());
}

#[tokio::test]
async fn a_name_that_does_not_resolve_sent_nothing() {
    let mut settings = settings(SocketAddr::from(([127, 0, 0, 1], 1)));
    settings.url = "http://no-such-host.invalid/mcp".parse().expect("a url");
    let error = upstream(settings).call(call()).await.expect_err("nobody there");
    assert_eq!((error.stage, error.sent), (Stage::Connect, false));
}

#[tokio::test]
async fn tls_with_a_server_that_speaks_none_sent_nothing() {
    let server = Server::answering("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let mut settings = server.settings();
    settings.url = format!("https://{}/mcp", server.address).parse().expect("a url");
    settings.connect = Duration::from_secs(5);
    let error = upstream(settings).call(call()).await.expect_err("no TLS");
    assert_eq!((error.stage, error.sent), (Stage::Connect, false));
}

#[tokio::test]
async fn tls_that_never_answers_is_given_up_on_in_the_connect_bound() {
    let server = Server::start(|connection| async move {
        let _held = connection;
        std::future::pending().await
    })
    .await;
    let mut settings = server.settings();
    settings.url = format!("https://{}/mcp", server.address).parse().expect("a url");
    settings.connect = Duration::from_millis(300);
    let error = upstream(settings).call(call()).await.expect_err("silence");
    assert_eq!((error.stage, error.why, error.sent), (Stage::Connect, Why::TimedOut, false));
}

#[tokio::test]
async fn a_silent_server_is_given_up_on() {
    let server = Server::answering("").await;
    let mut settings = server.settings();
    settings.first_byte = Duration::from_millis(200);
    let error = upstream(settings).call(call()).await.expect_err("silence");
    assert_eq!((error.stage, error.why, error.sent), (Stage::FirstByte, Why::TimedOut, true));
}

#[tokio::test]
async fn a_server_that_closes_without_an_answer_may_have_run_the_call() {
    let server = Server::start(|mut connection| async move { read_request(&mut connection).await.map(|_| ()) }).await;
    let error = server.upstream().call(call()).await.expect_err("no answer");
    assert_eq!((error.stage, error.why, error.sent), (Stage::FirstByte, Why::Unreachable, true));
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_a_breach_of_protocol() {
    let server = Server::answering("SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    let error = server.upstream().call(call()).await.expect_err("no HTTP");
    assert_eq!((error.stage, error.why, error.sent), (Stage::FirstByte, Why::BrokeProtocol, true));
}

#[tokio::test]
async fn an_answer_that_stalls_is_broken_off() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await;
    let mut settings = server.settings();
    settings.idle = Duration::from_millis(200);
    let upstream = upstream(settings);
    let mut stalled = upstream.call(call()).await.expect("a head").into_body();
    assert_eq!(stalled.frame().await.expect("a frame").expect("data").into_data().expect("data"), "abc");
    let error = stalled.frame().await.expect("an end with a reason").expect_err("a stall");
    assert_eq!((error.stage, error.why), (Stage::Body, Why::TimedOut));
    assert!(stalled.frame().await.is_none());
    assert_eq!(upstream.status().in_flight, 0);
}

#[tokio::test]
async fn a_stream_that_belongs_to_no_call_may_be_silent() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: hello\n\n").await;
    let mut settings = server.settings();
    settings.idle = Duration::from_millis(100);
    let mut stream = upstream(settings).call(get(&HeaderValue::from_static("s1"))).await.expect("a stream").into_body();
    assert!(stream.frame().await.expect("a frame").is_ok());
    assert!(tokio::time::timeout(Duration::from_millis(400), stream.frame()).await.is_err());
}

#[tokio::test]
async fn an_answer_that_breaks_off_says_so() {
    let server = Server::start(|mut connection| async move {
        read_request(&mut connection).await?;
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await
    })
    .await;
    let error = server.upstream().call(call()).await.expect("a head").into_body().collect().await;
    let error = error.expect_err("broken off");
    assert_eq!((error.stage, error.why, error.sent), (Stage::Body, Why::Unreachable, true));
}

#[tokio::test]
async fn broken_chunks_are_a_breach_of_protocol() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n").await;
    let error = server.upstream().call(call()).await.expect("a head").into_body().collect().await;
    assert_eq!(error.expect_err("no chunk").why, Why::BrokeProtocol);
}

#[tokio::test]
async fn a_server_that_never_ends_is_held_back_and_ended_with_the_body() {
    let (sent, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, end) = (Arc::clone(&sent), Arc::clone(&ended));
    let server = Server::start(move |mut connection| {
        let (count, end) = (Arc::clone(&count), Arc::clone(&end));
        async move {
            read_request(&mut connection).await?;
            connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            while connection.write_all(&[b'x'; 64 * 1024]).await.is_ok() {
                count.fetch_add(64 * 1024, Ordering::Relaxed);
            }
            end.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    })
    .await;
    let upstream = server.upstream();
    let mut body = upstream.call(call()).await.expect("a head").into_body();
    let unread = at_rest("what the server sends", || Some(sent.load(Ordering::Relaxed))).await;
    assert!(unread > 0, "the server was held back before it began");

    let reading = async {
        while sent.load(Ordering::Relaxed) == unread {
            body.frame().await.expect("a frame").expect("no failure");
        }
    };
    assert!(timeout(PATIENCE, reading).await.is_ok(), "the server does not send on though it is read");
    assert_eq!(ended.load(Ordering::Relaxed), 0);
    drop(body);
    until("the share is back", || upstream.status().in_flight == 0).await;
    until("the server is ended", || ended.load(Ordering::Relaxed) == 1).await;
}

#[tokio::test]
async fn a_call_beyond_the_connections_waits_one_second_and_is_refused() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: hello\n\n").await;
    let mut settings = server.settings();
    settings.max_connections = 1;
    let upstream = upstream(settings);
    let stream = upstream.call(call()).await.expect("a stream");
    let since = Instant::now();
    let (waited, turned_away) = tokio::join!(upstream.call(call()), upstream.call(call()));
    assert!(since.elapsed() >= Duration::from_secs(1));
    for refused in [waited, turned_away] {
        let error = refused.expect_err("overloaded");
        assert_eq!((error.stage, error.why, error.sent), (Stage::Queue, Why::Overloaded, false));
    }
    assert!(upstream.status().reachable);
    drop(stream);
    assert!(upstream.call(call()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_chunks_of_one_read_come_in_a_few_bursts() {
    let server = Server::start(|mut connection| async move {
        while read_request(&mut connection).await?.is_some() {
            let mut answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
            for _ in 0..50 {
                answer.push_str("b\r\ndata: {...}\r\n");
            }
            answer.push_str("0\r\n\r\n");
            connection.write_all(answer.as_bytes()).await?;
        }
        Ok(())
    })
    .await;
    let upstream = Arc::new(server.upstream());
    let mut reading = JoinSet::new();
    reading.spawn(async move {
        let mut fewest = usize::MAX;
        for _ in 0..20 {
            let mut body = upstream.call(call()).await.expect("an answer").into_body();
            let (mut bursts, mut chunks) = (0, Vec::new());
            while let Some(burst) = poll_fn(|cx| Pin::new(&mut body).poll_burst(cx, &mut chunks)).await {
                burst.expect("no failure");
                bursts += 1;
            }
            assert_eq!(chunks.len(), 50);

            fewest = fewest.min(bursts);
        }
        fewest
    });
    let fewest = reading.join_next().await.expect("a task").expect("no panic");
    assert!(fewest <= 10, "{fewest} bursts of 50 chunks at best");
}
