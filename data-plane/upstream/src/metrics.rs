//! The handles by which an upstream counts. Whoever builds the upstream injects them: there is no global recorder.

use metrics::{Counter, Gauge, Histogram};

/// One upstream's metrics. The default counts nothing.
#[derive(Debug, Clone)]
pub struct UpstreamMetrics {
    /// Exchanges under way. On HTTP/1.1 this is the number of connections in use.
    pub in_flight: Gauge,
    /// Seconds that exchanges waited for a free connection or child; those that did not wait are not recorded.
    pub queue_wait: Histogram,
    /// Exchanges refused because every connection or child was taken.
    pub overloaded: Counter,
    /// Child processes alive, those being stopped included.
    pub children: Gauge,
    /// Child processes started.
    pub spawns: Counter,
    /// Child processes that ended without having been asked to.
    pub exits: Counter,
    /// Sessions held (stdio).
    pub sessions: Gauge,
    /// Messages of a server that nobody took: answers to clients that went away, and what fell out of a full backlog.
    pub dropped_messages: Counter,
    /// Lines on a child's stdout that were no JSON-RPC message.
    pub skipped_lines: Counter,
}

impl Default for UpstreamMetrics {
    fn default() -> Self {
        Self {
            in_flight: Gauge::noop(),
            queue_wait: Histogram::noop(),
            overloaded: Counter::noop(),
            children: Gauge::noop(),
            spawns: Counter::noop(),
            exits: Counter::noop(),
            sessions: Gauge::noop(),
            dropped_messages: Counter::noop(),
            skipped_lines: Counter::noop(),
        }
    }
}
