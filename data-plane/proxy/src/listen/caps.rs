//! How many connections there may be.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dashmap::DashMap;
use metrics::{Counter, Gauge};
use tokio_util::task::TaskTracker;

/// How many connections a listener has at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From everywhere.
    pub(crate) all: u32,
    /// From one remote address, so that one peer cannot take them all. Loopback is exempt: there a reverse proxy or a load
    /// generator stands for many clients.
    pub(crate) per_address: u32,
}

/// Connections of clients. One costs about 12 KiB idle, so all of them cost 120 MB.
pub(crate) const CLIENTS: Limits = Limits { all: 10_000, per_address: 200 };

/// Connections of operators. They have their own, so that an overload can be watched while it lasts.
pub(crate) const OPERATORS: Limits = Limits { all: 100, per_address: 20 };

/// Counts connections and refuses those beyond the caps: they are closed at once, and counted in
/// `shadowcat_connections_refused_total`.
#[derive(Debug)]
pub(crate) struct Caps {
    limits: Limits,
    open: AtomicU32,
    per_address: DashMap<IpAddr, u32>,
    tasks: TaskTracker,
    gauge: Gauge,
    refused: Counter,
}

impl Caps {
    pub(crate) fn new(limits: Limits, gauge: Gauge, refused: Counter, tasks: TaskTracker) -> Arc<Self> {
        Arc::new(Self { limits, open: AtomicU32::new(0), per_address: DashMap::new(), tasks, gauge, refused })
    }

    /// The tasks that serve connections.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// A permit that is held as long as the connection; `None` beyond a cap.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Permit> {
        // An IPv4 client of a socket for both comes as ::ffff:a.b.c.d.
        let address = address.to_canonical();
        let permit = Permit { caps: Arc::clone(self), address: (!address.is_loopback()).then_some(address) };
        self.gauge.increment(1.0);
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        let of_address = permit.address.map_or(0, |address| {
            let mut count = self.per_address.entry(address).or_insert(0);
            *count += 1;
            *count
        });
        if open > self.limits.all || of_address > self.limits.per_address {
            self.refused.increment(1);
            return None;
        }
        Some(permit)
    }
}

/// One counted connection.
#[derive(Debug)]
pub(crate) struct Permit {
    caps: Arc<Caps>,
    address: Option<IpAddr>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.caps.open.fetch_sub(1, Ordering::Relaxed);
        self.caps.gauge.decrement(1.0);
        let Some(address) = self.address else { return };
        if let Some(mut count) = self.caps.per_address.get_mut(&address) {
            *count -= 1;
        }
        self.caps.per_address.remove_if(&address, |_, count| *count == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Registry;

    fn caps() -> (Arc<Caps>, Registry) {
        let registry = Registry::new();
        let open = registry.gauge("open", "", vec![]);
        let refused = registry.counter("refused_total", "", vec![]);
        (Caps::new(CLIENTS, open, refused, TaskTracker::new()), registry)
    }

    #[test]
    fn one_address_cannot_take_every_connection() {
        let (caps, registry) = caps();
        let address = IpAddr::from([192, 0, 2, 1]);
        let mut held: Vec<_> = (0..CLIENTS.per_address).map(|_| caps.admit(address)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(caps.admit(address).is_none());
        assert!(caps.admit(IpAddr::from([192, 0, 2, 2])).is_some(), "another address is not concerned");
        assert!(registry.render().contains("refused_total 1"), "{}", registry.render());
        held.pop();
        assert!(caps.admit(address).is_some(), "a closed connection makes room");
        drop(held);
        assert!(registry.render().contains("open 0"), "{}", registry.render());
        assert!(caps.per_address.is_empty());
    }

    #[test]
    fn beyond_the_cap_of_all_connections_even_loopback_is_refused() {
        let (caps, registry) = caps();
        let address = IpAddr::from([127, 0, 0, 1]);
        let held: Vec<_> = (0..CLIENTS.all).map(|_| caps.admit(address)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(caps.admit(address).is_none());
        assert!(registry.render().contains("refused_total 1"));
    }
}
