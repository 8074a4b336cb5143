//! What is measured.

use std::fmt;

use anyhow::ensure;
use serde::{Serialize, Serializer};

use crate::exchange::Call;

/// Progress events of an SSE call.
const EVENTS: u32 = 50;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measurement {
    /// Calls without pause.
    Calls(Workload),
    /// Memory of an idle stream.
    Streams,
    /// From the start of the gateway's process until it can be used.
    Ready,
    /// A call to a stdio server through the gateway, beside one over a bare pipe.
    Stdio,
}

/// Calls without pause over so many connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Workload {
    pub(super) call: Call,
    pub(super) connections: usize,
}

/// JSON calls over so many connections.
pub(super) const fn json(connections: usize) -> Workload {
    Workload { call: Call::Json, connections }
}

/// SSE calls over so many connections.
pub(super) const fn sse(connections: usize) -> Workload {
    Workload { call: Call::Sse { events: EVENTS }, connections }
}

impl Measurement {
    /// All, in the order in which they are taken: memory grows with connections, so few come before many.
    pub(super) const ALL: [Self; 12] = [
        Self::Calls(json(1)),
        Self::Calls(json(32)),
        Self::Calls(json(256)),
        Self::Calls(json(1_000)),
        Self::Calls(sse(1)),
        Self::Calls(sse(16)),
        Self::Calls(sse(32)),
        Self::Calls(sse(256)),
        Self::Calls(sse(1_000)),
        Self::Streams,
        Self::Ready,
        Self::Stdio,
    ];

    /// Those that are named, by their own name or their kind's; all if none is.
    pub(super) fn select(names: &[String]) -> anyhow::Result<Vec<Self>> {
        for name in names {
            ensure!(
                Self::ALL.iter().any(|measurement| measurement.is_named(name)),
                "no measurement named {name:?}; there are {}",
                Self::ALL.map(|measurement| measurement.to_string()).join(", ")
            );
        }
        let selected = |measurement: &Self| names.is_empty() || names.iter().any(|name| measurement.is_named(name));
        Ok(Self::ALL.into_iter().filter(selected).collect())
    }

    /// The workloads among `measurements`, in order.
    pub(super) fn workloads(measurements: &[Self]) -> impl Iterator<Item = Workload> {
        measurements.iter().filter_map(|measurement| match measurement {
            Self::Calls(workload) => Some(*workload),
            Self::Streams | Self::Ready | Self::Stdio => None,
        })
    }

    fn is_named(self, name: &str) -> bool {
        let own = self.to_string();
        own == name || own.split_once('/').is_some_and(|(kind, _)| kind == name)
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calls(workload) => workload.fmt(f),
            Self::Streams => f.write_str("streams"),
            Self::Ready => f.write_str("ready"),
            Self::Stdio => f.write_str("stdio"),
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.call {
            Call::Json => "json",
            Call::Sse { .. } => "sse",
        };
        write!(f, "{kind}/{}", self.connections)
    }
}

impl Serialize for Workload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str]) -> Vec<String> {
        let only: Vec<_> = only.iter().map(|name| (*name).to_owned()).collect();
        Measurement::select(&only).unwrap().iter().map(Measurement::to_string).collect()
    }

    #[test]
    fn a_measurement_is_selected_by_its_own_name_or_its_kind() {
        assert_eq!(names(&["json/1", "stdio"]), ["json/1", "stdio"]);
        assert_eq!(names(&["json"]), ["json/1", "json/32", "json/256", "json/1000"]);
        assert_eq!(names(&[]).len(), Measurement::ALL.len());
    }

    #[test]
    fn an_unknown_measurement_is_refused_with_the_known_ones() {
        let error = Measurement::select(&["json/7".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("json/7") && error.contains("json/32"), "{error}");
    }
}
