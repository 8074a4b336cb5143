//! Where configurations come from: a file of this machine, or the control plane of a fleet.
//!
//! | Part | Does |
//! |---|---|
//! | [`file`] | reads a file again when it changes |
//! | [`member`] | joins a fleet, starts from what the machine has, follows the control plane |
//! | [`dial`], [`identity`] | the secure way there, and who the node is on it |
//! | [`client`], [`line`], [`talk`], [`ending`] | one line: the task, the protocol, what is under way, how it ends |
//! | [`commands`], [`report`] | what the control plane may ask, and what the node says unasked |
//! | [`ship`] | what was recorded, on its way to the control plane |
//! | [`disk`], [`boots`], [`keeper`] | what is kept for the next start, and which of it can be trusted |
//! | [`prepare`], [`provenance`] | every configuration is built here, whatever its way, and knows where it came from |

mod boots;
mod client;
mod commands;
mod dial;
mod disk;
mod ending;
mod file;
mod identity;
mod keeper;
mod line;
mod member;
mod pause;
mod prepare;
mod provenance;
mod report;
mod ship;
mod talk;
#[cfg(test)]
mod testing;

pub use dial::{ControlPlaneUrl, DialError, InvalidControlPlaneUrl};
pub use disk::DiskError;
pub use file::watch_file;
pub use identity::{IdentityError, InvalidJoinToken, JoinToken};
pub use member::{Following, Member, MemberError, MemberSettings};
pub use prepare::PrepareError;
pub(crate) use prepare::{Prepared, Preparer, Source};
pub(crate) use provenance::Provenance;
