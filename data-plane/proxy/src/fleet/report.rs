//! What a node says of itself without being asked: how it is, and what it sees of its upstreams.

use std::collections::BTreeMap;
use std::time::Duration;

use shadowcat_proto::fleet::v1 as wire;
use shadowcat_session::CountOf;
use tokio::time::timeout;

use super::commands::health;
use crate::gateway::Control;

/// Upstreams whose change is told at a time; the rest follows at the next look. A thousand that change together do not keep a
/// status of the configuration waiting.
const CHANGES_MAX: usize = 64;

/// The store may need this long to count.
const COUNT_WAIT: Duration = Duration::from_millis(300);

/// What was told on this line so far.
#[derive(Debug, Default)]
pub(super) struct Reports {
    upstreams: BTreeMap<String, Told>,
}

/// The part of an upstream's health whose change is worth telling.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    reachable: bool,
    last_error: String,
    children: u32,
}

impl Told {
    fn of(health: &wire::UpstreamHealth) -> Self {
        let wire::UpstreamHealth { reachable, children, .. } = *health;
        Self { reachable, last_error: health.last_error.clone(), children }
    }
}

impl Reports {
    /// What has changed at upstreams since it was told.
    pub(super) fn changes(&mut self, control: &Control) -> Vec<wire::UpstreamHealth> {
        let runtime = control.running();
        let mut changes = Vec::new();
        let gone: Vec<_> = self.upstreams.keys().filter(|name| runtime.upstream(name).is_none()).cloned().collect();
        for upstream in gone.into_iter().take(CHANGES_MAX) {
            self.upstreams.remove(&upstream);
            changes.push(wire::UpstreamHealth { upstream, removed: true, ..Default::default() });
        }
        for upstream in runtime.upstreams() {
            if changes.len() >= CHANGES_MAX {
                break;
            }
            let health = health(upstream);
            let told = Told::of(&health);
            if self.upstreams.get(&*upstream.name) != Some(&told) {
                self.upstreams.insert(health.upstream.clone(), told);
                changes.push(health);
            }
        }
        changes
    }
}

/// How the node is.
pub(super) async fn node_health(control: &Control) -> wire::NodeHealth {
    // A store that is away counts nothing.
    let counted = timeout(COUNT_WAIT, control.shared.store.count(CountOf::All)).await;
    let totals = control.factory.totals();
    wire::NodeHealth {
        requests: totals.ended,
        failed: totals.failed,
        sessions: counted.ok().and_then(Result::ok).unwrap_or_default(),
        streams: u32::try_from(totals.streams).unwrap_or(u32::MAX),
        memory_bytes: resident_bytes(),
        versions_live: control.shared.configs.versions_live(),
    }
}

/// Resident memory of this process (proc(5), status, in kB); 0 where the system does not tell.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}
