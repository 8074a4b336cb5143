//! What programs of both planes need of a connection and none of them owns: whom to trust at its other end, and how many there may be.
//!
//! Not here: what is spoken on it. This crate knows no other of the workspace.

mod caps;
mod fingerprint;
mod line;
mod trust;

pub use caps::{Caps, Limits, Permit};
pub use fingerprint::{Fingerprint, InvalidFingerprint};
pub use line::line;
pub use trust::{CONTROL_PLANE, TlsError, as_node, as_stranger, secure};
