//! How a child ended, in the words of the request that met it.

use std::fmt;
use std::process::ExitStatus;

use crate::{Stage, UpstreamError, Why};

/// The end of a child.
#[derive(Debug, Clone)]
pub(super) struct Death {
    pub(super) cause: Cause,
    /// The end of its stderr.
    pub(super) last_words: String,
}

/// What ended it.
#[derive(Debug, Clone)]
pub(super) enum Cause {
    /// It ended by itself.
    Exited(ExitStatus),
    /// The gateway had no use for it any more.
    Stopped,
    /// It wrote something that could not be a message, and was stopped.
    LineTooLong(usize),
    /// Nobody can say: it could not be waited for.
    Lost(String),
}

impl Death {
    /// The failure of a call that had been handed to the child.
    pub(super) fn in_call(&self, upstream: &str, stage: Stage) -> UpstreamError {
        UpstreamError::sent(upstream, stage, self.why(), self.to_string())
    }

    /// The failure of a call that came after the end.
    pub(super) fn before_call(&self, upstream: &str) -> UpstreamError {
        UpstreamError::unsent(upstream, Stage::Write, self.why(), self.to_string())
    }

    fn why(&self) -> Why {
        match self.cause {
            Cause::LineTooLong(_) => Why::BrokeProtocol,
            Cause::Exited(_) | Cause::Stopped | Cause::Lost(_) => Why::Unreachable,
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server process {}", self.cause)?;
        match self.last_words.as_str() {
            "" if matches!(self.cause, Cause::Stopped) => Ok(()),
            "" => f.write_str(" and wrote nothing to stderr"),
            words => write!(f, "; the end of its stderr:\n{words}"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "ended ({status})"),
            Self::Stopped => f.write_str("was stopped by the gateway"),
            Self::LineTooLong(cap) => write!(f, "wrote a line longer than {cap} bytes and was stopped"),
            Self::Lost(error) => write!(f, "cannot be waited for ({error})"),
        }
    }
}
