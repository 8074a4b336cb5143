//! What the gateway says of itself: metrics, health, logs.

mod calls;
mod configs;
mod health;
mod ids;
mod log;
mod recorder;
mod running;
mod traffic;
mod words;

pub(crate) use calls::{Names, Outcome, RouteCalls, Totals};
pub(crate) use configs::{ConfigMetrics, LiveVersion};
pub(crate) use health::Health;
pub(crate) use ids::{CallIds, SESSION_CHARS, Short};
pub use log::{LogFormat, init_logging};
pub(crate) use recorder::{Registry, UPKEEP_EVERY, store_metrics, upstream_metrics};
pub(crate) use running::running_config;
pub(crate) use traffic::{Kinds, TrafficTotals};
pub(crate) use words::{Clean, Words, cleaner};
#[cfg(test)]
pub(crate) use {calls::TOOL_BYTES_MAX, traffic::BUCKETS, traffic::KINDS_MAX};
