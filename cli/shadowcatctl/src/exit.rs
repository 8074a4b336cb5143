//! How the program ends, for scripts.

/// The process's exit code. Numbers do not change: scripts compare them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It was done.
    Done = 0,
    /// It failed for a reason that has no number of its own.
    Failed = 1,
    /// The command line, the environment or the contexts do not say what to do.
    Usage = 2,
    /// The configuration has mistakes; nothing was changed.
    Invalid = 3,
    /// The control plane, or what it needs, does not answer; or another one does.
    Unreachable = 4,
    /// The token is not good for this.
    Denied = 5,
    /// Somebody else changed it first; nothing was changed.
    Conflict = 6,
    /// It was committed, and a node will not have it.
    Rejected = 7,
}

/// The codes as `--help` shows them.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  wrong usage
  3  invalid configuration, nothing was changed
  4  control plane not reachable, or not the one that was meant
  5  denied: wrong token, or a role that may not do this
  6  conflict: the current version is another one, nothing was changed
  7  committed, but rejected by a node";
