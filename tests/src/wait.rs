//! Waiting for what can be observed.

use std::time::{Duration, Instant};

/// Between two looks: short against every bound the tests assert, long against the cost of a look.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// Looks until `check` yields something; panics with `what` after `limit`.
pub async fn eventually<T>(what: &str, limit: Duration, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = check().await {
            return seen;
        }
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// The outcome of `work`, which must come in less than `limit`; panics with `what` otherwise.
pub async fn within<T>(what: &str, limit: Duration, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, work).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("not within {limit:?}: {what}"),
    }
}
