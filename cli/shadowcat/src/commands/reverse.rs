//! `shadowcat reverse`: a gateway in front of one MCP server, or as a configuration file says.

use std::path::PathBuf;

use anyhow::{anyhow, bail};
use shadowcat_config::{Node, load_local};
use shadowcat_proxy::{DEFAULT_BIND, Gateway, watch_file};

use super::{Ended, gateway};
use crate::args::{Behind, ReverseArgs};
use crate::upstream_arg::UpstreamArg;

/// Serves until told to stop.
pub(super) async fn run(args: ReverseArgs) -> anyhow::Result<Ended> {
    let node = Node { bind: args.bind, ..Node::default() };
    match args.behind {
        Behind { upstream: Some(upstream), .. } => serve_one(upstream, node).await,
        Behind { config: Some(path), .. } => serve_file(path, node).await,
        Behind { upstream: None, config: None } => bail!("nothing to serve: give --upstream or --config"),
    }
}

async fn serve_one(upstream: UpstreamArg, node: Node) -> anyhow::Result<Ended> {
    let config = gateway::single(upstream.transport, node.bind.unwrap_or(DEFAULT_BIND));
    let gateway = gateway::open(Gateway::builder(config), &node).await?;
    tracing::info!(url = gateway::url(&gateway, &node)?, upstream = upstream.text, "listening");
    Ok(gateway::serve(gateway).await)
}

/// As the file says, now and after each change; `flags` win over its `node` section.
async fn serve_file(path: PathBuf, flags: Node) -> anyhow::Result<Ended> {
    let local = load_local(&path).map_err(|mistakes| anyhow!("the configuration is refused\n{mistakes}"))?;
    let node = Node { bind: flags.bind.or(local.node.bind), ..local.node.clone() };
    let gateway = gateway::open(Gateway::builder(local.config.clone()), &node).await?;
    tracing::info!(address = %gateway.local_addr()?, config = %path.display(), "listening");
    let control = gateway.control();
    tokio::select! {
        ended = gateway::serve(gateway) => Ok(ended),
        () = watch_file(path, local, control) => bail!("the configuration file is no longer followed"),
    }
}
