//! What a stdio upstream is told.

use std::fmt;
use std::time::Duration;

use super::observer::Watch;

/// Children of one upstream at once. A child takes four descriptors of the gateway and tens of megabytes of its own, so
/// this is what one machine may carry, not what one needs.
const DEFAULT_MAX_CHILDREN: u32 = 1024;

/// How long a child may stay unused. Starting one takes seconds where a package runner is in between, and clients pause
/// for minutes between calls.
const DEFAULT_STOP_WHEN_IDLE_FOR: Duration = Duration::from_secs(300);

/// Bound on the time to the first message of an answer: a first start may download the server.
const DEFAULT_FIRST_BYTE: Duration = Duration::from_secs(60);

/// Bound on silence in the middle of an answer.
const DEFAULT_IDLE: Duration = Duration::from_secs(300);

/// Who uses a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// One session has it to itself.
    #[default]
    PerSession,
    /// All sessions together. Ids are rewritten, and the server cannot ask its clients anything.
    Shared,
}

/// An MCP server that is a child process.
#[derive(Clone)]
pub struct StdioSettings {
    /// The upstream's name.
    pub name: String,
    /// The program and its arguments; a program without a slash is looked for on `PATH`.
    pub command: Vec<String>,
    /// Variables beside the inherited ones, secrets resolved.
    pub env: Vec<(String, String)>,
    /// Who uses a child.
    pub sharing: Sharing,
    /// A child unused for this long is stopped, and its session ends.
    pub stop_when_idle_for: Duration,
    /// Children at once; a call beyond waits one second and is refused.
    pub max_children: u32,
    /// Bound on the time from the start of a call to the first message of its answer.
    pub first_byte: Duration,
    /// Bound on silence in the middle of an answer.
    pub idle: Duration,
    /// Who is told of the children, and what cleans their words before they are logged.
    pub watch: Watch,
}

impl StdioSettings {
    /// A command with every other setting at its default.
    #[must_use]
    pub fn new(name: impl Into<String>, command: Vec<String>) -> Self {
        Self {
            name: name.into(),
            command,
            env: Vec::new(),
            sharing: Sharing::default(),
            stop_when_idle_for: DEFAULT_STOP_WHEN_IDLE_FOR,
            max_children: DEFAULT_MAX_CHILDREN,
            first_byte: DEFAULT_FIRST_BYTE,
            idle: DEFAULT_IDLE,
            watch: Watch::default(),
        }
    }
}

impl fmt::Debug for StdioSettings {
    /// Names the program without its arguments and the variables without their values: those may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdioSettings")
            .field("name", &self.name)
            .field("program", &self.command.first())
            .field("env", &self.env.iter().map(|(name, _value)| name.as_str()).collect::<Vec<_>>())
            .field("sharing", &self.sharing)
            .field("stop_when_idle_for", &self.stop_when_idle_for)
            .field("max_children", &self.max_children)
            .field("first_byte", &self.first_byte)
            .field("idle", &self.idle)
            .field("watch", &self.watch)
            .finish()
    }
}
