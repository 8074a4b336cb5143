//! Programs under test: started in a group of their own, looked at through `/proc`, dead when dropped.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use crate::eventually;

/// How much of a log is printed when a test fails.
const TAIL_LINES: usize = 120;

/// The path of one of the workspace's binaries, beside the test's own.
///
/// # Panics
///
/// If it is not built: `cargo test` alone does not build the binaries of other crates.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test runs from a file");
    // target/debug/deps/scenarios-0123 -> target/debug/NAME
    let path = test.ancestors().nth(2).expect("a test lies in target/PROFILE/deps").join(name);
    assert!(path.exists(), "{} is not built: run tests/run, or cargo build --workspace --bins", path.display());
    path
}

/// A running program.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts `command`; what it prints goes to a file in `dir`.
    pub fn start(name: &str, dir: &Path, command: &mut Command) -> Self {
        let log = dir.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log).expect("the temporary directory is writable");
        let err = out.try_clone().expect("an open file can be shared");
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child = child.unwrap_or_else(|error| panic!("cannot start {name} ({:?}): {error}", command.get_program()));
        Self { name: name.to_owned(), child, log }
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// Its process, which may be gone by now.
    pub fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// Sends a signal; to a process that is gone already, too.
    pub fn signal(&self, signal: Signal) {
        self.process().signal(signal);
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours can be waited for")
    }

    /// Waits until it ends by itself.
    pub async fn end(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        eventually(&what, limit, async || self.ended()).await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A paused process does not die of SIGTERM, but it does of SIGKILL.
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
            eprintln!("---- {}, the last {} lines ----\n{}\n", self.name, tail.len(), tail.join("\n"));
        }
    }
}

/// A process of this machine, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Process(u32);

impl Process {
    /// The process with this id.
    pub fn with_id(id: u32) -> Self {
        Self(id)
    }

    /// Whether it runs; a zombie does not.
    pub fn is_alive(self) -> bool {
        self.stat().is_some_and(|stat| stat.state != 'Z')
    }

    /// Sends a signal; to a process that is gone already, too.
    pub fn signal(self, signal: Signal) {
        let pid = i32::try_from(self.0).ok().and_then(Pid::from_raw).expect("a process id is a positive number");
        let _ = kill_process(pid, signal);
    }

    /// Resident memory in bytes.
    pub fn resident(self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most resident memory it has had since its start, in bytes.
    pub fn peak_resident(self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or("0 kB");
        let kib = line.trim().trim_end_matches(" kB").trim().parse::<u64>();
        kib.expect("memory is a number of kB") * 1024
    }

    /// Open file descriptors.
    pub fn descriptors(self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.0)).map_or(0, Iterator::count)
    }

    /// Every living process below this one.
    pub fn descendants(self) -> Vec<Self> {
        let all: Vec<(Self, Stat)> = all_processes().filter_map(|process| Some((process, process.stat()?))).collect();
        let mut found = Vec::new();
        let mut parents = vec![self];
        while let Some(parent) = parents.pop() {
            for (process, stat) in &all {
                if stat.parent == parent.0 && stat.state != 'Z' {
                    found.push(*process);
                    parents.push(*process);
                }
            }
        }
        found
    }

    /// Living processes whose command line contains `text`.
    pub fn with_argument(text: &str) -> Vec<Self> {
        let names_it = |process: &Self| process.command_line().is_some_and(|line| line.contains(text));
        all_processes().filter(|process| process.is_alive() && names_it(process)).collect()
    }

    fn command_line(self) -> Option<String> {
        let line = std::fs::read(format!("/proc/{}/cmdline", self.0)).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    }

    fn stat(self) -> Option<Stat> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).ok()?;
        // The name in parentheses may itself hold spaces and parentheses: what follows the last one is regular.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        Some(Stat { state: fields.next()?.chars().next()?, parent: fields.next()?.parse().ok()? })
    }
}

#[derive(Debug, Clone, Copy)]
struct Stat {
    state: char,
    parent: u32,
}

fn all_processes() -> impl Iterator<Item = Process> {
    let entries = std::fs::read_dir("/proc").expect("the tests need /proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().map(Process))
}

/// A command of `program` whose environment has none of our own settings in it.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SHADOWCAT_")) {
        command.env_remove(name);
    }
    command
}
