//! How an exchange with an upstream fails: where, why, and whether the server may have seen it.

/// The stage of an exchange that failed, as it stands in the error's `data.stage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Waiting for a free connection or child.
    Queue,
    /// Name look-up, TCP and TLS.
    Connect,
    /// Starting the child process.
    Spawn,
    /// Sending the message.
    Write,
    /// Waiting for the head of the answer.
    FirstByte,
    /// Reading the answer.
    Body,
}

/// Why it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nobody there, or the connection or child broke.
    Unreachable,
    /// A bound on time passed.
    TimedOut,
    /// What came is not what the protocol allows.
    BrokeProtocol,
    /// Every connection or child is taken and the wait was bounded.
    Overloaded,
}

/// A failed exchange.
#[derive(Debug, Clone, thiserror::Error)]
#[error("upstream {upstream}: {detail}")]
pub struct UpstreamError {
    /// The upstream's name.
    pub upstream: Box<str>,
    /// Where it failed.
    pub stage: Stage,
    /// Why it failed.
    pub why: Why,
    /// True unless it is certain that no byte of the message left the gateway: such a call must never be repeated.
    pub sent: bool,
    /// One sentence for a person, with the hint; for a dead child the tail of its stderr.
    pub detail: String,
}
