//! The way to the database: connections, the time an operation has, and what comes of it.

use std::sync::Arc;

use sqlx::Pool;
use sqlx::pool::PoolConnection;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::super::super::pulse::{LOOK_EVERY, Pulse};
use super::super::super::rows::{Failure, Marks};
use super::super::super::{OPERATION_TIMEOUT, StoreError};
use super::super::{Database, Place, is_of_content, words};
use super::Connection;

/// Ways to the database, and what is known of it. Clones share both.
#[derive(Debug, Clone)]
pub(in super::super) struct Access {
    pub(in super::super) writers: Pool<Database>,
    pub(in super::super) readers: Pool<Database>,
    pub(in super::super) pulse: Arc<Pulse>,
    pub(in super::super) place: Place,
}

/// A connection while an operation runs. It goes back to its pool when the operation has ended. If it did not end, because its time
/// was up or whoever asked is gone, the connection is closed: its answer may still come, and would have to be waited for.
pub(super) struct Lent(Option<PoolConnection<Database>>);

impl Lent {
    pub(super) fn connection(&mut self) -> &mut Connection {
        self.0.as_mut().expect("it is given back by value")
    }

    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        drop(self.0.take().map(PoolConnection::detach));
    }
}

/// Runs an operation on a connection of a pool, both within [`OPERATION_TIMEOUT`].
macro_rules! ask {
    ($access:expr, $pool:ident, $operation:path $(, $argument:expr)*) => {{
        let (access, until) = (&$access, Instant::now() + OPERATION_TIMEOUT);
        match access.lend(&access.$pool, until).await {
            Ok(mut lent) => {
                let outcome = timeout_at(until, $operation(lent.connection() $(, $argument)*)).await;
                access.settle(lent, outcome)
            }
            Err(reason) => Err(access.failed(reason)),
        }
    }};
}
pub(super) use ask;

fn no_answer() -> String {
    format!("no answer within {OPERATION_TIMEOUT:?}")
}

impl Access {
    pub(super) async fn lend(&self, pool: &Pool<Database>, until: Instant) -> Result<Lent, String> {
        self.place.check()?;
        match timeout_at(until, pool.acquire()).await {
            Ok(connection) => connection.map(|connection| Lent(Some(connection))).map_err(|error| words(&error)),
            Err(_) => Err(no_answer()),
        }
    }

    /// What an operation came to.
    pub(super) fn settle<T>(&self, lent: Lent, outcome: Result<Result<T, Failure>, Elapsed>) -> Result<T, StoreError> {
        let outcome = match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Failure::Refused(refusal))) => Err(refusal),
            Ok(Err(Failure::Database(error))) if is_of_content(&error) => Err(StoreError::Unkept(words(&error))),
            Ok(Err(Failure::Database(error))) => {
                if error.as_database_error().is_some() {
                    lent.give_back();
                }
                return Err(self.failed(words(&error)));
            }
            Err(_) => return Err(self.failed(no_answer())),
        };
        lent.give_back();
        self.pulse.answered();
        outcome
    }

    pub(super) fn failed(&self, reason: String) -> StoreError {
        self.pulse.failed(&reason);
        StoreError::Unavailable(reason)
    }

    async fn look(&self) -> Result<Marks, StoreError> {
        ask!(*self, readers, super::marks)
    }

    /// Looks again and again. What comes first after an outage is always news: nobody knows what was missed.
    pub(super) async fn keep_looking(self) {
        let mut every = interval(LOOK_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known = None;
        loop {
            every.tick().await;
            let seen = self.look().await.ok();
            if seen.is_some() && seen != known {
                self.pulse.changed();
            }
            known = seen;
        }
    }
}
