//! The control plane that is measured: the shipped program, started as its users start it, and the ways to it.

pub(crate) mod join;
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;
use shadowcat_proto::admin::v1::configurations_client::ConfigurationsClient;
use shadowcat_proto::admin::v1::nodes_client::NodesClient;
use shadowcat_proto::admin::v1::tapes_client::TapesClient;
use shadowcat_proto::admin::v1::{ApplyRequest, CreateJoinTokenRequest};
use shadowcat_proto::config::v1::Config;
use tempfile::TempDir;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use crate::process::{Process, free_address, is_ok};
use crate::usage::Usage;

/// The name that the control plane writes its first admin token under.
const ADMIN_TOKEN: &str = "admin-token";

/// A control plane and what it keeps. Both end with this value.
pub(crate) struct Plane {
    program: PathBuf,
    /// SQLite in its own files, if none is named.
    database: Option<String>,
    /// Where nodes and operators call.
    pub(crate) address: SocketAddr,
    console: SocketAddr,
    /// Taken while it is down; before the files, so that it ends before they do.
    process: Option<Process>,
    files: TempDir,
}

impl Plane {
    /// Starts it with nothing in its database, and waits until it serves.
    pub(crate) fn start(program: PathBuf, database: Option<String>) -> anyhow::Result<Self> {
        let (address, console) = (free_address()?, free_address()?);
        let mut plane = Self { program, database, address, console, process: None, files: tempfile::tempdir()? };
        plane.launch()?;
        if let Some(process) = &mut plane.process {
            process.wait_until(|| is_ok(console, "/health").unwrap_or(false)).context("the control plane")?;
        }
        Ok(plane)
    }

    /// Starts it on what is there, and does not wait; returns when that was.
    pub(crate) fn launch(&mut self) -> anyhow::Result<Instant> {
        let mut command = Command::new(&self.program);
        command.args(["--bind", &self.address.to_string(), "--console-bind", &self.console.to_string()]);
        command.arg("--data-dir").arg(self.files.path()).stdout(Stdio::null());
        command.args(self.database.iter().flat_map(|url| ["--database", url]));
        let process = Process::start(&mut command, self.files.path())?;
        let started = process.started();
        self.process = Some(process);
        Ok(started)
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.process.take().map_or(Ok(()), Process::kill)
    }

    /// Where it keeps what is not in its database.
    pub(crate) fn files(&self) -> &Path {
        self.files.path()
    }

    /// What it has used since it was started.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        self.process.as_ref().context("the control plane is down")?.usage()
    }

    /// A way to its admin API, with the token of the first admin. To be called on a runtime.
    pub(crate) fn admin(&self) -> anyhow::Result<Admin> {
        let token = std::fs::read_to_string(self.files.path().join(ADMIN_TOKEN)).context("no first admin token")?;
        let channel = Endpoint::from_shared(format!("http://{}", self.address))?.connect_lazy();
        Ok(Admin { channel, bearer: format!("Bearer {}", token.trim()) })
    }
}

/// An operator.
pub(crate) struct Admin {
    channel: Channel,
    bearer: String,
}

impl Admin {
    /// Commits a configuration; the number of the version that it became.
    pub(crate) async fn apply(&self, config: Config) -> anyhow::Result<u64> {
        let request = ApplyRequest { config: Some(config), ..ApplyRequest::default() };
        let applied = ConfigurationsClient::new(self.channel.clone()).apply(self.ask(request)?).await?.into_inner();
        let reference = applied.version.and_then(|version| version.r#ref);
        Ok(reference.context("an answer to Apply that names no version")?.number)
    }

    /// A join token for so many nodes.
    pub(crate) async fn join_token(&self, nodes: usize) -> anyhow::Result<String> {
        let request = CreateJoinTokenRequest { uses: u32::try_from(nodes)?, ..CreateJoinTokenRequest::default() };
        Ok(NodesClient::new(self.channel.clone()).create_join_token(self.ask(request)?).await?.into_inner().token)
    }

    /// The tapes.
    pub(crate) fn tapes(&self) -> TapesClient<Channel> {
        TapesClient::new(self.channel.clone())
    }

    /// A request in the operator's name.
    pub(crate) fn ask<T>(&self, message: T) -> anyhow::Result<Request<T>> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.bearer.parse()?);
        Ok(request)
    }
}
