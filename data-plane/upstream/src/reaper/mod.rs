//! The process that ends the children of a gateway which could not do so itself.
//!
//! A gateway that is killed (`kill -9`, out of memory) runs no destructor. So the first stdio child brings with it a
//! second process of the same binary, the reaper, which holds the read end of a pipe and a list of process groups. While
//! the gateway lives it writes a line for each group that comes (`+123`) or is gone (`-123`). When the gateway dies, however
//! it dies, the pipe ends: the reaper terminates the groups that are left, kills them after [`TERM_GRACE`], and then every
//! process that carries this gateway's marker in its environment, so that neither a shell in between nor `setsid` lets
//! one escape.
//!
//! Invariants: the reaper leads a process group of its own, so that a signal to the terminal's foreground group does not
//! end it before its work; of what the gateway opened it holds its stdin alone (everything else is closed on exec), so it
//! keeps no port and no pipe of the gateway open; it starts nothing and writes nothing.
//!
//! A program opts in by calling [`run_if_asked`] first thing in `main`: the reaper is started as that same program with a
//! hidden argument. In a program that does not, [`Reaper::on_demand`] stays without a process, and children are ended by
//! destructors alone.

mod process;

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::process::Pid;

/// The hidden first argument that makes a process the reaper.
pub const ARGUMENT: &str = "__reap";

/// The variable by which a child is recognised; its value names the instance of the gateway that started it.
pub const MARKER: &str = "SHADOWCAT_CHILD_OF";

/// What groups get between TERM and KILL. Their gateway is dead and so are their pipes: there is little left to save.
pub const TERM_GRACE: Duration = Duration::from_millis(500);

/// True once the program has shown that it can be the reaper.
static CAPABLE: AtomicBool = AtomicBool::new(false);

/// To be called first thing in `main`, before threads and arguments.
///
/// True if this process was started as the reaper: its work is done, and `main` has to return. False otherwise.
#[must_use = "a reaper that goes on would be a second gateway"]
pub fn run_if_asked() -> bool {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().as_deref() != Some(OsStr::new(ARGUMENT)) {
        CAPABLE.store(true, Ordering::Relaxed);
        return false;
    }
    if let Some(instance) = arguments.next() {
        process::run(io::stdin().lock(), &instance);
    }
    true
}

/// The gateway's side of the reaper. Clones share one process; it ends when the last of them is dropped.
#[derive(Debug, Clone)]
pub struct Reaper(Option<Arc<OnDemand>>);

#[derive(Debug)]
struct OnDemand {
    /// `None` once starting it failed.
    running: OnceLock<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    instance: String,
    /// The write end; dropping it tells the reaper to finish. Absent once the reaper turned out to be dead.
    pipe: Mutex<Option<std::process::ChildStdin>>,
}

impl Reaper {
    /// A reaper that is started with the first child, if the program called [`run_if_asked`].
    #[must_use]
    pub fn on_demand() -> Self {
        Self(Some(Arc::new(OnDemand { running: OnceLock::new() })))
    }

    /// No reaper.
    #[must_use]
    pub const fn absent() -> Self {
        Self(None)
    }

    /// The variable that children carry. Starts the reaper.
    pub(crate) fn marker(&self) -> Option<(&'static str, &str)> {
        self.running().map(|running| (MARKER, running.instance.as_str()))
    }

    /// Puts a group into the reaper's care.
    pub(crate) fn watch(&self, group: Pid) {
        self.tell(format_args!("+{}\n", group.as_raw_nonzero()));
    }

    /// Takes a group that is gone out of its care: the number may soon be somebody else's.
    pub(crate) fn forget(&self, group: Pid) {
        self.tell(format_args!("-{}\n", group.as_raw_nonzero()));
    }

    fn tell(&self, line: std::fmt::Arguments<'_>) {
        let Some(running) = self.running() else { return };
        let mut pipe = running.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = pipe.as_mut() else { return };
        // The pipe does not block: a line is a few bytes, and the reaper does nothing but read.
        if let Err(error) = writer.write_all(line.to_string().as_bytes()) {
            tracing::warn!(%error, "the reaper is gone: children may outlive a gateway that is killed");
            *pipe = None;
        }
    }

    fn running(&self) -> Option<&Running> {
        let on_demand = self.0.as_ref()?;
        let start = || match Running::start() {
            Ok(running) => running,
            Err(error) => {
                tracing::warn!(%error, "the reaper cannot be started: children may outlive a gateway that is killed");
                None
            }
        };
        on_demand.running.get_or_init(start).as_ref()
    }
}

impl Running {
    fn start() -> io::Result<Option<Self>> {
        if !CAPABLE.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let instance = URL_SAFE_NO_PAD.encode(random);
        let mut reaper = Command::new(own_binary()?)
            .arg0("shadowcat-reaper")
            .args([ARGUMENT, &instance])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let pipe = reaper.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Some(Self { instance, pipe: Mutex::new(Some(pipe)) }))
    }
}

/// The binary that is running, even if its file was replaced since.
fn own_binary() -> io::Result<std::path::PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}
