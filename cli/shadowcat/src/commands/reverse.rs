//! `shadowcat reverse`: a gateway in front of one MCP server, or as a configuration file says.

use std::path::PathBuf;

use anyhow::{anyhow, bail};
use shadowcat_config::{Node, load_local};
use shadowcat_control_plane::default_data_dir;
use shadowcat_proxy::record::SpoolSettings;
use shadowcat_proxy::{DEFAULT_BIND, Gateway, watch_file};

use super::{Ended, gateway};
use crate::args::{Behind, ReverseArgs};
use crate::upstream_arg::UpstreamArg;

/// What is recorded, in the data directory.
const SPOOL_DIR: &str = "spool";

/// Serves until told to stop.
pub(super) async fn run(args: ReverseArgs) -> anyhow::Result<Ended> {
    let node = Node { bind: args.bind, ..Node::default() };
    match args.behind {
        Behind { upstream: Some(upstream), .. } => serve_one(upstream, node).await,
        Behind { config: Some(path), .. } => serve_file(path, node, args.data_dir).await,
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
async fn serve_file(path: PathBuf, flags: Node, data_dir: Option<PathBuf>) -> anyhow::Result<Ended> {
    let local = load_local(&path).map_err(|mistakes| anyhow!("the configuration is refused\n{mistakes}"))?;
    let node = Node { bind: flags.bind.or(local.node.bind), ..local.node.clone() };
    let mut builder = Gateway::builder(local.config.clone());
    if local.config.records() {
        let dir = data_dir.unwrap_or_else(default_data_dir).join(SPOOL_DIR);
        builder = builder.spool(SpoolSettings { dir, node: String::new(), bounds: local.node.spool });
    }
    let gateway = gateway::open(builder, &node).await?;
    tracing::info!(address = %gateway.local_addr()?, config = %path.display(), "listening");
    let control = gateway.control();
    tokio::select! {
        ended = gateway::serve(gateway) => Ok(ended),
        () = watch_file(path, local, control) => bail!("the configuration file is no longer followed"),
    }
}
