//! What a process that is a gateway does once, at its start and at its end.

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::gateway::Stop;

/// Raises the soft limit on file descriptors to the hard one: a stream takes two, and the usual soft limit of 1 024 dates from
/// `select`. Children inherit the old one only through their own `exec`, as everywhere.
pub fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit on open files stays; connections beyond it are refused");
    }
}

/// Resolves when the process is told to stop: SIGTERM asks for an orderly stop, SIGINT for a prompt one.
pub async fn stop_signal() -> Stop {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be caught; only a kill will stop this process");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => Stop::ORDERLY,
        _ = interrupt.recv() => Stop::PROMPT,
    }
}
