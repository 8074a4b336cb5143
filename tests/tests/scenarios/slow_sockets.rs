//! Connections that are opened to be held: every listener closes them, but none before a client that is only slow is done.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use shadowcat_tests::{Program, Upstream, binary, command, eventually, fleet, free_port, managed, secured, within};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// The bound that is promised.
const CLOSED_WITHIN: Duration = Duration::from_secs(6);

/// What a slow client needs. A connection that is closed sooner is closed for another reason than being held.
const HELD_FOR: Duration = Duration::from_secs(4);

/// A way to hold a connection.
struct Way {
    name: &'static str,
    begin: Pieces,
    drip: &'static [u8],
    pause: Duration,
}

type Pieces = &'static [&'static [u8]];

/// Sends `begin`, and then nothing.
const fn silent(name: &'static str, begin: Pieces) -> Way {
    dripping(name, begin, b"", SECOND)
}

/// Sends `begin`, and then `drip` byte by byte with a `pause` before each.
const fn dripping(name: &'static str, begin: Pieces, drip: &'static [u8], pause: Duration) -> Way {
    Way { name, begin, drip, pause }
}

const SECOND: Duration = Duration::from_secs(1);

/// Just short of any patience that starts anew with each byte.
const ALMOST: Duration = Duration::from_secs(4);

const HEAD: &[u8] = b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n";
const LENGTH: &[u8] = b"content-length: 400\r\n\r\n";

const HEADS: &[Way] = &[
    silent("nothing", &[]),
    silent("half a head", &[HEAD]),
    dripping("a head byte by byte", &[], HEAD, SECOND),
    dripping("a head byte by byte, slower", &[], HEAD, ALMOST),
    dripping("a header byte by byte", &[HEAD], b"x-slow: aaaaaaaaaaaaa", SECOND),
];

const BODIES: &[Way] = &[
    silent("half a body", &[HEAD, LENGTH, b"{\"jsonrpc\":\"2.0\","]),
    dripping("a body byte by byte", &[HEAD, LENGTH], b"{\"jsonrpc\":\"2.0\",\"id\":1,", SECOND),
    dripping("a body byte by byte, slower", &[HEAD, LENGTH], b"{\"jsonrpc\":\"2.0\",", ALMOST),
];

/// How a client of HTTP/2 begins: its preface, and a SETTINGS frame that sets nothing (RFC 9113, sections 3.4 and 6.5).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// `GET /nowhere`, whole: a HEADERS frame of stream 1 with END_STREAM and END_HEADERS (section 6.2; RFC 7541, appendix A).
const CALL: &[u8] = b"\x00\x00\x17\x01\x05\x00\x00\x00\x01\x82\x86\x44\x08/nowhere\x41\x09localhost";

/// `POST /mcp` on stream 1 and on stream 3, without END_HEADERS: the rest is to follow in a CONTINUATION frame.
const FIRST_HEAD: &[u8] = b"\x00\x00\x08\x01\x00\x00\x00\x00\x01\x83\x86\x44\x04/mcp";
const SECOND_HEAD: &[u8] = b"\x00\x00\x08\x01\x00\x00\x00\x00\x03\x83\x86\x44\x04/mcp";

/// A CONTINUATION frame of 29 bytes for stream 1.
const CONTINUATION: &[u8] = b"\x00\x00\x1d\x09\x00\x00\x00\x00\x01\x5f\x10application/json\x41\x09localhost";

const HEADS_OF_HTTP2: &[Way] = &[
    silent("half an HTTP/2 preface", &[b"PRI * HTTP/2.0\r\n\r\nSM"]),
    silent("an HTTP/2 preface", &[PREFACE]),
    dripping("an HTTP/2 preface byte by byte", &[], PREFACE, SECOND),
    silent("an HTTP/2 preface and settings", &[PREFACE, SETTINGS]),
    silent("HEADERS without an end", &[PREFACE, SETTINGS, FIRST_HEAD]),
    dripping("HEADERS byte by byte", &[PREFACE, SETTINGS], FIRST_HEAD, SECOND),
    dripping("CONTINUATION byte by byte", &[PREFACE, SETTINGS, FIRST_HEAD], CONTINUATION, SECOND),
    dripping("CONTINUATION, slower", &[PREFACE, SETTINGS, FIRST_HEAD], CONTINUATION, ALMOST),
    silent("HEADERS after a call", &[PREFACE, SETTINGS, CALL, SECOND_HEAD]),
];

/// Holds `socket` until the server closes it. What is wrong with how long that took, if anything is.
async fn hold(socket: impl AsyncRead + AsyncWrite, way: &Way, at_least: Duration) -> Option<String> {
    let began = Instant::now();
    let (mut read, mut write) = tokio::io::split(socket);
    let closed = tokio::time::timeout(CLOSED_WITHIN, async {
        write.write_all(&way.begin.concat()).await.unwrap();
        write.flush().await.unwrap();
        let drip = async {
            for byte in way.drip {
                tokio::time::sleep(way.pause).await;
                if write.write_all(&[*byte]).await.is_err() || write.flush().await.is_err() {
                    break;
                }
            }
            // The writing half stays open: it is the server that must close.
            std::future::pending::<()>().await;
        };
        let closed = async {
            let mut answer = [0; 1024];
            while read.read(&mut answer).await.is_ok_and(|length| length > 0) {}
        };
        tokio::select! {
            () = drip => {}
            () = closed => {}
        }
    });
    match closed.await.map(|()| began.elapsed()) {
        Ok(held) if held >= at_least => None,
        Ok(held) => Some(format!("{}: closed after {held:?} already", way.name)),
        Err(_) => Some(format!("{}: still open after {CLOSED_WITHIN:?}", way.name)),
    }
}

