//! `shadowcat-control-plane`: one replica.
//!
//! The story: read the flags; set up logs; open the database; open the ports; serve until told to stop; end what is under way.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use rustix::process::{Resource, getrlimit, setrlimit};
use shadowcat_control_plane::store::{self, Role};
use shadowcat_control_plane::token::{self, AdminToken};
use shadowcat_control_plane::{
    ControlPlane, DEFAULT_BIND, DEFAULT_CONSOLE_BIND, LogFormat, Settings, default_data_dir, init_logging,
};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One replica of Shadowcat's control plane: versions of configurations, and the nodes that run them.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Flags {
    #[command(flatten)]
    common: Common,
    /// The address for nodes and operators (gRPC, TLS; plain text to this machine alone)
    #[arg(long, env = "SHADOWCAT_BIND", value_name = "ADDRESS", default_value = DEFAULT_BIND)]
    bind: SocketAddr,
    /// The address for health and metrics
    #[arg(long, env = "SHADOWCAT_CONSOLE_BIND", value_name = "ADDRESS", default_value = DEFAULT_CONSOLE_BIND)]
    console_bind: SocketAddr,
    /// Where recorded traffic is kept: a directory, or s3://BUCKET/PREFIX [default: tapes in the data directory]
    #[arg(long, env = "SHADOWCAT_BLOBS", value_name = "URL")]
    blobs: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Where versions are kept: postgres://…, or sqlite:PATH [default: control-plane.db in the data directory]
    #[arg(long, global = true, env = "SHADOWCAT_DATABASE", value_name = "URL", hide_env_values = true)]
    database: Option<String>,
    /// Where the database and the first admin token are [default: the platform's directory for data]
    #[arg(long, global = true, env = "SHADOWCAT_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// What to log: a level, or directives such as info,shadowcat_control_plane=debug
    #[arg(long, global = true, env = "SHADOWCAT_LOG", value_name = "DIRECTIVES", default_value = "info")]
    log: String,
    /// How to log
    #[arg(long, global = true, env = "SHADOWCAT_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes an admin token, straight in the database, and prints it
    Token {
        /// Whose it is: the author in histories and audit records
        #[arg(long, default_value = token::FIRST_ADMIN)]
        name: String,
        /// What it may do
        #[arg(long, default_value = Role::Admin.as_str(), value_parser = Role::ALL.map(Role::as_str))]
        role: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shadowcat-control-plane: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(flags: Flags) -> anyhow::Result<()> {
    init_logging(&flags.common.log, flags.common.log_format).context("--log")?;
    let mut settings = Settings::new(flags.common.data_dir.unwrap_or_else(default_data_dir));
    (settings.bind, settings.console_bind) = (flags.bind, flags.console_bind);
    settings.database = flags.common.database.unwrap_or(settings.database);
    settings.blobs = flags.blobs.unwrap_or(settings.blobs);
    if let Some(Command::Token { name, role }) = flags.command {
        return make_token(&settings.database, &name, &role).await;
    }
    raise_file_limit();
    let stop = stop_signal()?;
    let plane = ControlPlane::build(settings).await?;
    tracing::info!("nodes and operators on https://{}", plane.grpc_addr());
    tracing::info!("health and metrics on http://{}/health", plane.console_addr());
    tracing::info!("{}", plane.first_token());
    Ok(plane.serve(stop).await?)
}

async fn make_token(database: &str, name: &str, role: &str) -> anyhow::Result<()> {
    let store = store::open(database).await?;
    let token = AdminToken::generate().context("no random bytes")?;
    let role = Role::named(role).context("--role")?;
    token::keep(store.as_ref(), &token, name, role).await?;
    store.close().await;
    #[allow(clippy::print_stdout, reason = "it is what was asked for")]
    {
        println!("{}", token.reveal());
    }
    Ok(())
}

/// A stream of a node takes a descriptor; the usual soft limit of 1 024 dates from `select`.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit on open files stays; connections beyond it are refused");
    }
}

/// Resolves when the process is told to stop, by SIGTERM or SIGINT.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
