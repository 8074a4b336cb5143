//! How many connections there may be.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dashmap::DashMap;
use metrics::{Counter, Gauge};

/// How many connections a listener has at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From everywhere.
    pub all: u32,
    /// From one remote address, so that one peer cannot take them all. Loopback is exempt: there a reverse proxy or a load
    /// generator stands for many clients.
    pub per_address: u32,
}

/// Counts connections and refuses those beyond the caps: they are closed at once, and counted.
#[derive(Debug)]
pub struct Caps {
    limits: Limits,
    open: AtomicU32,
    per_address: DashMap<IpAddr, u32>,
    gauge: Gauge,
    refused: Counter,
}

impl Caps {
    /// `gauge` is set to how many are open; `refused` counts those that were one too many.
    #[must_use]
    pub fn new(limits: Limits, gauge: Gauge, refused: Counter) -> Arc<Self> {
        Arc::new(Self { limits, open: AtomicU32::new(0), per_address: DashMap::new(), gauge, refused })
    }

    /// A permit that is held as long as the connection; `None` beyond a cap.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Permit> {
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
pub struct Permit {
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

    const LIMITS: Limits = Limits { all: 1_000, per_address: 200 };

    fn caps() -> Arc<Caps> {
        Caps::new(LIMITS, Gauge::noop(), Counter::noop())
    }

    #[test]
    fn one_address_cannot_take_every_connection() {
        let caps = caps();
        let address = IpAddr::from([192, 0, 2, 1]);
        let mut held: Vec<_> = (0..LIMITS.per_address).map(|_| caps.admit(address)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(caps.admit(address).is_none());
        assert!(caps.admit(IpAddr::from([192, 0, 2, 2])).is_some(), "another address is not concerned");
        held.pop();
        assert!(caps.admit(address).is_some(), "a closed connection makes room");
        drop(held);
        assert!(caps.per_address.is_empty());
    }

    #[test]
    fn beyond_the_cap_of_all_connections_even_loopback_is_refused() {
        let caps = caps();
        let address = IpAddr::from([127, 0, 0, 1]);
        let held: Vec<_> = (0..LIMITS.all).map(|_| caps.admit(address)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(caps.admit(address).is_none());
    }
}
