//! One data plane: a running binary, its ports, and what it says about itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use http::StatusCode;

use crate::program::{Process, Program, binary, command};
use crate::{Client, Metrics, eventually, free_port};

/// From start to ready takes tens of milliseconds; the rest is for a machine busy with other tests.
const READY_WITHIN: Duration = Duration::from_secs(15);

/// Which program is the data plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    /// `shadowcat-data-plane`.
    DataPlane,
    /// `shadowcat reverse`.
    Reverse,
}

/// One data plane.
#[derive(Debug)]
pub struct DataPlane {
    name: String,
    program: Program,
    port: u16,
    operations_port: u16,
    launch: Launch,
}

impl DataPlane {
    /// Starts one with a configuration file. `environment` is what it has beside that of the test.
    pub(crate) fn start(
        kind: Binary,
        name: String,
        environment: &[(String, String)],
        dir: &Path,
        configuration: &Path,
    ) -> Self {
        let configuration = configuration.to_str().expect("a temporary directory's name is text");
        let arguments = vec!["--config".to_owned(), configuration.to_owned()];
        Self::launch(
            name,
            Launch { kind, dir: dir.to_owned(), data_dir: None, arguments, environment: environment.to_vec() },
        )
    }

    /// Starts one that gets its configuration from a control plane.
    pub(crate) fn join(name: String, dir: &Path, arguments: Vec<String>) -> Self {
        let data_dir = Some(dir.join(format!("{name}-data")));
        let arguments = [vec!["--node".to_owned(), name.clone()], arguments].concat();
        let kind = Binary::DataPlane;
        Self::launch(name, Launch { kind, dir: dir.to_owned(), data_dir, arguments, environment: Vec::new() })
    }

    fn launch(name: String, launch: Launch) -> Self {
        let port = free_port();
        // On one machine everything is on one port.
        let operations_port = if launch.kind == Binary::Reverse { port } else { free_port() };
        let program = Program::start(&name, &launch.dir, &mut launch.command((port, operations_port)));
        Self { name, program, port, operations_port, launch }
    }

    /// Starts a second one on a copy of this one's directory, as a machine does that was made from another's image.
    pub(crate) fn cloned(&self) -> Self {
        let name = format!("{}-clone", self.name);
        let data_dir = self.launch.dir.join(format!("{name}-data"));
        copy_dir(self.data_dir(), &data_dir);
        Self::launch(name, Launch { data_dir: Some(data_dir), ..self.launch.clone() })
    }

    /// Where it keeps its files.
    ///
    /// # Panics
    ///
    /// If it is not under a control plane.
    pub fn data_dir(&self) -> &Path {
        self.launch.data_dir.as_ref().expect("a data plane under a control plane")
    }

    /// Starts it again after its end, at the same ports and on the same directory.
    pub fn start_again(&mut self) {
        self.program.kill();
        let mut command = self.launch.command((self.port, self.operations_port));
        self.program = Program::start(&self.name, &self.launch.dir, &mut command);
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&mut self) {
        let what = format!("{} is ready", self.name);
        eventually(&what, READY_WITHIN, async || {
            if let Some(status) = self.program.ended() {
                panic!("{} ended on start: {status}\n{}", self.name, self.program.log());
            }
            (self.health("/health").await?.0 == StatusCode::OK).then_some(())
        })
        .await;
    }

    /// A URL of its MCP port.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The address of every port it listens on.
    pub fn listeners(&self) -> Vec<u16> {
        let mut ports = vec![self.port, self.operations_port];
        ports.dedup();
        ports
    }

    /// Status and body of a health path on the operations port; `None` where nobody answers.
    pub async fn health(&self, path: &str) -> Option<(StatusCode, String)> {
        let client = Client::to(format!("http://127.0.0.1:{}{path}", self.operations_port));
        let reply = client.exchange(http::Method::GET, bytes::Bytes::new()).await.ok()?;
        Some((reply.status(), reply.text().await.ok()?))
    }

    /// A scrape of its metrics.
    pub async fn metrics(&self) -> Metrics {
        let (status, text) = self.health("/metrics").await.expect("a living data plane shows its metrics");
        assert_eq!(status, StatusCode::OK, "{text}");
        Metrics::parse(&text)
    }

    /// Waits until a metric, summed over its series, is what it should be.
    pub async fn metric_is(&self, name: &str, wanted: f64, limit: Duration) {
        eventually(&format!("{name} is {wanted}"), limit, async || {
            (self.metrics().await.sum(name, &[]).unwrap_or_default() == wanted).then_some(())
        })
        .await;
    }

    /// The program, to look at or to end.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        self.program.log()
    }

    /// Its process.
    pub fn process(&self) -> Process {
        self.program.process()
    }
}

/// What a data plane is started with, each time.
#[derive(Debug, Clone)]
struct Launch {
    kind: Binary,
    /// Where its log goes.
    dir: PathBuf,
    /// Under a control plane.
    data_dir: Option<PathBuf>,
    arguments: Vec<String>,
    /// Beside that of the test.
    environment: Vec<(String, String)>,
}

impl Launch {
    fn command(&self, ports: (u16, u16)) -> Command {
        let mut data_plane = match self.kind {
            Binary::DataPlane => command(binary("shadowcat-data-plane")),
            Binary::Reverse => command(binary("shadowcat")),
        };
        match self.kind {
            Binary::DataPlane => data_plane.args(["--ops-bind", &format!("127.0.0.1:{}", ports.1)]),
            Binary::Reverse => data_plane.arg("reverse"),
        };
        data_plane.args(["--bind", &format!("127.0.0.1:{}", ports.0)]).args(&self.arguments);
        if let Some(data_dir) = &self.data_dir {
            data_plane.arg("--data-dir").arg(data_dir);
        }
        data_plane.envs(self.environment.iter().map(|(name, value)| (name, value)));
        data_plane
    }
}

/// Copies what is there: whoever uses the directory may rename or remove a file between two looks.
fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("the temporary directory is writable");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_dir(&from, &to);
        } else {
            match std::fs::copy(from, to) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied.expect("a file can be copied")),
            }
        }
    }
}
