//! What calls go through, and how it is started.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use serde::Serialize;
use tempfile::TempDir;

use super::process::{Process, free_address};
use super::usage::Usage;
use super::{Binaries, nginx};
use crate::exchange::PATH;

/// How long a health check may take; it is asked again at once.
const HEALTH_DEADLINE: Duration = Duration::from_secs(1);

/// What calls go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Subject {
    /// Nothing.
    Direct,
    /// nginx, one worker.
    Nginx,
    /// The bare hyper pass-through.
    Floor,
    /// `shadowcat reverse`, sessions in memory.
    Shadowcat,
    /// `shadowcat reverse`, sessions in Redis.
    ShadowcatRedis,
}

impl Subject {
    pub(super) const ALL: [Self; 5] = [Self::Direct, Self::Nginx, Self::Floor, Self::Shadowcat, Self::ShadowcatRedis];

    pub(super) fn is_shadowcat(&self) -> bool {
        matches!(self, Self::Shadowcat | Self::ShadowcatRedis)
    }

    /// Starts it in front of `upstream`.
    pub(super) fn start(self, upstream: SocketAddr, binaries: &Binaries) -> anyhow::Result<Running> {
        let files = tempfile::tempdir()?;
        let directory = files.path();
        let started = match self {
            Self::Direct => Ok(Started::nothing(upstream)),
            Self::Nginx => start_nginx(upstream, directory),
            Self::Floor => start_floor(upstream, binaries, directory),
            Self::Shadowcat => start_shadowcat(&format!("http://{upstream}{PATH}"), binaries, directory),
            Self::ShadowcatRedis => start_shadowcat_with_redis(upstream, binaries, directory),
        };
        let Started { address, process, redis, ready_after } = started.with_context(|| self.to_string())?;
        Ok(Running { subject: self, address, ready_after, process, _redis: redis, _files: files })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Floor => "floor",
            Self::Shadowcat => "shadowcat",
            Self::ShadowcatRedis => "shadowcat, Redis",
        })
    }
}

/// A subject that can be called. Its processes end with this value, the proxy before what it stands on.
pub(super) struct Running {
    pub(super) subject: Subject,
    pub(super) address: SocketAddr,
    /// From the start of its process until it could be called.
    pub(super) ready_after: Duration,
    process: Option<Process>,
    _redis: Option<Process>,
    _files: TempDir,
}

impl Running {
    /// What the proxy has used so far; nothing where there is none.
    pub(super) fn usage(&self) -> anyhow::Result<Option<Usage>> {
        self.process.as_ref().map(Process::usage).transpose().with_context(|| self.subject.to_string())
    }
}

struct Started {
    address: SocketAddr,
    process: Option<Process>,
    redis: Option<Process>,
    ready_after: Duration,
}

impl Started {
    fn nothing(upstream: SocketAddr) -> Self {
        Self { address: upstream, process: None, redis: None, ready_after: Duration::ZERO }
    }

    fn proxy(address: SocketAddr, process: Process, ready_after: Duration) -> Self {
        Self { address, process: Some(process), redis: None, ready_after }
    }
}

/// `shadowcat reverse` in front of a stdio server of this program's own.
pub(super) fn start_shadowcat_before_stdio(binaries: &Binaries) -> anyhow::Result<Running> {
    let files = tempfile::tempdir()?;
    let server = format!("{} stdio-upstream", binaries.benches.display());
    let Started { address, process, redis, ready_after } = start_shadowcat(&server, binaries, files.path())?;
    Ok(Running { subject: Subject::Shadowcat, address, ready_after, process, _redis: redis, _files: files })
}

fn start_nginx(upstream: SocketAddr, directory: &Path) -> anyhow::Result<Started> {
    let address = free_address()?;
    let mut process = Process::start(&mut nginx::command(address, upstream, directory)?, directory)?;
    let ready_after = process.wait_until(|| TcpStream::connect(address).is_ok())?;
    Ok(Started::proxy(address, process, ready_after))
}

fn start_floor(upstream: SocketAddr, binaries: &Binaries, directory: &Path) -> anyhow::Result<Started> {
    let mut command = Command::new(&binaries.benches);
    command.args(["floor", "--upstream", &upstream.to_string()]);
    let (mut process, address) = Process::start_server(&mut command, directory)?;
    let ready_after = process.wait_until(|| TcpStream::connect(address).is_ok())?;
    Ok(Started::proxy(address, process, ready_after))
}

fn start_shadowcat(upstream: &str, binaries: &Binaries, directory: &Path) -> anyhow::Result<Started> {
    let address = free_address()?;
    let mut command = Command::new(&binaries.shadowcat);
    command.args(["reverse", "--bind", &address.to_string(), "--upstream", upstream]);
    start_gateway(&mut command, address, directory)
}

fn start_shadowcat_with_redis(upstream: SocketAddr, binaries: &Binaries, directory: &Path) -> anyhow::Result<Started> {
    let redis_address = free_address()?;
    let mut redis = Process::start(&mut redis_command(redis_address, directory), directory)?;
    redis.wait_until(|| TcpStream::connect(redis_address).is_ok()).context("redis-server")?;

    let address = free_address()?;
    let configuration = directory.join("shadowcat.yaml");
    std::fs::write(&configuration, configuration_with_redis(address, redis_address, upstream))?;
    let mut command = Command::new(&binaries.shadowcat);
    command.arg("reverse").arg("--config").arg(configuration);
    let started = start_gateway(&mut command, address, directory)?;
    Ok(Started { redis: Some(redis), ..started })
}

fn redis_command(address: SocketAddr, directory: &Path) -> Command {
    let mut command = Command::new("redis-server");
    let port = address.port().to_string();
    command.args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no", "--dir"]).arg(directory);
    command.stdout(std::process::Stdio::null());
    command
}

fn configuration_with_redis(bind: SocketAddr, redis: SocketAddr, upstream: SocketAddr) -> String {
    format!(
        "node: {{ bind: \"{bind}\", redis: \"redis://{redis}\" }}
routes:
  - name: reference
    match: {{ path: {PATH} }}
    targets: [{{ upstream: reference }}]
    sessions: {{ mode: REQUIRED }}
upstreams:
  - name: reference
    http:
      endpoints: [{{ url: \"http://{upstream}{PATH}\" }}]
"
    )
}

fn start_gateway(command: &mut Command, address: SocketAddr, directory: &Path) -> anyhow::Result<Started> {
    let mut process = Process::start(command.stdout(std::process::Stdio::null()), directory)?;
    let ready_after = process.wait_until(|| is_healthy(address).unwrap_or(false))?;
    Ok(Started::proxy(address, process, ready_after))
}

/// Whether `/health` answers 200.
fn is_healthy(address: SocketAddr) -> std::io::Result<bool> {
    const OK: &[u8] = b"HTTP/1.1 200";
    let mut stream = TcpStream::connect_timeout(&address, HEALTH_DEADLINE)?;
    stream.set_read_timeout(Some(HEALTH_DEADLINE))?;
    stream.write_all(format!("GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes())?;
    let mut status = [0; OK.len()];
    stream.read_exact(&mut status)?;
    Ok(status == OK)
}
