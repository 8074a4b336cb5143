//! A connection that is lent for one operation, and the time which that has.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Database, Pool, Postgres, Sqlite};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

/// Steps of a SQLite statement between two looks whether anybody waits for it: a fraction of a millisecond.
const STEPS: i32 = 10_000;

/// A database of ours.
pub(crate) trait Interruptible: Database {
    /// Lets a connection end what it is at once this is true.
    fn ends_when(
        connection: &mut Self::Connection,
        interrupted: &Arc<AtomicBool>,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

/// A statement runs in this process, to its end, whether its connection is closed or not.
impl Interruptible for Sqlite {
    async fn ends_when(connection: &mut Self::Connection, interrupted: &Arc<AtomicBool>) -> Result<(), sqlx::Error> {
        let interrupted = Arc::clone(interrupted);
        connection.lock_handle().await?.set_progress_handler(STEPS, move || !interrupted.load(Ordering::Relaxed));
        Ok(())
    }
}

/// The server ends what runs too long by itself: `statement_timeout`.
impl Interruptible for Postgres {
    async fn ends_when(_: &mut Self::Connection, _: &Arc<AtomicBool>) -> Result<(), sqlx::Error> {
        Ok(())
    }
}

/// A connection while an operation runs. It goes back to its pool when the operation has ended. If it did not end, because its time
/// was up or whoever asked is gone, what it is at is interrupted and the connection is closed: its answer may still come, and would
/// have to be waited for.
pub(crate) struct Lent<D: Interruptible> {
    connection: Option<PoolConnection<D>>,
    interrupted: Arc<AtomicBool>,
    until: Instant,
}

impl<D: Interruptible> Lent<D> {
    /// A connection for an operation that has ended within this time; else why there is none, in the `words` of the database.
    pub(crate) async fn of(
        pool: &Pool<D>,
        within: Duration,
        words: impl Fn(&sqlx::Error) -> String,
    ) -> Result<Self, String> {
        let until = Instant::now() + within;
        let interrupted = Arc::<AtomicBool>::default();
        let acquired = async {
            let mut connection = pool.acquire().await?;
            D::ends_when(&mut connection, &interrupted).await?;
            Ok(connection)
        };
        match timeout_at(until, acquired).await {
            Ok(Ok(connection)) => Ok(Self { connection: Some(connection), interrupted, until }),
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

impl<D: Interruptible> Drop for Lent<D> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.interrupted.store(true, Ordering::Relaxed);
            drop(connection.detach());
        }
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
