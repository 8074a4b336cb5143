//! What calls go through.

use std::fmt;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use anyhow::Context as _;
use clap::ValueEnum;
use serde::Serialize;

use super::{Binaries, gateway, nginx};
use crate::process::{Process, Proxy};
use crate::usage::Usage;

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
    /// `shadowcat reverse`, which records every call whole.
    ShadowcatRecording,
}

impl Subject {
    /// All, in the order of the tables.
    pub(super) const ALL: [Self; 6] =
        [Self::Direct, Self::Nginx, Self::Floor, Self::Shadowcat, Self::ShadowcatRedis, Self::ShadowcatRecording];

    /// Starts it in front of `upstream`.
    pub(super) fn start(self, upstream: SocketAddr, binaries: &Binaries) -> anyhow::Result<Running> {
        let proxy = match self {
            Self::Direct => Ok(None),
            Self::Nginx => nginx::start(upstream).map(Some),
            Self::Floor => start_floor(upstream, binaries).map(Some),
            Self::Shadowcat => gateway::start(upstream, binaries).map(Some),
            Self::ShadowcatRedis => gateway::start_with_redis(upstream, binaries).map(Some),
            Self::ShadowcatRecording => gateway::start_recording(upstream, binaries).map(Some),
        };
        let proxy = proxy.with_context(|| self.to_string())?;
        let address = proxy.as_ref().map_or(upstream, |proxy| proxy.address);
        Ok(Running { subject: self, address, proxy })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Floor => "floor",
            Self::Shadowcat => "shadowcat",
            Self::ShadowcatRedis => "shadowcat, Redis",
            Self::ShadowcatRecording => "shadowcat, recording",
        })
    }
}

/// A subject that can be called. Its proxy ends with this value.
pub(super) struct Running {
    pub(super) subject: Subject,
    /// Where it is called.
    pub(super) address: SocketAddr,
    proxy: Option<Proxy>,
}

impl Running {
    /// What its proxy has used so far; nothing where there is none.
    pub(super) fn usage(&self) -> anyhow::Result<Option<Usage>> {
        self.proxy.as_ref().map(|proxy| proxy.process.usage()).transpose().with_context(|| self.subject.to_string())
    }
}

fn start_floor(upstream: SocketAddr, binaries: &Binaries) -> anyhow::Result<Proxy> {
    let files = tempfile::tempdir()?;
    let mut command = Command::new(&binaries.benches);
    command.args(["floor", "--upstream", &upstream.to_string()]);
    let (process, address) = Process::start_server(&mut command, files.path())?;
    Proxy::wait_for(process, address, files, || TcpStream::connect(address).is_ok())
}
