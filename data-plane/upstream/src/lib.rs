//! MCP servers as the gateway sees them: one trait, [`Upstream`], that takes one client message and gives back one HTTP
//! response, whatever the server behind it speaks.
//!
//! This crate is an MCP *client* that knows no proxy: it has no routes, no sessions of ours, no metrics of calls.

mod call;
mod error;

pub use call::{Call, UpstreamBody, Upstream, UpstreamStatus, Verb};
pub use error::{Stage, UpstreamError, Why};
