//! The fleets: which version each runs, which nodes are connected, and the line to each of them.
//!
//! - [`snapshot`]: a version as it is sent; made once, shared by all nodes.
//! - [`hub`]: what all lines and all operators look at.
//! - [`line`]: what one node is sent and when, as a pure state machine.
//! - [`stream`]: drives a line over one stream.
//! - [`streaming`]: what all streams of nodes have in common: how they begin, how old they get, how they end.
//! - [`farewell`]: the words with which a stream is ended from here.
//! - [`follow`]: brings what was committed, on this replica or another, to the hub.
//! - [`notes`]: writes what nodes say of themselves to the store, a while later and never twice.
//! - [`refusals`]: what a node will not have, as far as its stream begins to know.
//! - [`service`]: the RPCs of `shadowcat.fleet.v1`.
//!
//! Invariants: a node has at most one version outstanding; nothing here waits for the store while a stream is served; what a
//! node costs does not grow with the size of the configuration or the number of versions.

pub(crate) mod farewell;
pub(crate) mod follow;
pub(crate) mod hub;
pub(crate) mod line;
pub(crate) mod live;
pub(crate) mod notes;
mod refusals;
pub(crate) mod service;
pub(crate) mod snapshot;
pub(crate) mod stream;
pub(crate) mod streaming;

pub(crate) use hub::{Hub, LiveFleet};
pub(crate) use live::{AskError, LiveNode};
pub(crate) use shadowcat_config::is_name;

/// The fleet of whoever names none.
pub(crate) const DEFAULT_FLEET: &str = "default";
