//! What a store is built with.

use std::sync::Arc;
use std::time::Duration;

use crate::StoreMetrics;
use crate::limits::{DEFAULT_MAX_PER_PRINCIPAL, DEFAULT_OUTAGE_GRACE};

/// What a store is told when it is made.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// This boot of this node. It is the [`Owner`](crate::Owner) of what cannot leave the node and the
    /// [writer](crate::StreamHead::writer) of the streams it reads: use the same text there.
    pub instance: Arc<str>,
    /// Sessions one principal may hold; the anonymous principal is not capped.
    pub max_per_principal: u32,
    /// How long cached sessions go on while the store is away. A store in memory never is.
    pub outage_grace: Duration,
    /// What to count with.
    pub metrics: StoreMetrics,
}

impl StoreOptions {
    /// The defaults, for a boot of a node.
    #[must_use]
    pub fn new(instance: impl Into<Arc<str>>) -> Self {
        Self {
            instance: instance.into(),
            max_per_principal: DEFAULT_MAX_PER_PRINCIPAL,
            outage_grace: DEFAULT_OUTAGE_GRACE,
            metrics: StoreMetrics::default(),
        }
    }
}
