//! What strangers can make happen as often as they like is logged once in a while, with its count.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Between two lines about the same: an operator sees what goes on, and no disk fills.
const EVERY: Duration = Duration::from_secs(60);

/// Counts what is not logged.
#[derive(Debug, Default)]
pub(crate) struct Rarely(Mutex<(Option<Instant>, u64)>);

impl Rarely {
    /// Counts one more. How many there were since the last line, if it is time for another.
    pub(super) fn count(&self) -> Option<u64> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.1 += 1;
        if known.0.is_some_and(|told| told.elapsed() < EVERY) {
            return None;
        }
        let count = known.1;
        *known = (Some(Instant::now()), 0);
        Some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_is_told_at_once_and_the_rest_once_a_minute_with_their_count() {
        let rarely = Rarely::default();
        assert_eq!([rarely.count(), rarely.count(), rarely.count()], [Some(1), None, None]);
        tokio::time::advance(EVERY).await;
        assert_eq!([rarely.count(), rarely.count()], [Some(3), None]);
    }
}
