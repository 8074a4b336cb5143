//! A private Postgres.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use crate::{Program, Signal, eventually, free_port};

/// How long a Postgres may take to start on a busy machine.
const START: Duration = Duration::from_secs(30);

/// Where Debian keeps the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// What a crash of the machine would lose does not matter to a test; what a crash of the process loses does, and is not lost.
const NOT_SYNCED: [&str; 2] = ["-c", "fsync=off"];

/// A Postgres on a free port of loopback, whose files die with it.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    settings: &'static [&'static str],
    directory: PathBuf,
    program: Program,
}

impl Postgres {
    /// Makes a cluster in `dir` and starts it.
    pub async fn start(dir: &Path) -> Self {
        Self::with(dir, &NOT_SYNCED).await
    }

    /// The same with every setting as it comes, for measurements.
    pub async fn durable(dir: &Path) -> Self {
        Self::with(dir, &[]).await
    }

    async fn with(dir: &Path, settings: &'static [&'static str]) -> Self {
        let directory = dir.join("postgres");
        std::fs::create_dir(&directory).expect("the temporary directory is writable");
        let postgres_may_enter = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir, postgres_may_enter).expect("the temporary directory is ours");
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(&directory).status();
            assert!(owned.is_ok_and(|status| status.success()), "the package postgresql makes the user postgres");
        }
        let made = as_postgres("initdb")
            .args(["--auth", "trust", "--username", "shadowcat", "--no-sync", "--pgdata"])
            .arg(&directory)
            .output()
            .expect("initdb starts");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let program = launch(dir, &directory, port, settings);
        let postgres = Self { port, settings, directory, program };
        postgres.answers().await;
        postgres
    }

    /// As a control plane names it.
    pub fn url(&self) -> String {
        format!("postgres://shadowcat@127.0.0.1:{}/postgres", self.port)
    }

    /// All that it holds, as text.
    pub fn dump(&self) -> Vec<u8> {
        let dumped = Command::new(newest().join("pg_dump")).arg(self.url()).output().expect("pg_dump starts");
        assert!(dumped.status.success(), "pg_dump: {}", String::from_utf8_lossy(&dumped.stderr));
        dumped.stdout
    }

    /// Gone, with every connection cut.
    pub fn stop(&mut self) {
        self.program.signal(Signal::QUIT);
        self.program.kill();
        let _ = std::fs::remove_file(self.directory.join("postmaster.pid"));
    }

    /// Starts it again, with what it had committed.
    pub async fn start_again(&mut self) {
        let dir = self.directory.parent().expect("it has a directory of its own").to_owned();
        self.program = launch(&dir, &self.directory, self.port, self.settings);
        self.answers().await;
    }

    async fn answers(&self) {
        // It listens before it has recovered, and refuses everybody until then.
        let connect = async || Box::pin(PgConnection::connect(&self.url())).await.ok();
        eventually("postgres takes connections", START, connect).await;
    }
}

fn launch(dir: &Path, directory: &Path, port: u16, settings: &[&str]) -> Program {
    let mut server = as_postgres("postgres");
    server.arg("-D").arg(directory).args(["-p", &port.to_string(), "-k", "", "-h", "127.0.0.1"]);
    server.args(settings);
    Program::start("postgres", dir, &mut server)
}

/// One of its programs, as the user who may run it: not root.
fn as_postgres(name: &str) -> Command {
    let program = newest().join(name);
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]).arg(program);
    command
}

/// The folder with the programs of the newest version that is installed.
fn newest() -> PathBuf {
    let versions = std::fs::read_dir(VERSIONS).expect("postgresql is not installed: run tests/run");
    let folders = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    folders.filter(|bin| bin.join("initdb").exists()).max().expect("postgresql is not installed: run tests/run")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
