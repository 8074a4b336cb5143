//! How an exchange with an upstream fails: where, why, and whether the server may have seen it.

/// The stage of an exchange that failed, as it stands in the error's `data.stage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

impl Stage {
    /// The stage's name in errors, logs and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Connect => "connect",
            Self::Spawn => "spawn",
            Self::Write => "write",
            Self::FirstByte => "first_byte",
            Self::Body => "body",
        }
    }
}

/// Why it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// True unless it is certain that the call did not run, because no byte of the message left the gateway, or because the
    /// server said so (HTTP/2: RFC 9113, section 8.7). While it is true the call must never be repeated.
    pub sent: bool,
    /// One sentence for a person, with the hint; for a dead child the tail of its stderr.
    pub detail: String,
}

impl UpstreamError {
    /// A failure after which it is certain that the call did not run: it may be repeated.
    pub(crate) fn unsent(upstream: &str, stage: Stage, why: Why, detail: impl Into<String>) -> Self {
        Self { upstream: upstream.into(), stage, why, sent: false, detail: detail.into() }
    }

    /// A failure after which nobody can say what the server has seen of the message.
    pub(crate) fn sent(upstream: &str, stage: Stage, why: Why, detail: impl Into<String>) -> Self {
        Self { upstream: upstream.into(), stage, why, sent: true, detail: detail.into() }
    }
}
