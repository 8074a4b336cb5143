//! MCP servers as the gateway sees them: one trait, [`Upstream`], that takes one client message and gives back one HTTP
//! response, whatever the server behind it speaks.
//!
//! | Module | Holds |
//! |---|---|
//! | [`Upstream`], [`Call`], [`UpstreamError`] | the seam: what is asked, what comes back, how it fails |
//! | [`UpstreamBody`] | the one body type: from a connection, from memory, or fed frame by frame |
//! | [`http`](HttpUpstream) | servers that speak Streamable HTTP, behind a pool of connections |
//! | [`stdio`](StdioUpstream) | servers that are child processes, behind an adapter which makes them look like the former |
//! | [`reaper`] | the process that ends the children of a gateway which could not do so itself |
//!
//! This crate is an MCP *client* that knows no proxy: it has no routes, no sessions of ours, no metrics of calls. It knows
//! no configuration either: whoever builds an upstream hands over plain settings, with secrets resolved.
//!
//! Every wait is bounded, every queue has a bound and a metric ([`UpstreamMetrics`]), and every task belongs to the
//! upstream that started it and ends with it.

mod body;
mod call;
mod error;
mod http;
mod metrics;
pub mod reaper;
mod slots;
mod stdio;

pub use self::body::{FrameSender, SendError, UpstreamBody};
pub use self::call::{Call, Upstream, UpstreamStatus, Verb};
pub use self::error::{Stage, UpstreamError, Why};
pub use self::http::{HttpSettings, HttpUpstream, InvalidUrl};
pub use self::metrics::UpstreamMetrics;
pub use self::stdio::{
    ChildEvent, ChildObserver, CleanLines, Cleaner, ExitReason, Passed, Sharing, StdioSettings, StdioUpstream, Watch,
};
