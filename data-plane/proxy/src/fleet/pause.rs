//! How long a node waits before it dials its control plane again.
//!
//! Invariant: what ends lines soon after their welcome is met with ever longer pauses, as what prevents them is. A control plane that
//! every node leaves as soon as it is let in would otherwise be dialled by all of them at once, for ever.

use std::time::Duration;

use tokio::time::Instant;

use super::ending::LineError;

/// The first pause is at most this; each failure doubles it.
const FIRST_MAX: Duration = Duration::from_millis(100);

/// No pause is longer: so long does a fleet of any size take to be back after its control plane is.
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// A node that has nothing to serve asks this often: there are few of them, and clients are waiting.
const PAUSE_MAX_WAITING: Duration = Duration::from_secs(2);

/// After so many failures the pause is at its longest anyway, and more would overflow.
const DOUBLINGS_MAX: u32 = 16;

/// A line that held this long after its welcome was a good one: what ended it is no reason to stay away.
const GOOD_LINE: Duration = Duration::from_secs(30);

/// Whether a node has something to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Serves,
    Waits,
}

/// What is remembered of the lines before.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    failures: u32,
}

impl Pauses {
    /// A line has ended, and had been welcomed then; true if it was a good one, so that whatever failed before is over.
    pub(super) fn ended(&mut self, welcomed: Option<Instant>, ended: &Result<(), LineError>) -> bool {
        let good = ended.is_ok() || welcomed.is_some_and(|at| at.elapsed() >= GOOD_LINE);
        if good {
            self.failures = 0;
        }
        good
    }

    /// The longest pause after `error`; the next one may be longer.
    pub(super) fn limit(&mut self, error: &LineError, node: Node) -> Duration {
        let failures = self.failures;
        self.failures = failures.saturating_add(1);
        if error.is_final() {
            return PAUSE_MAX;
        }
        let most = match node {
            Node::Serves => PAUSE_MAX,
            Node::Waits => PAUSE_MAX_WAITING,
        };
        FIRST_MAX.saturating_mul(1 << failures.min(DOUBLINGS_MAX)).min(most)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::fleet::line::Violation;

    /// Lines that are welcomed, hold for `held` and end by a breach of the protocol; the pauses after them in milliseconds.
    async fn pauses_after(lines: usize, held: Duration) -> Vec<u128> {
        let mut pauses = Pauses::default();
        let mut limits = Vec::new();
        for _ in 0..lines {
            let welcomed = Instant::now();
            advance(held).await;
            let breach = || LineError::from(Violation::Pieces(1));
            pauses.ended(Some(welcomed), &Err(breach()));
            limits.push(pauses.limit(&breach(), Node::Serves).as_millis());
        }
        limits
    }

    #[tokio::test(start_paused = true)]
    async fn lines_that_end_soon_after_their_welcome_are_dialled_again_ever_more_slowly() {
        let limits = pauses_after(10, GOOD_LINE - Duration::from_millis(1)).await;
        assert_eq!(limits, [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 15_000, 15_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_held_and_one_that_was_sent_elsewhere_are_dialled_again_at_once() {
        assert_eq!(pauses_after(3, GOOD_LINE).await, [100, 100, 100]);
        let mut pauses = Pauses { failures: 9 };
        assert!(pauses.ended(Some(Instant::now()), &Ok(())));
        assert_eq!(pauses.limit(&LineError::Silent, Node::Serves), FIRST_MAX);
    }

    #[test]
    fn who_never_got_a_welcome_waits_longer_each_time_and_who_serves_nothing_not_so_long() {
        let mut pauses = Pauses::default();
        let limits = [Node::Serves, Node::Serves, Node::Waits].map(|node| {
            assert!(!pauses.ended(None, &Err(LineError::Silent)));
            pauses.limit(&LineError::Silent, node).as_millis()
        });
        assert_eq!(limits, [100, 200, 400]);
        pauses.failures = u32::MAX;
        assert_eq!(pauses.limit(&LineError::Silent, Node::Serves), PAUSE_MAX);
        assert_eq!(pauses.limit(&LineError::Silent, Node::Waits), PAUSE_MAX_WAITING);
        assert_eq!(Pauses::default().limit(&LineError::Expired, Node::Waits), PAUSE_MAX);
    }
}
