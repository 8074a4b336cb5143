//! MCP servers as the gateway sees them: one trait, [`Upstream`], that takes one client message and gives back one HTTP
//! response, whatever the server behind it speaks.
//!
//! | Module | Holds |
//! |---|---|
//! | [`Upstream`], [`Call`], [`UpstreamError`] | the seam: what is asked, what comes back, how it fails |
//! | [`UpstreamBody`] | the one body type: from a connection, from memory, or fed frame by frame |
//! | [`http`](HttpUpstream) | servers that speak Streamable HTTP, behind a pool of connections |
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
mod slots;

pub use self::body::{FrameSender, SendError, UpstreamBody};
pub use self::call::{Call, Upstream, UpstreamStatus, Verb};
pub use self::error::{Stage, UpstreamError, Why};
pub use self::http::{HttpSettings, HttpUpstream, InvalidUrl};
pub use self::metrics::UpstreamMetrics;