/// Holds a connection to `port` in each of `ways`; says what went wrong.
async fn hold_all(port: u16, ways: impl IntoIterator<Item = &Way>, at_least: Duration) -> Vec<String> {
    let held = ways.into_iter().map(async |way| {
        let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        hold(socket, way, at_least).await
    });
    join_all(held).await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_held_is_closed_on_every_listener_within_six_seconds() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let ports = fleet.plane(0).listeners();
    let [mcp, operations] = ports[..] else { panic!("MCP and operations, not {ports:?}") };
    let heads = || HEADS.iter().chain(HEADS_OF_HTTP2);
    let (of_mcp, bodies, of_operations, more) = tokio::join!(
        hold_all(mcp, heads(), HELD_FOR),
        hold_all(mcp, BODIES, HELD_FOR),
        hold_all(operations, heads(), HELD_FOR),
        // Nobody reads a body there: it is refused at once.
        hold_all(operations, BODIES, Duration::ZERO),
    );
    assert_eq!([of_mcp, bodies, of_operations, more], [const { Vec::<String>::new() }; 4], "MCP, and operations");
    fleet.plane(0).metric_is("shadowcat_connections", 1.0, CLOSED_WITHIN).await;
}

/// The status by which a body over HTTP/2 that comes byte by byte, with this pause before each, is answered, and after how long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_to_the_demo_server_that_is_held_is_closed_within_six_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut command = command(binary("shadowcat"));
    command.args(["demo-server", "--http", "--bind", &format!("127.0.0.1:{port}")]);
    let _server = Program::start("demo-server", dir.path(), &mut command);
    let open = async || TcpStream::connect(("127.0.0.1", port)).await.ok();
    eventually("it listens", CLOSED_WITHIN, open).await;
    let wrong = hold_all(port, HEADS.iter().chain(BODIES), HELD_FOR).await;
    assert_eq!(wrong, Vec::<String>::new());
}

async fn drip_over_http2(port: u16, pause: Duration) -> (StatusCode, Duration) {
    let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    let sending = Arc::new(());
    let body = stream::unfold(Arc::clone(&sending), move |sending| async move {
        tokio::time::sleep(pause).await;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(b" "))), sending))
    });
    let request = Request::post("http://localhost/mcp")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .body(StreamBody::new(body).boxed_unsync())
        .unwrap();
    let began = Instant::now();
    let answer = within("an answer", CLOSED_WITHIN, sender.send_request(request)).await.unwrap();
    let took = began.elapsed();
    let stopped = async || (Arc::strong_count(&sending) == 1).then_some(());
    eventually("the server takes no more of the body", CLOSED_WITHIN, stopped).await;
    (answer.status(), took)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_http2_that_is_held_is_answered_within_six_seconds() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let port = fleet.plane(0).listeners()[0];
    for (status, took) in join_all([SECOND, ALMOST].map(|pause| drip_over_http2(port, pause))).await {
        assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
        assert!(took >= HELD_FOR, "answered after {took:?} already");
    }
}

/// The begin of a ClientHello of 512 bytes.
const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03";

const HANDSHAKES: &[Way] = &[
    silent("nothing", &[]),
    silent("half a ClientHello", &[HELLO]),
    dripping("a ClientHello byte by byte", &[], HELLO, SECOND),
    dripping("a ClientHello byte by byte, slower", &[], HELLO, ALMOST),
];

/// As [`hold_all`], behind a TLS handshake that was not held.
async fn hold_all_secured(port: u16, certificate: &Path, version: Version, ways: &[Way]) -> Vec<String> {
    let held = ways.iter().map(async |way| hold(secured(port, certificate, version).await, way, HELD_FOR).await);
    join_all(held).await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_with_tls_that_is_held_is_closed_within_six_seconds() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).tls().start().await;
    let (port, certificate) = (fleet.plane(0).listeners()[0], fleet.certificate());
    let (handshakes, heads, bodies, heads_of_http2) = tokio::join!(
        hold_all(port, HANDSHAKES, HELD_FOR),
        hold_all_secured(port, &certificate, Version::HTTP_11, HEADS),
        hold_all_secured(port, &certificate, Version::HTTP_11, BODIES),
        hold_all_secured(port, &certificate, Version::HTTP_2, HEADS_OF_HTTP2),
    );
    let none = [const { Vec::<String>::new() }; 4];
    assert_eq!([handshakes, heads, bodies, heads_of_http2], none, "during the handshake, and behind it");
    fleet.plane(0).metric_is("shadowcat_connections", 1.0, CLOSED_WITHIN).await;
}

/// What is no connection of gRPC is closed as soon as that is seen, and what begins as one has its deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_to_a_control_plane_that_is_held_is_closed_within_six_seconds() {
    let fleet = managed().start().await;
    let [grpc, console] = fleet.control().ports();
    let (hellos, heads, of_http2, of_console) = tokio::join!(
        hold_all(grpc, HANDSHAKES, HELD_FOR),
        hold_all(grpc, HEADS, Duration::ZERO),
        // After a call it is pings that tell, and half a head keeps their answers back.
        hold_all(grpc, &HEADS_OF_HTTP2[..HEADS_OF_HTTP2.len() - 1], HELD_FOR),
        hold_all(console, HEADS, HELD_FOR),
    );
    assert_eq!([hellos, heads, of_http2, of_console], [const { Vec::<String>::new() }; 4], "gRPC, and the console");
    // An honest client finds room, before and after.
    fleet.control().ctl(&["status"]).await.ok();
}
