//! The words with which a stream is ended from here.

use tonic::Status;

use super::live::Ending;

/// The word with which a stream is ended from here.
pub(super) fn farewell(ending: Option<Ending>) -> Result<(), Status> {
    match ending {
        Some(Ending::Replaced) => Err(Status::already_exists(
            "another instance has this node's name now: give each node an identity of its own, and do not copy its disk",
        )),
        Some(Ending::Removed) => Err(removed()),
        Some(Ending::Superseded) => Err(superseded()),
        Some(Ending::Moved) | None => Ok(()),
    }
}

/// What a node hears that an operator has removed.
pub(crate) fn removed() -> Status {
    Status::permission_denied("this node was removed from its fleet: it can join again with a new token")
}

/// What a node hears under whose name another machine has joined.
pub(super) fn superseded() -> Status {
    Status::permission_denied(
        "another machine has joined under this node's name: give each a name of its own with --node, and this one a new token",
    )
}

/// This replica stops; another goes on.
pub(crate) fn stopping() -> Status {
    Status::unavailable("this replica of the control plane stops: connect again")
}
