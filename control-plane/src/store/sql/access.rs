//! The way to the database: connections, the time an operation has, and what comes of it.

use std::sync::Arc;

use sqlx::Pool;
use tokio::time::error::Elapsed;
use tokio::time::{MissedTickBehavior, interval};

use super::super::super::lent::{Lent, ask, no_answer};
use super::super::super::pulse::{LOOK_EVERY, Pulse};
use super::super::super::rows::{Failure, Marks};
use super::super::super::{OPERATION_TIMEOUT, StoreError};
use super::super::{Database, Place, is_of_content, words};

/// Ways to the database, and what is known of it. Clones share both.
#[derive(Debug, Clone)]
pub(in super::super) struct Access {
    pub(in super::super) writers: Pool<Database>,
    pub(in super::super) readers: Pool<Database>,
    pub(in super::super) pulse: Arc<Pulse>,
    pub(in super::super) place: Place,
}

impl Access {
    pub(super) async fn lend(&self, pool: &Pool<Database>) -> Result<Lent<Database>, StoreError> {
        self.place.check().map_err(|reason| self.failed(reason))?;
        Lent::of(pool, OPERATION_TIMEOUT, words).await.map_err(|reason| self.failed(reason))
    }

    /// What an operation came to.
    pub(super) fn settle<T>(
        &self,
        lent: Lent<Database>,
        outcome: Result<Result<T, Failure>, Elapsed>,
    ) -> Result<T, StoreError> {
        let is_answer = |failure: &Failure| match failure {
            Failure::Refused(_) => true,
            Failure::Database(error) => error.as_database_error().is_some(),
        };
        let outcome = match lent.give_back(outcome, is_answer) {
            Ok(value) => Ok(value),
            Err(Some(Failure::Refused(refusal))) => Err(refusal),
            Err(Some(Failure::Database(error))) if is_of_content(&error) => Err(StoreError::Unkept(words(&error))),
            Err(Some(Failure::Database(error))) => return Err(self.failed(words(&error))),
            Err(None) => return Err(self.failed(no_answer(OPERATION_TIMEOUT))),
        };
        self.pulse.answered();
        outcome
    }

    fn failed(&self, reason: String) -> StoreError {
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
