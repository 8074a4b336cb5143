//! Connections that are opened to be held: every listener closes them.

use std::time::Duration;

use futures_util::future::join_all;
use shadowcat_tests::{Upstream, fleet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The bound that is promised.
const CLOSED_WITHIN: Duration = Duration::from_secs(6);

const HEAD: &str = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n";

/// A way to hold a connection.
struct Way {
    name: &'static str,
    /// Sent at once.
    begin: &'static [&'static str],
    /// Sent byte by byte.
    drip: &'static str,
    /// The pause before each of those bytes.
    pause: Duration,
}

const SECOND: Duration = Duration::from_secs(1);

/// Just short of any patience that starts anew with each byte.
const ALMOST: Duration = Duration::from_secs(4);

const WAYS: &[Way] = &[
    Way { name: "nothing", begin: &[], drip: "", pause: SECOND },
    Way { name: "half a head", begin: &[HEAD], drip: "", pause: SECOND },
    Way { name: "half an HTTP/2 preface", begin: &["PRI * HTTP/2.0\r\n\r\nSM"], drip: "", pause: SECOND },
    Way { name: "a head byte by byte", begin: &[], drip: HEAD, pause: SECOND },
    Way { name: "a head byte by byte, slower", begin: &[], drip: HEAD, pause: ALMOST },
    Way { name: "a header byte by byte", begin: &[HEAD], drip: "x-slow: aaaaaaaaaaaaa", pause: SECOND },
    Way { name: "half a body", begin: &[HEAD, LENGTH, "{\"jsonrpc\":\"2.0\","], drip: "", pause: SECOND },
    Way { name: "a body byte by byte", begin: &[HEAD, LENGTH], drip: "{\"jsonrpc\":\"2.0\",\"id\":1,", pause: SECOND },
    Way { name: "a body byte by byte, slower", begin: &[HEAD, LENGTH], drip: "{\"jsonrpc\":\"2.0\",", pause: ALMOST },
];

const LENGTH: &str = "content-length: 400\r\n\r\n";

/// Holds a connection to `port`, and says so if it was not closed in time.
async fn hold(port: u16, way: &Way) -> Option<String> {
    let (mut read, mut write) = TcpStream::connect(("127.0.0.1", port)).await.unwrap().into_split();
    let closed = tokio::time::timeout(CLOSED_WITHIN, async {
        write.write_all(way.begin.concat().as_bytes()).await.unwrap();
        let drip = async {
            for byte in way.drip.bytes() {
                tokio::time::sleep(way.pause).await;
                if write.write_all(&[byte]).await.is_err() {
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
    })
    .await;
    closed.is_err().then(|| format!("port {port}, {}", way.name))
}

/// Holds a connection to each port in each of `ways`; returns those that were not closed in time.
async fn held(ports: &[u16], ways: &[Way]) -> Vec<String> {
    let held = ports.iter().flat_map(|port| ways.iter().map(|way| hold(*port, way)));
    join_all(held).await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_held_is_closed_on_every_listener_within_six_seconds() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let ports = fleet.plane(0).listeners();
    assert_eq!(ports.len(), 2, "MCP and operations");
    let open = held(&ports, WAYS).await;
    assert!(open.is_empty(), "still open after {CLOSED_WITHIN:?}: {open:#?}");
    fleet.plane(0).metric_is("shadowcat_connections", 1.0, CLOSED_WITHIN).await;
}

/// The begin of a ClientHello of 512 bytes.
const HELLO: &str = "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03";

const WAYS_WITH_TLS: &[Way] = &[
    Way { name: "nothing", begin: &[], drip: "", pause: SECOND },
    Way { name: "half a ClientHello", begin: &[HELLO], drip: "", pause: SECOND },
    Way { name: "a ClientHello byte by byte", begin: &[], drip: HELLO, pause: SECOND },
    Way { name: "a ClientHello byte by byte, slower", begin: &[], drip: HELLO, pause: ALMOST },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_is_held_is_closed_within_six_seconds() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).tls().start().await;
    let open = held(&fleet.plane(0).listeners()[..1], WAYS_WITH_TLS).await;
    assert!(open.is_empty(), "still open after {CLOSED_WITHIN:?}: {open:#?}");
    fleet.plane(0).metric_is("shadowcat_connections", 1.0, CLOSED_WITHIN).await;
}
