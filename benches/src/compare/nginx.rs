//! nginx as a plain reverse proxy: what a call costs in the proxy everybody knows.
//!
//! One worker, as there are two cores for proxy, upstream and load; upstream connections kept, as everybody else
//! keeps them; no buffering, without which SSE is no stream; no access log, as nobody else writes one.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::process::{Process, Proxy, free_address};

/// More than twice the connections of the largest measurement: two for each stream that is held.
const WORKER_CONNECTIONS: u32 = 8_192;

/// Idle upstream connections that are kept: one for each connection of the largest measurement.
const KEPT_UPSTREAM: u32 = 1_024;

/// Debian's own place, which is not in everybody's `PATH`.
const DEBIAN: &str = "/usr/sbin/nginx";

/// Starts nginx in front of `upstream`.
pub(super) fn start(upstream: SocketAddr) -> anyhow::Result<Proxy> {
    let files = tempfile::tempdir()?;
    let directory = files.path();
    let address = free_address()?;
    let configuration = directory.join("nginx.conf");
    std::fs::write(&configuration, configuration_text(address, upstream, directory))?;
    let mut command = Command::new(program()?);
    command.arg("-p").arg(directory).arg("-e").arg(directory.join("error.log")).arg("-c").arg(configuration);
    let process = Process::start(&mut command, directory)?;
    Proxy::wait_for(process, address, files, || TcpStream::connect(address).is_ok())
}

/// The version, as nginx says it.
pub(super) fn version() -> anyhow::Result<String> {
    let output = Command::new(program()?).arg("-v").output()?;
    Ok(String::from_utf8_lossy(&output.stderr).trim().trim_start_matches("nginx version: ").to_owned())
}

fn program() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join("nginx"))
        .chain([PathBuf::from(DEBIAN)])
        .find(|candidate| candidate.is_file())
        .context(
            "nginx is not installed, and everything is measured against it: run tests/run, or apt-get install nginx",
        )
}

fn configuration_text(bind: SocketAddr, upstream: SocketAddr, directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
events {{ worker_connections {WORKER_CONNECTIONS}; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    upstream reference {{
        server {upstream};
        keepalive {KEPT_UPSTREAM};
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
    }}
    server {{
        listen {bind} backlog=1024;
        location / {{
            proxy_pass http://reference;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
            proxy_read_timeout 1h;
        }}
    }}
}}
"
    )
}
