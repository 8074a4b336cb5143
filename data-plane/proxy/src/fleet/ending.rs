//! How lines end, in words that say what to do.

use tonic::{Code, Status};

use super::dial::DialError;
use super::identity::IdentityError;
use super::line::Violation;

/// Why a line is not there (any more).
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("the control plane does not let this node in: {0}")]
    NotLetIn(String),
    #[error("the control plane does not let this node in: {0}")]
    NameTaken(String),
    #[error("the node's certificate has expired while it could not be renewed: give --join-token to join again")]
    Expired,
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("the control plane does not answer")]
    Silent,
    #[error("the control plane takes no more messages")]
    Stuck,
    #[error("another machine uses this node's identity: {0}; give each its own --data-dir")]
    Cloned(String),
    #[error("the control plane refuses this node: {0}")]
    Refused(String),
    #[error("the line ended: {0}")]
    Ended(String),
    #[error(transparent)]
    Violated(#[from] Violation),
}

impl LineError {
    /// Why a machine has not joined: for want of a good token, unless it is the control plane that cannot let anybody in now.
    pub(super) fn of_joining(status: &Status) -> Self {
        let text = ended_because(status);
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Internal | Code::Unknown => {
                Self::Ended(text)
            }
            Code::AlreadyExists => Self::NameTaken(text),
            _ => Self::NotLetIn(text),
        }
    }

    /// True if nothing will be different until a person has acted.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self, Self::NotLetIn(_) | Self::NameTaken(_) | Self::Expired | Self::Cloned(_) | Self::Refused(_))
            || matches!(self, Self::Dial(DialError::Stranger(_)))
    }
}

impl From<Status> for LineError {
    fn from(status: Status) -> Self {
        let text = ended_because(&status);
        match status.code() {
            Code::AlreadyExists => Self::Cloned(text),
            Code::Unauthenticated | Code::PermissionDenied => Self::Refused(text),
            _ => Self::Ended(text),
        }
    }
}

/// A status in words.
fn ended_because(status: &Status) -> String {
    if status.message().is_empty() { status.code().to_string() } else { status.message().to_owned() }
}
