//! The way to the database: connections, and the time that an operation has.

use sqlx::Pool;
use sqlx::pool::PoolConnection;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::super::super::OPERATION_TIMEOUT;
use super::super::{Database, Interrupt, Place, is_of_content, words};
use super::Connection;
use crate::store::StoreError;

/// Ways to the database. Clones share them.
#[derive(Debug, Clone)]
pub(in super::super) struct Access {
    pub(in super::super) writers: Pool<Database>,
    pub(in super::super) readers: Pool<Database>,
    pub(in super::super) place: Place,
}

/// A connection while an operation runs. It goes back to its pool when the operation has ended. If it did not end, because its time
/// was up or whoever asked is gone, what it is at is interrupted and the connection is closed: its answer may still come, and would have
/// to be waited for.
pub(in super::super) struct Lent(Option<PoolConnection<Database>>, Interrupt);

impl Lent {
    pub(in super::super) fn connection(&mut self) -> &mut Connection {
        self.0.as_mut().expect("it is given back by value")
    }

    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            self.1.interrupt();
            drop(connection.detach());
        }
    }
}

/// Runs an operation on a connection of a pool, both within [`OPERATION_TIMEOUT`].
macro_rules! ask {
    ($access:expr, $pool:ident, $operation:path $(, $argument:expr)*) => {{
        let (access, until) = (&$access, Instant::now() + OPERATION_TIMEOUT);
        let mut lent = access.lend(&access.$pool, until).await?;
        let outcome = timeout_at(until, $operation(lent.connection() $(, $argument)*)).await;
        access::settle(lent, outcome)
    }};
}
pub(super) use ask;

impl Access {
    pub(in super::super) async fn lend(&self, pool: &Pool<Database>, until: Instant) -> Result<Lent, StoreError> {
        self.place.check().map_err(StoreError::Unavailable)?;
        let acquired = async {
            let mut connection = pool.acquire().await?;
            let interrupt = Interrupt::of(&mut connection).await?;
            Ok(Lent(Some(connection), interrupt))
        };
        match timeout_at(until, acquired).await {
            Ok(Ok(lent)) => Ok(lent),
            Ok(Err(error)) => Err(StoreError::Unavailable(words(&error))),
            Err(_) => Err(no_answer()),
        }
    }
}

/// What an operation came to.
pub(super) fn settle<T>(lent: Lent, outcome: Result<Result<T, sqlx::Error>, Elapsed>) -> Result<T, StoreError> {
    match outcome {
        Ok(Ok(value)) => {
            lent.give_back();
            Ok(value)
        }
        Ok(Err(error)) => {
            if error.as_database_error().is_some() {
                lent.give_back();
            }
            let told = words(&error);
            Err(if is_of_content(&error) { StoreError::Unkept(told) } else { StoreError::Unavailable(told) })
        }
        Err(_) => Err(no_answer()),
    }
}

pub(super) fn no_answer() -> StoreError {
    StoreError::Unavailable(format!("no answer within {OPERATION_TIMEOUT:?}"))
}
