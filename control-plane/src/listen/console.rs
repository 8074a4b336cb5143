//! The console's port: `/health` and `/metrics`, over plain HTTP/1.1, for whoever runs this control plane.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::fleet::Hub;
use crate::observe::Metrics;
use crate::store::Store;

/// Connections at once: a few collectors of metrics and a few people. More wait in the kernel's queue.
const OPERATORS_MAX: usize = 64;

/// A request's head is complete within this time.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);

/// A connection may rest, ask and be answered for this long in all; then it opens another.
const CONNECTION_AGE: Duration = Duration::from_secs(60);

/// After a failed `accept` (no file descriptor left, most often) the loop breathes before it asks again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the console's port answers from.
pub(crate) struct Console {
    pub(crate) hub: Arc<Hub>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) metrics: Metrics,
}

impl Console {
    /// Serves until `stop`.
    pub(crate) async fn serve(self, listener: TcpListener, tasks: TaskTracker, stop: CancellationToken) {
        let console = Arc::new(self);
        let room = Arc::new(Semaphore::new(OPERATORS_MAX));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = async { (Arc::clone(&room).acquire_owned().await, listener.accept().await) } => accepted,
            };
            match accepted {
                (Ok(permit), Ok((socket, address))) => {
                    let (console, stop) = (Arc::clone(&console), stop.clone());
                    tasks.spawn(async move {
                        console.connection(socket, address, stop).await;
                        drop(permit);
                    });
                }
                (_, Err(error)) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                (Err(_), Ok(_)) => return,
            }
        }
    }

    async fn connection(&self, socket: TcpStream, address: SocketAddr, stop: CancellationToken) {
        let answer = service_fn(|request: Request<Incoming>| {
            let response = self.answer(&request);
            async move { Ok::<_, Infallible>(response) }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_DEADLINE)
            .serve_connection(TokioIo::new(socket), answer);
        tokio::select! {
            ended = tokio::time::timeout(CONNECTION_AGE, served) => {
                if let Ok(Err(error)) = ended {
                    tracing::debug!(%address, %error, "connection ended");
                }
            }
            () = stop.cancelled() => {}
        }
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let known = matches!(*request.method(), Method::GET | Method::HEAD);
        match request.uri().path() {
            "/health" | "/health/ready" | "/health/live" if known => self.health(),
            "/metrics" if known => said(StatusCode::OK, "text/plain; version=0.0.4", self.metrics.render()),
            "/health" | "/health/ready" | "/health/live" | "/metrics" => {
                said(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "GET only\n".to_owned())
            }
            _ => said(StatusCode::NOT_FOUND, "text/plain", "here are /health and /metrics\n".to_owned()),
        }
    }

    /// A control plane without its database still serves nodes: degraded, and not down.
    fn health(&self) -> Response<Full<Bytes>> {
        let database = self.store.health();
        let fleets: serde_json::Map<_, _> = self
            .hub
            .fleets()
            .iter()
            .map(|fleet| {
                let version = fleet.head().map(|head| head.version.number);
                (fleet.name.clone(), json!({ "version": version, "nodes": fleet.nodes().len() }))
            })
            .collect();
        let stale_since = database.err().map(unix_seconds);
        let body = json!({
            "status": if database.is_ok() { "ok" } else { "degraded" },
            "database": { "status": if database.is_ok() { "ok" } else { "unavailable" }, "since": stale_since },
            "fleets": fleets,
        });
        said(StatusCode::OK, "application/json", body.to_string())
    }
}

fn unix_seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn said(status: StatusCode, media_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
