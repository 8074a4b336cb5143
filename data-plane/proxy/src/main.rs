//! `shadowcat-data-plane`: one replica.
//!
//! The story: become the reaper if that is what this process was started for; read the flags; set up logs; read the
//! configuration; open the sockets; serve; drain; exit with 0 if nothing was cut.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use shadowcat_config::{LocalConfig, RedisUrl, load_local};
use shadowcat_proxy::{Gateway, GatewayBuilder, LogFormat, init_logging, raise_file_limit, stop_signal, watch_file};
use shadowcat_session::RedisStore;
use shadowcat_upstream::reaper;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where operators are served unless they choose otherwise.
const DEFAULT_OPS_BIND: &str = "127.0.0.1:9090";

/// One replica of a Shadowcat fleet: a gateway between MCP clients and MCP servers.
#[derive(Debug, Parser)]
#[command(version)]
struct Flags {
    /// The configuration: a YAML or JSON file, read again when it changes
    #[arg(long, env = "SHADOWCAT_CONFIG", value_name = "FILE")]
    config: PathBuf,
    /// Where sessions are shared with other replicas; overrides node.redis
    #[arg(long, env = "SHADOWCAT_REDIS", value_name = "URL")]
    redis: Option<RedisUrl>,
    /// The address for MCP clients; overrides node.bind [default: 127.0.0.1:8080]
    #[arg(long, env = "SHADOWCAT_BIND", value_name = "ADDR")]
    bind: Option<SocketAddr>,
    /// The address for health and metrics
    #[arg(long, env = "SHADOWCAT_OPS_BIND", value_name = "ADDR", default_value = DEFAULT_OPS_BIND)]
    ops_bind: SocketAddr,
    /// What to log: a level, or directives such as info,shadowcat_proxy=debug
    #[arg(long, env = "SHADOWCAT_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
    /// How to log
    #[arg(long, env = "SHADOWCAT_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
}

fn main() -> ExitCode {
    if reaper::run_if_asked() {
        return ExitCode::SUCCESS;
    }
    let flags = Flags::parse();
    match run(flags) {
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
async fn run(flags: Flags) -> anyhow::Result<bool> {
    init_logging(&flags.log, flags.log_format).context("--log")?;
    raise_file_limit();
    let local = load_local(&flags.config)
        .map_err(|diagnostics| anyhow::anyhow!("the configuration is refused\n{diagnostics}"))?;
    let gateway = builder(&flags, &local).await?.build().await?;
    tracing::info!("listening on {}", url(&gateway, &local)?);
    if let Some(operations) = gateway.operations_addr() {
        tracing::info!("operations on http://{operations}/health");
    }
    let control = gateway.control();
    tokio::select! {
        whole = gateway.serve(stop_signal()) => Ok(whole),
        () = watch_file(flags.config, local, control) => unreachable!("the file is followed for ever"),
    }
}

async fn builder(flags: &Flags, local: &LocalConfig) -> anyhow::Result<GatewayBuilder> {
    let mut builder = Gateway::builder(local.config.clone()).operations(flags.ops_bind);
    if let Some(address) = flags.bind.or(local.node.bind) {
        builder = builder.bind(address);
    }
    if let Some(tls) = local.node.tls.clone() {
        builder = builder.tls(tls);
    }
    if let Some(url) = flags.redis.as_ref().or(local.node.redis.as_ref()) {
        let store = RedisStore::connect(url.as_str(), builder.store_options())
            .await
            .map_err(anyhow::Error::msg)
            .context("--redis")?;
        builder = builder.session_store(Arc::new(store));
    }
    Ok(builder)
}

fn url(gateway: &Gateway, local: &LocalConfig) -> anyhow::Result<String> {
    let scheme = if local.node.tls.is_some() { "https" } else { "http" };
    Ok(format!("{scheme}://{}", gateway.local_addr()?))
}
