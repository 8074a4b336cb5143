//! What a store counts.

use metrics::{Counter, Gauge};

/// The handles a store counts with. They are injected, because several gateways may live in one process; the default counts
/// nothing.
#[derive(Debug, Clone)]
pub struct StoreMetrics {
    /// Sessions that ended because nobody used them.
    pub sessions_expired: Counter,
    /// Events that fell out of a log at its bound.
    pub log_events_dropped: Counter,
    /// Ended streams forgotten before their time, at a bound.
    pub log_streams_forgotten: Counter,
    /// Bytes of event logs in memory.
    pub log_bytes: Gauge,
    /// Cached sessions that Redis said have changed.
    pub invalidations: Counter,
    /// Sessions found but not cached, because the cache is full.
    pub cache_refusals: Counter,
    /// Notes "this session was used" not taken because their queue was full; the next use tries again.
    pub touches_deferred: Counter,
    /// Redis operations that failed or took longer than 250 ms.
    pub redis_errors: Counter,
    /// Links made to Redis after the first.
    pub redis_reconnects: Counter,
    /// Times this node's lease ran out before it was renewed.
    pub leases_lost: Counter,
}

impl Default for StoreMetrics {
    fn default() -> Self {
        Self {
            sessions_expired: Counter::noop(),
            log_events_dropped: Counter::noop(),
            log_streams_forgotten: Counter::noop(),
            log_bytes: Gauge::noop(),
            invalidations: Counter::noop(),
            cache_refusals: Counter::noop(),
            touches_deferred: Counter::noop(),
            redis_errors: Counter::noop(),
            redis_reconnects: Counter::noop(),
            leases_lost: Counter::noop(),
        }
    }
}
