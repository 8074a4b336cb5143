//! The accept loop of the two servers in this crate: HTTP/1.1 on every connection, no deadline, no limit, no
//! politeness.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::Context as _;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What a server says on its standard output, before its address, once it can be called.
pub(crate) const LISTENING: &str = "listening on ";

/// Listens on `bind`, and says so.
pub(crate) async fn listen(bind: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(bind).await.with_context(|| format!("cannot listen on {bind}"))?;
    println!("{LISTENING}{}", listener.local_addr()?);
    Ok(listener)
}

/// Serves `answer` until the process ends.
pub(crate) async fn serve<A, F, B>(listener: TcpListener, answer: A) -> anyhow::Result<()>
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>, Data: Send> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                let answer = answer.clone();
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let answer = answer(request);
                        async move { Ok::<_, Infallible>(answer.await) }
                    });
                    // A client that hangs up is no news here: what it missed, the load generator counts.
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
            // Finished connections are taken out, so that the set holds live ones only.
            Some(_) = connections.join_next() => {}
        }
    }
}
