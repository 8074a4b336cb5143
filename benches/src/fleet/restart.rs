//! A control plane that dies, and comes back to nodes that have what it has.

use std::time::Duration;

use anyhow::Context as _;

use super::crowd::Crowd;
use super::node::What;
use crate::plane::Plane;

/// Outages: one as of a supervisor that restarts at once, and one after which every node has come to its longest pause.
pub(super) const OUTAGES: [Duration; 2] = [Duration::ZERO, Duration::from_secs(30)];

/// Before the control plane is killed, and after the last node is back: what would be sent is sent in this time.
const SETTLE: Duration = Duration::from_secs(2);

/// What a restart came to.
pub(super) struct Restart {
    /// From the end of the old process to the start of the new one.
    pub(super) outage: Duration,
    /// How many nodes there were.
    pub(super) nodes: usize,
    /// From the start of the new process until the last node was welcome.
    pub(super) back_after: Duration,
    /// Pieces of snapshots that were sent.
    pub(super) chunks: u64,
    /// Resident bytes of the new process at the end.
    pub(super) resident: u64,
}

impl Restart {
    /// Kills the control plane, starts it again, and waits for every node.
    pub(super) async fn measure(plane: &mut Plane, crowd: &mut Crowd, outage: Duration) -> anyhow::Result<Self> {
        crowd.idle(SETTLE).await;
        let (nodes, before) = (crowd.len(), crowd.chunks());
        plane.kill()?;
        crowd.idle(outage).await;
        let started = plane.launch()?;
        let back = crowd.each(nodes, &What::Welcomed).await?;
        let last = back.into_iter().max().context("a fleet without nodes")?;
        crowd.idle(SETTLE).await;
        Ok(Self {
            outage,
            nodes,
            back_after: last - started,
            chunks: crowd.chunks() - before,
            resident: plane.usage()?.resident,
        })
    }
}
