//! A process that is measured: started, waited for, charged, ended.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::serve::LISTENING;
use crate::usage::{Usage, family};

/// How long a process may take to start.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// Between two looks at whether a process has started: what a start is measured to.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// How long an answer to a look at a server may take; it is asked again at once.
const LOOK_DEADLINE: Duration = Duration::from_secs(1);

/// How long a process may take to end once asked to, before it is killed.
const END_DEADLINE: Duration = Duration::from_secs(5);

/// A process and those it started. Ends with this value.
pub(crate) struct Process {
    child: Child,
    started: Instant,
    log: PathBuf,
}

impl Process {
    /// Starts a process; what it says on standard error goes to a file in `directory`.
    pub(crate) fn start(command: &mut Command, directory: &Path) -> anyhow::Result<Self> {
        let program = command.get_program().to_owned();
        let name = Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let log = directory.join(format!("{name}.log"));
        let started = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child, started, log })
    }

    /// Starts one of this program's own servers, and returns with the address it took.
    pub(crate) fn start_server(command: &mut Command, directory: &Path) -> anyhow::Result<(Self, SocketAddr)> {
        let mut process = Self::start(command.stdout(Stdio::piped()), directory)?;
        let mut line = String::new();
        if let Some(stdout) = process.child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        match line.trim_end().strip_prefix(LISTENING) {
            Some(address) => Ok((process, address.parse()?)),
            None => bail!("{} did not start: {}", process.log.display(), process.last_words()),
        }
    }

    /// Returns once `ready` says so, with the time since the start.
    pub(crate) fn wait_until(&mut self, ready: impl Fn() -> bool) -> anyhow::Result<Duration> {
        loop {
            if ready() {
                return Ok(self.started.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("ended at its start with {status}: {}", self.last_words());
            }
            if self.started.elapsed() > START_DEADLINE {
                bail!("not ready within {START_DEADLINE:?}: {}", self.last_words());
            }
            pause();
        }
    }

    /// What it and those it started have used so far. Those that ended meanwhile are not charged: none here does.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of_family(self.child.id())
    }

    /// Ends it as a crash would, and those it started with it.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        family(self.child.id())?.into_iter().for_each(|pid| signal(pid, Signal::KILL));
        self.child.wait()?;
        Ok(())
    }

    /// When it was started.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    fn last_words(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default().trim().to_owned()
    }
}

impl Drop for Process {
    /// Asks first: a master process (nginx's) takes its workers along only if it is asked.
    fn drop(&mut self) {
        // What has ended and was waited for may have left its id to another.
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let family = family(self.child.id()).unwrap_or_default();
        signal(self.child.id(), Signal::TERM);
        let asked = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if asked.elapsed() > END_DEADLINE {
                eprintln!("{} did not end within {END_DEADLINE:?} and is killed", self.log.display());
                family.into_iter().for_each(|pid| signal(pid, Signal::KILL));
                break;
            }
            pause();
        }
        drop(self.child.wait());
    }
}

/// A proxy that can be called. Its processes end with this value, the proxy itself before what it stands on.
pub(crate) struct Proxy {
    /// Where it is called.
    pub(crate) address: SocketAddr,
    /// From the start of its process until it could be called.
    pub(crate) ready_after: Duration,
    /// It.
    pub(crate) process: Process,
    _below: Option<Process>,
    _files: TempDir,
}

impl Proxy {
    /// Waits until `ready` says that it can be called.
    pub(crate) fn wait_for(
        mut process: Process,
        address: SocketAddr,
        files: TempDir,
        ready: impl Fn() -> bool,
    ) -> anyhow::Result<Self> {
        let ready_after = process.wait_until(ready)?;
        Ok(Self { address, ready_after, process, _below: None, _files: files })
    }

    /// Keeps what the proxy needs running as long as the proxy.
    pub(crate) fn standing_on(self, below: Process) -> Self {
        Self { _below: Some(below), ..self }
    }
}

/// No runtime runs on this thread while a process is waited for.
#[allow(
    clippy::disallowed_methods,
    reason = "there is no runtime thread to block, and a start is timed to the millisecond"
)]
fn pause() {
    std::thread::sleep(LOOK_EVERY);
}

/// A port nobody listens on. Nothing else on the machine asks for this very one between now and its use.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Whether a GET is answered with 200.
pub(crate) fn is_ok(address: SocketAddr, path: &str) -> std::io::Result<bool> {
    Ok(get(address, path)?.starts_with("HTTP/1.1 200"))
}

/// The whole answer to a GET, head and body.
pub(crate) fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, LOOK_DEADLINE)?;
    stream.set_read_timeout(Some(LOOK_DEADLINE))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Builds programs of this workspace, each named after its package: what is measured is what the source here says.
pub(crate) fn build(programs: &[(&str, &str)]) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    for (package, program) in programs {
        command.args(["--package", package, "--bin", program]);
    }
    let status = command.status().context("cannot run cargo")?;
    ensure!(status.success(), "cargo could not build {programs:?}");
    Ok(())
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // The one way this can fail with a child of ours: it is gone already.
        kill_process(pid, signal).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ends_at_its_start_leaves_its_last_words_in_the_error() {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        let mut process = Process::start(command.args(["-c", "echo no luck >&2; exit 3"]), directory.path()).unwrap();
        let error = process.wait_until(|| false).unwrap_err().to_string();
        assert!(error.contains("no luck") && error.contains('3'), "{error}");
    }
}
