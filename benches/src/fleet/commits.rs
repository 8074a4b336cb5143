//! From a commit to every node that runs it, and what so many nodes cost the control plane in memory.

use std::time::{Duration, Instant};

use super::content::edited;
use super::crowd::Crowd;
use super::node::What;
use crate::plane::{Admin, Plane};

/// Commits that are measured.
const COMMITS: usize = 20;

/// Between the last node and the next commit, so that no commit pays for the one before.
const BETWEEN: Duration = Duration::from_millis(500);

/// What commits to a fleet of one size came to.
pub(super) struct Commits {
    /// How many nodes there were.
    pub(super) nodes: usize,
    /// From asking for a commit until a node ran it, of each commit and node, in milliseconds; the shortest first. The commit
    /// itself is within it: when it is answered, many nodes run it already, and from there on there would be nothing to
    /// measure.
    pub(super) applied_ms: Vec<f64>,
    /// From asking for a commit until its answer, in milliseconds; the shortest first.
    pub(super) answered_ms: Vec<f64>,
    /// Resident bytes of the control plane at the end.
    pub(super) resident: u64,
    /// Bytes of a version: as it is sent, and unpacked.
    pub(super) snapshot_bytes: [u32; 2],
}

impl Commits {
    /// Commits, and waits for every node each time. `last` is the number of the version that was committed last.
    pub(super) async fn measure(
        plane: &Plane,
        admin: &Admin,
        crowd: &mut Crowd,
        last: &mut u64,
    ) -> anyhow::Result<Self> {
        let nodes = crowd.len();
        let (mut applied_ms, mut answered_ms) = (Vec::new(), Vec::new());
        for _ in 0..COMMITS {
            crowd.idle(BETWEEN).await;
            let config = edited(usize::try_from(*last)?);
            let asked = Instant::now();
            *last = admin.apply(config).await?;
            answered_ms.push(milliseconds(asked.elapsed()));
            let applied = crowd.each(nodes, &What::Applied(*last)).await?;
            applied_ms.extend(applied.into_iter().map(|at| milliseconds(at - asked)));
        }
        applied_ms.sort_by(f64::total_cmp);
        answered_ms.sort_by(f64::total_cmp);
        let resident = plane.usage()?.resident;
        Ok(Self { nodes, applied_ms, answered_ms, resident, snapshot_bytes: crowd.snapshot_bytes() })
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
