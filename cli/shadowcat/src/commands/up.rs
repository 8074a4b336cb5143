//! `shadowcat up`: a gateway in front of one MCP server, for a person who wants to see one work.

use std::io::Write;

use anyhow::Context;
use shadowcat_config::{Node, Transport};

use super::banner::Banner;
use super::{Ended, gateway};
use crate::args::UpArgs;

/// Serves until told to stop; the banner on stdout is the sign that it does.
pub(super) async fn run(args: UpArgs) -> anyhow::Result<Ended> {
    let (transport, behind) = match args.upstream {
        Some(upstream) => (upstream.transport, upstream.text),
        None => (demo_server()?, "the built-in demo server".to_owned()),
    };
    let node = Node { bind: Some(args.bind), ..Node::default() };
    let gateway = gateway::build(gateway::single(transport, args.bind), &node).await?;
    greet(&Banner { url: &gateway::url(&gateway, &node)?, behind: &behind });
    Ok(gateway::serve(gateway).await)
}

/// This same program as a child: the demo server then takes the way of any other command, and needs no code of its own in the gateway.
fn demo_server() -> anyhow::Result<Transport> {
    let program =
        std::env::current_exe().context("cannot find this program's own file, to start the demo server from")?;
    let program = program.into_os_string().into_string().map_err(|path| {
        anyhow::anyhow!("the path of this program is no UTF-8: {}; move it, or give --upstream", path.display())
    })?;
    Ok(Transport::stdio(vec![program, "demo-server".to_owned()])?)
}

/// Prints the banner. Whoever closed stdout does not want it, and is served all the same.
fn greet(banner: &Banner<'_>) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = write!(stdout, "{banner}").and_then(|()| stdout.flush()) {
        tracing::debug!(%error, "the banner was not read");
    }
}
