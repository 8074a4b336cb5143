//! The way to a control plane: which server, how it is known to be the right one, and the calls it takes.

mod address;
mod client;
mod dial;

pub use address::Server;
pub use client::{Api, Client};
pub use shadowcat_net::Fingerprint;

/// A server, and what to show it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it is.
    pub server: Server,
    /// By what its authority is known; needed for `https://`.
    pub ca: Option<Fingerprint>,
    /// Who asks.
    pub token: String,
    /// The fleet that is meant.
    pub fleet: String,
}

/// The fleet that is meant when none is named.
pub const DEFAULT_FLEET: &str = "default";
