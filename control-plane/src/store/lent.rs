//! A connection that is lent for one operation, and the time which that has.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Database, Pool};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

/// A connection while an operation runs. It goes back to its pool when the operation has ended. If it did not end, because its time
/// was up or whoever asked is gone, the connection is closed: its answer may still come, and would have to be waited for.
pub(crate) struct Lent<D: Database> {
    connection: Option<PoolConnection<D>>,
    until: Instant,
}

impl<D: Database> Lent<D> {
    /// A connection for an operation that has ended within this time; else why there is none, in the `words` of the database.
    pub(crate) async fn of(
        pool: &Pool<D>,
        within: Duration,
        words: impl Fn(&sqlx::Error) -> String,
    ) -> Result<Self, String> {
        let until = Instant::now() + within;
        match timeout_at(until, pool.acquire()).await {
            Ok(Ok(connection)) => Ok(Self { connection: Some(connection), until }),
            Ok(Err(error)) => Err(words(&error)),
            Err(_) => Err(no_answer(within)),
        }
    }

    pub(crate) fn connection(&mut self) -> &mut D::Connection {
        self.connection.as_mut().expect("it is given back by value")
    }

    /// By when the operation has ended.
    pub(crate) const fn until(&self) -> Instant {
        self.until
    }

    /// The end of an operation: its connection goes back, unless a failure is no answer of the database. The error is absent if the
    /// time was up.
    pub(crate) fn give_back<T, E>(
        mut self,
        outcome: Result<Result<T, E>, Elapsed>,
        is_answer: impl FnOnce(&E) -> bool,
    ) -> Result<T, Option<E>> {
        let outcome = outcome.map_err(|_| None).and_then(|ended| ended.map_err(Some));
        let is_answered = match &outcome {
            Ok(_) => true,
            Err(failure) => failure.as_ref().is_some_and(is_answer),
        };
        if is_answered {
            drop(self.connection.take());
        }
        outcome
    }
}

impl<D: Database> Drop for Lent<D> {
    fn drop(&mut self) {
        drop(self.connection.take().map(PoolConnection::detach));
    }
}

/// What is said of a database that did not answer.
pub(crate) fn no_answer(within: Duration) -> String {
    format!("no answer within {within:?}")
}

/// Runs an operation on a connection of a pool, both within the time that `lend` gives them.
macro_rules! ask {
    ($access:expr, $pool:ident, $operation:path $(, $argument:expr)*) => {{
        let access = &$access;
        match access.lend(&access.$pool).await {
            Ok(mut lent) => {
                let until = lent.until();
                let outcome = tokio::time::timeout_at(until, $operation(lent.connection() $(, $argument)*)).await;
                access.settle(lent, outcome)
            }
            Err(reason) => Err(reason),
        }
    }};
}
pub(crate) use ask;
