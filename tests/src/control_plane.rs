//! Control planes as an operator runs them, and the command line that drives them.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use crate::program::{Process, Program, binary, command};
use crate::{Admin, Client, Database, eventually, free_port, within};

/// From start to ready takes tens of milliseconds; the rest is for a machine busy with other tests.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// What a command may take, a wait for every node included.
const COMMAND_WITHIN: Duration = Duration::from_secs(60);

/// One control plane.
#[derive(Debug)]
pub struct ControlPlane {
    name: String,
    program: Program,
    port: u16,
    console_port: u16,
    directory: PathBuf,
    places: Places,
}

/// Where a control plane keeps what is not in its directory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// A Postgres, as it is named to a control plane.
    pub(crate) database: Option<String>,
    /// An object store: its place, and the environment with which it is found.
    pub(crate) blobs: Option<(String, Vec<(&'static str, String)>)>,
}

impl ControlPlane {
    /// Starts one whose files are in `dir`/`name`, but for what is in other places.
    pub(crate) async fn start(dir: &Path, name: &str, places: Places) -> Self {
        let (port, console_port) = (free_port(), free_port());
        let directory = dir.join(name);
        let program = launch(dir, name, (port, console_port), &places);
        let mut plane = Self { name: name.to_owned(), program, port, console_port, directory, places };
        plane.ready().await;
        plane
    }

    /// Starts it again after its end, at the same ports and on the same database.
    pub async fn restart(&mut self) {
        self.start_again();
        self.ready().await;
    }

    /// [`restart`](Self::restart), without waiting until it is ready.
    pub fn start_again(&mut self) {
        self.program.kill();
        let dir = self.directory.parent().expect("it has a directory of its own").to_owned();
        let ports = (self.port, self.console_port);
        self.program = launch(&dir, &self.name, ports, &self.places);
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&mut self) {
        let what = format!("{} is ready", self.name);
        let console = Client::to(format!("http://127.0.0.1:{}/health", self.console_port));
        eventually(&what, READY_WITHIN, async || {
            if let Some(status) = self.program.ended() {
                panic!("{} ended on start: {status}\n{}", self.name, self.program.log());
            }
            let reply = console.exchange(http::Method::GET, bytes::Bytes::new()).await.ok()?;
            (reply.status() == StatusCode::OK).then_some(())
        })
        .await;
    }

    /// Where nodes and operators find it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port of its gRPC listener, and that of its console.
    pub fn ports(&self) -> [u16; 2] {
        [self.port, self.console_port]
    }

    /// The token it made at its first start.
    pub fn token(&self) -> String {
        let token = std::fs::read_to_string(self.directory.join("admin-token"));
        token.expect("a control plane leaves its first token in its directory").trim().to_owned()
    }

    /// Runs `shadowcatctl` against it.
    pub async fn ctl(&self, arguments: &[&str]) -> Said {
        self.ctl_as(&self.token(), arguments).await
    }

    /// The same with another token.
    pub async fn ctl_as(&self, token: &str, arguments: &[&str]) -> Said {
        self.ctl_at(&self.url(), token, arguments).await
    }

    /// The same against the control plane at `url`.
    pub fn ctl_at(&self, url: &str, token: &str, arguments: &[&str]) -> impl Future<Output = Said> + Send + use<> {
        let mut ctl = tokio::process::Command::from(command(binary("shadowcatctl")));
        ctl.args(["--server", url, "--token", token]).args(arguments).kill_on_drop(true);
        // An operator's own contexts and colours are not part of a test.
        ctl.env("SHADOWCAT_CONTEXTS", self.directory.join("contexts.yaml")).env("NO_COLOR", "1");
        let what = format!("shadowcatctl {arguments:?}");
        async move { Said::new(within(&what, COMMAND_WITHIN, ctl.output()).await.expect("shadowcatctl starts")) }
    }

    /// Starts `shadowcatctl` against it with a command that goes on; what it prints is the program's log.
    pub fn start_ctl(&self, name: &str, arguments: &[&str]) -> Program {
        let mut ctl = command(binary("shadowcatctl"));
        ctl.args(["--server", &self.url(), "--token", &self.token()]).args(arguments);
        ctl.env("SHADOWCAT_CONTEXTS", self.directory.join("contexts.yaml")).env("NO_COLOR", "1");
        Program::start(name, self.directory.parent().expect("it has a directory of its own"), &mut ctl)
    }

    /// Its admin API.
    pub fn admin(&self) -> Admin {
        Admin::at(&self.url(), &self.token())
    }

    /// Its database on SQLite.
    pub fn sqlite(&self) -> Database {
        Database::at(self.directory.join("control-plane.db"))
    }

    /// The program, to look at or to end.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Its process.
    pub fn process(&self) -> Process {
        self.program.process()
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        self.program.log()
    }
}

fn launch(dir: &Path, name: &str, ports: (u16, u16), places: &Places) -> Program {
    let mut program = command(binary("shadowcat-control-plane"));
    program.args(["--bind", &format!("127.0.0.1:{}", ports.0), "--console-bind", &format!("127.0.0.1:{}", ports.1)]);
    program.arg("--data-dir").arg(dir.join(name));
    if let Some(database) = &places.database {
        program.args(["--database", database]);
    }
    if let Some((place, environment)) = &places.blobs {
        program.args(["--blobs", place]).envs(environment.iter().map(|(name, value)| (name, value)));
    }
    Program::start(name, dir, &mut program)
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Said {
    fn new(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("a command line speaks UTF-8");
        Self { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// What it said, if it ended well.
    ///
    /// # Panics
    ///
    /// If it did not.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// What it said as JSON, if it ended well.
    ///
    /// # Panics
    ///
    /// If it did not, or said something else.
    #[track_caller]
    pub fn json(self) -> Value {
        let out = self.ok();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }
}
