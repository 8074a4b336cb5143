//! The floor: hyper's server, hyper-util's pooling client, and nothing between them.
//!
//! This is what any gateway built on hyper pays before it has understood a byte. It runs on tokio's default runtime,
//! as the gateway does.

use std::net::SocketAddr;

use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{Either, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;

use crate::serve;

/// Passes HTTP on and understands nothing of it.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where to listen; port 0 takes a free one, which is printed
    #[arg(long, default_value = "127.0.0.1:0")]
    bind: SocketAddr,
    /// The server behind: HOST:PORT
    #[arg(long)]
    upstream: Authority,
}

type Answer = Response<Either<Incoming, Empty<Bytes>>>;

/// Serves until the process ends.
pub(crate) fn serve(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async { serve_on(serve::listen(options.bind).await?, options.upstream.clone()).await })
}

/// Serves on `listener`, in front of `upstream`.
pub(crate) async fn serve_on(listener: TcpListener, upstream: Authority) -> anyhow::Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    serve::serve(listener, move |request| pass(client.clone(), upstream.clone(), request)).await
}

async fn pass(client: Client<HttpConnector, Incoming>, upstream: Authority, mut request: Request<Incoming>) -> Answer {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(upstream);
    let answer = match Uri::from_parts(parts) {
        Ok(uri) => {
            *request.uri_mut() = uri;
            client.request(request).await.ok()
        }
        Err(_) => None,
    };
    answer.map_or_else(bad_gateway, |answer| answer.map(Either::Left))
}

fn bad_gateway() -> Answer {
    let mut answer = Response::new(Either::Right(Empty::new()));
    *answer.status_mut() = StatusCode::BAD_GATEWAY;
    answer
}
