//! What calls come to now: how many, how many fail and how long they take, by route, upstream, tool and node.
//!
//! Nodes tell on their `Ship` streams what they have counted since they started. Two words of one boot are subtracted, and what lies
//! between goes into the fleet's cell of that moment. So a window costs as much as a fleet has kinds of calls, however many nodes it has;
//! of a node itself only the last word is kept.
//!
//! | Part | Does |
//! |---|---|
//! | [`tally`] | calls, errors and latencies of something; percentiles |
//! | [`node`] | what a node said last, and what came since |
//! | [`fleet`] | the cells of a fleet, which make its windows |
//! | [`sums`] | what a window came to, as replicas tell it to each other |
//! | [`replicas`] | what is told to the others, and heard of them |
//! | [`rows`] | what operators are shown |
//!
//! Invariants: nothing here is on the way of a call or a configuration. A lock is held while a node's word is taken in, or while cells are
//! handed out; they are added up without one, away from the runtime's threads. What is older than the longest window is gone.

mod fleet;
mod node;
pub(crate) mod replicas;
pub(crate) mod rows;
mod sums;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shadowcat_proto::admin::v1::traffic_request::Window;
use shadowcat_proto::fleet::v1::TrafficSeries;
use tokio::time::Instant;

use self::fleet::FleetTraffic;
pub(crate) use self::sums::Sums;

/// What may be asked for, the shortest first.
const WINDOWS: [Window; 3] = [Window::TenSeconds, Window::OneMinute, Window::FiveMinutes];

/// How far back a window reaches.
const fn length(window: Window) -> Duration {
    match window {
        Window::TenSeconds => Duration::from_secs(10),
        Window::OneMinute => Duration::from_secs(60),
        Window::FiveMinutes => Duration::from_secs(300),
    }
}

/// The traffic of all fleets, as nodes of this replica tell it.
#[derive(Debug)]
pub(crate) struct Traffic {
    /// By what other replicas know this one.
    replica: String,
    /// Of fleets that a certificate vouches for: each is kept for good.
    fleets: Mutex<BTreeMap<String, Arc<Mutex<FleetTraffic>>>>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self { replica: format!("{:032x}", fastrand::u128(..)), fleets: Mutex::default() }
    }
}

impl Traffic {
    /// A boot of a node says what it has counted so far.
    pub(crate) fn note(&self, fleet: &str, (node, instance): (&str, &str), series: Vec<TrafficSeries>) {
        let mut fleets = self.fleets.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let known = fleets.entry(fleet.to_owned()).or_insert_with(|| Arc::new(Mutex::new(FleetTraffic::new(now))));
        let known = Arc::clone(known);
        drop(fleets);
        known.lock().unwrap_or_else(PoisonError::into_inner).note((node, instance), series, now);
    }

    /// What a window of a fleet came to by now. It takes some milliseconds for many kinds of calls: not for a runtime's thread.
    pub(crate) fn sums(&self, fleet: &str, window: Window) -> Sums {
        let known = self.fleets.lock().unwrap_or_else(PoisonError::into_inner).get(fleet).cloned();
        let Some(known) = known else { return Sums::default() };
        let part = known.lock().unwrap_or_else(PoisonError::into_inner).part(length(window), Instant::now());
        part.sums()
    }

    /// The fleets whose nodes have said something.
    fn fleets(&self) -> Vec<String> {
        self.fleets.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}
