//! What the ports do with peers that mean no good, or are slow.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use shadowcat_proto::admin::v1::StatusRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::Plane;

/// Each step of a connection has five seconds; the rest is a busy machine's.
const CLOSED_WITHIN: Duration = Duration::from_secs(8);

/// How long a peer that says `begin` and no more is listened to.
async fn closed_after(address: SocketAddr, begin: &[u8]) -> Duration {
    let began = Instant::now();
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(begin).await.unwrap();
    let mut taken = Vec::new();
    // An end and a reset are both one.
    let _ = timeout(CLOSED_WITHIN, socket.read_to_end(&mut taken)).await.expect("it is closed");
    began.elapsed()
}

#[tokio::test]
async fn slow_peers_are_closed_in_time_and_honest_ones_notice_nothing() {
    let plane = Plane::start().await;
    let slow = [
        (plane.grpc, &b""[..]),
        (plane.grpc, b"PRI * HTTP/2.0\r\n"),
        (plane.grpc, &[0x16]),
        (plane.grpc, &[0x16, 3, 1, 1, 0, 1, 0, 0, 0xfc]),
        (plane.console, b""),
        (plane.console, b"GET /health HTTP/1.1\r\n"),
    ];
    let crowd = (0..20).flat_map(|_| slow).map(|(address, begin)| closed_after(address, begin));
    let honest = async {
        for _ in 0..20 {
            plane.fleets().status(plane.ask(StatusRequest::default())).await.unwrap();
        }
    };
    let (closed, ()) = tokio::join!(futures_util::future::join_all(crowd), honest);
    assert!(closed.iter().all(|after| *after >= Duration::from_secs(4)), "they had their time: {closed:?}");
    plane.stop().await;
}

#[tokio::test]
async fn what_is_neither_tls_nor_http2_is_closed_at_once() {
    let plane = Plane::start().await;
    let after = closed_after(plane.grpc, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(after < Duration::from_secs(2), "{after:?}");
    plane.stop().await;
}

#[tokio::test]
async fn the_console_tells_health_and_metrics() {
    let plane = Plane::start().await;
    let health = plane.get("/health").await;
    assert!(health.starts_with("HTTP/1.1 200") && health.contains(r#""status":"ok""#), "{health}");
    let metrics = plane.get("/metrics").await;
    assert!(metrics.contains("shadowcat_control_plane_connections "), "{metrics}");
    assert!(plane.get("/").await.starts_with("HTTP/1.1 404"));
    plane.stop().await;
}
