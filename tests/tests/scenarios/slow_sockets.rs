//! Connections that are opened to be held: every listener closes them.

use std::time::Duration;

use futures_util::future::join_all;
use shadowcat_tests::{Upstream, fleet, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The bound that is promised.
const CLOSED_WITHIN: Duration = Duration::from_secs(6);

const HEAD: &str = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n";

/// How a connection is held: what is sent at once, and what is sent byte by byte, one each second.
const WAYS: &[(&str, &str, &str)] = &[
    ("silent", "", ""),
    ("half a head", HEAD, ""),
    ("half an HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM", ""),
    ("a head byte by byte", "", HEAD),
    ("a header byte by byte", HEAD, "x-slow: aaaaaaaaaaaaaaaaaaaaaa"),
    ("half a body", "content-length: 400\r\n\r\n{\"jsonrpc\":\"2.0\",", ""),
    ("a body byte by byte", "content-length: 400\r\n\r\n{", "\"jsonrpc\":\"2.0\",\"id\":1,"),
];

async fn is_closed(port: u16, way: &str, at_once: String, drip: &str) {
    let what = format!("port {port} closes a connection that sends {way}");
    within(&what, CLOSED_WITHIN, async {
        let (mut read, mut write) = TcpStream::connect(("127.0.0.1", port)).await.unwrap().into_split();
        write.write_all(at_once.as_bytes()).await.unwrap();
        let drip = async {
            let mut second = tokio::time::interval(Duration::from_secs(1));
            for byte in drip.bytes() {
                second.tick().await;
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
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_held_is_closed_on_every_listener_within_six_seconds() {
    let upstream = Upstream::start().await;
    let fleet = fleet().upstream(&upstream).start().await;
    let ports = fleet.plane(0).listeners();
    assert_eq!(ports.len(), 2, "MCP and operations");
    let mut held = Vec::new();
    for port in ports {
        for (way, at_once, drip) in WAYS {
            let head = if way.contains("body") { HEAD } else { "" };
            held.push(is_closed(port, way, format!("{head}{at_once}"), drip));
        }
    }
    join_all(held).await;
    fleet.plane(0).metric_is("shadowcat_connections", 1.0, CLOSED_WITHIN).await;
}
