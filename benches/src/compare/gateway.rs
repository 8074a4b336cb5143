//! `shadowcat reverse`, started as its users start it.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use tempfile::TempDir;

use super::Binaries;
use crate::exchange::PATH;
use crate::process::{Process, Proxy, free_address, is_ok};

/// Sessions in memory, configured by flags.
pub(super) fn start(upstream: SocketAddr, binaries: &Binaries) -> anyhow::Result<Proxy> {
    start_before(&format!("http://{upstream}{PATH}"), binaries)
}

/// In front of this program's own stdio server.
pub(super) fn start_before_stdio(binaries: &Binaries) -> anyhow::Result<Proxy> {
    start_before(&format!("{} stdio-upstream", binaries.benches.display()), binaries)
}

/// Sessions in a Redis of its own, configured by a file.
pub(super) fn start_with_redis(upstream: SocketAddr, binaries: &Binaries) -> anyhow::Result<Proxy> {
    let files = tempfile::tempdir()?;
    let redis_address = free_address()?;
    let mut redis = Process::start(&mut redis_command(redis_address, files.path()), files.path())?;
    redis.wait_until(|| TcpStream::connect(redis_address).is_ok()).context("redis-server")?;

    let address = free_address()?;
    let node = format!("bind: \"{address}\", redis: \"redis://{redis_address}\"");
    Ok(start_with(&configuration(&node, upstream), address, files, binaries)?.standing_on(redis))
}

/// Sessions in memory; every call is recorded whole, to a spool that keeps the latest 512 MiB.
pub(super) fn start_recording(upstream: SocketAddr, binaries: &Binaries) -> anyhow::Result<Proxy> {
    let (files, address) = (tempfile::tempdir()?, free_address()?);
    let text = configuration(&format!("bind: \"{address}\""), upstream);
    let text = text.replacen("upstreams:", "    recording: all\nrecordings: [{ name: all }]\nupstreams:", 1);
    start_with(&text, address, files, binaries)
}

fn start_with(text: &str, address: SocketAddr, files: TempDir, binaries: &Binaries) -> anyhow::Result<Proxy> {
    let configuration = files.path().join("shadowcat.yaml");
    std::fs::write(&configuration, text)?;
    let mut command = Command::new(&binaries.shadowcat);
    command.arg("reverse").arg("--config").arg(configuration).arg("--data-dir").arg(files.path()).stdout(Stdio::null());
    let process = Process::start(&mut command, files.path())?;
    Proxy::wait_for(process, address, files, || is_ok(address, "/health").unwrap_or(false))
}

fn start_before(upstream: &str, binaries: &Binaries) -> anyhow::Result<Proxy> {
    let files = tempfile::tempdir()?;
    let address = free_address()?;
    let mut command = Command::new(&binaries.shadowcat);
    command.args(["reverse", "--bind", &address.to_string(), "--upstream", upstream]).stdout(Stdio::null());
    let process = Process::start(&mut command, files.path())?;
    Proxy::wait_for(process, address, files, || is_ok(address, "/health").unwrap_or(false))
}

fn redis_command(address: SocketAddr, directory: &Path) -> Command {
    let mut command = Command::new("redis-server");
    let port = address.port().to_string();
    command.args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no", "--dir"]).arg(directory);
    command.stdout(Stdio::null());
    command
}

fn configuration(node: &str, upstream: SocketAddr) -> String {
    format!(
        "node: {{ {node} }}
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
