//! What the gateway says of itself: metrics, health, logs.

mod calls;
mod health;
mod ids;
mod log;
mod recorder;

pub(crate) use calls::{Outcome, RouteCalls};
pub(crate) use health::Health;
pub(crate) use ids::CallIds;
pub use log::{LogFormat, init_logging};
pub(crate) use recorder::{Registry, UPKEEP_EVERY, store_metrics, upstream_metrics};
