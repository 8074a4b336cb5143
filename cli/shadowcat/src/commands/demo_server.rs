//! `shadowcat demo-server`: the demo MCP server by itself.

use std::io::IsTerminal;

use shadowcat_proxy::stop_signal;
use tokio_util::sync::CancellationToken;

use super::Ended;
use crate::args::DemoServerArgs;
use crate::demo::{HttpListener, serve_stdio};

/// Serves over HTTP until told to stop, or over stdin and stdout until the client closes its end.
pub(super) async fn run(args: &DemoServerArgs) -> anyhow::Result<Ended> {
    if args.http {
        over_http(args).await?;
    } else {
        over_stdio().await?;
    }
    Ok(Ended::Whole)
}

async fn over_stdio() -> anyhow::Result<()> {
    if std::io::stdin().is_terminal() {
        tracing::info!("speaking MCP over stdin and stdout, one message a line; --http serves a URL instead");
    }
    tokio::select! {
        served = serve_stdio() => served,
        _ = stop_signal() => Ok(()),
    }
}

async fn over_http(args: &DemoServerArgs) -> anyhow::Result<()> {
    let listener = HttpListener::bind(args.bind).await?;
    tracing::info!(url = listener.url(), "the demo server is listening");
    let stopped = CancellationToken::new();
    let stopping = async {
        stop_signal().await;
        stopped.cancel();
    };
    tokio::join!(listener.serve(stopped.clone()), stopping);
    Ok(())
}
