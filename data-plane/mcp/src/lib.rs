//! The Model Context Protocol as a gateway sees it: messages read once and passed on byte for byte, versions and what
//! follows from them, header names and media types, server-sent events, and the one table of the gateway's own errors.
//!
//! Everything here is pure: bytes in, values out. There is no I/O, no clock, no async runtime and no JSON tree; nothing
//! in this crate blocks, logs or keeps state between calls other than what the caller holds.
//!
//! | Module | Holds |
//! |---|---|
//! | [`Envelope`] | one JSON-RPC message: validated in one pass, with spans of the few members the gateway acts on |
//! | [`ProtocolVersion`], [`Era`] | the versions and their facts |
//! | [`header`] | header names, hop-by-hop fields, media types |
//! | [`sse`] | `text/event-stream`, both ways |
//! | [`error`] | whose fault, which code, which status, which words |

pub mod error;
pub mod header;
pub mod sse;

mod envelope;
mod id;
mod json;
mod malformed;
mod version;

pub use envelope::{DEFAULT_DEPTH, DEFAULT_SIZE, Envelope, Kind, Limits};
pub use error::{ErrorKind, Fault, GatewayError, Severity};
pub use id::{Id, RequestId};
pub use malformed::{Malformed, Reason};
pub use version::{Era, ProtocolVersion, UnsupportedVersion};
