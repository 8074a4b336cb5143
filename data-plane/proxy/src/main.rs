//! `shadowcat-data-plane`: one replica.
//!
//! The story: become the reaper if that is what this process was started for; read the flags; set up logs; read the configuration, or
//! what is needed to get one from the control plane; open the sockets; serve; drain; exit with 0 if nothing was cut.

mod flags;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Parser;
use flags::Flags;
use shadowcat_config::{Node, load_local};
use shadowcat_proxy::fleet::{Member, MemberSettings};
use shadowcat_proxy::{Gateway, GatewayBuilder, init_logging, raise_file_limit, stop_signal, watch_file};
use shadowcat_session::RedisStore;
use shadowcat_upstream::reaper;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if reaper::run_if_asked() {
        return ExitCode::SUCCESS;
    }
    let flags = Flags::parse();
    match run(&flags) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            tracing::warn!("calls were cut when the grace period ended");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("shadowcat-data-plane: {error:#}");
            ExitCode::from(2)
        }
    }
}

#[tokio::main]
async fn run(flags: &Flags) -> anyhow::Result<bool> {
    init_logging(&flags.log, flags.log_format).context("--log")?;
    raise_file_limit();
    match (flags.membership(), flags.config.clone()) {
        (Some(settings), _) => Box::pin(serve_fleet(flags, settings)).await,
        (None, Some(path)) => serve_file(flags, path).await,
        (None, None) => bail!("nothing to serve: give --control-plane or --config"),
    }
}

/// As the file says, now and after each change.
async fn serve_file(flags: &Flags, path: PathBuf) -> anyhow::Result<bool> {
    let local =
        load_local(&path).map_err(|diagnostics| anyhow::anyhow!("the configuration is refused\n{diagnostics}"))?;
    let mut builder = Gateway::builder(local.config.clone());
    if local.config.records() {
        builder = builder.spool(flags.spool(local.node.spool));
    }
    let gateway = build(flags, builder, &local.node).await?;
    let control = gateway.control();
    tokio::select! {
        whole = gateway.serve(stop_signal()) => Ok(whole),
        () = watch_file(path, local, control) => unreachable!("the file is followed for ever"),
    }
}

/// As the control plane says; until it is heard, as this machine knows.
async fn serve_fleet(flags: &Flags, settings: MemberSettings) -> anyhow::Result<bool> {
    let member = Member::open(settings)?;
    let gateway = build(flags, Gateway::waiting().spool(member.spool()), &Node::default()).await?;
    let following = member.start(gateway.control()).await;
    tokio::select! {
        whole = gateway.serve(stop_signal()) => Ok(whole),
        () = following.run() => unreachable!("the control plane is followed for ever"),
    }
}

/// Opens the sockets; flags win over `node`.
async fn build(flags: &Flags, builder: GatewayBuilder, node: &Node) -> anyhow::Result<Gateway> {
    let mut builder = builder.operations(flags.ops_bind);
    if let Some(address) = flags.bind.or(node.bind) {
        builder = builder.bind(address);
    }
    if let Some(tls) = node.tls.clone() {
        builder = builder.tls(tls);
    }
    if let Some(url) = flags.redis.as_ref().or(node.redis.as_ref()) {
        let store = RedisStore::connect(url.as_str(), builder.store_options())
            .await
            .map_err(anyhow::Error::msg)
            .context("--redis")?;
        builder = builder.session_store(Arc::new(store));
    }
    let gateway = builder.build().await?;
    let scheme = if node.tls.is_some() { "https" } else { "http" };
    tracing::info!("listening on {scheme}://{}", gateway.local_addr()?);
    if let Some(operations) = gateway.operations_addr() {
        tracing::info!("operations on http://{operations}/health");
    }
    Ok(gateway)
}
