//! The way to the database: connections, and the time that an operation has.

use sqlx::Pool;
use tokio::time::error::Elapsed;

use super::super::super::OPERATION_TIMEOUT;
use super::super::{Database, Place, is_of_content, took_too_long, words};
use super::discard;
use crate::store::StoreError;
use crate::store::lent::{Lent, no_answer};

/// Ways to the database. Clones share them.
#[derive(Debug, Clone)]
pub(in super::super) struct Access {
    pub(in super::super) writers: Pool<Database>,
    pub(in super::super) readers: Pool<Database>,
    pub(in super::super) place: Place,
}

impl Access {
    pub(in super::super) async fn lend(&self, pool: &Pool<Database>) -> Result<Lent<Database>, StoreError> {
        self.place.check().map_err(StoreError::Unavailable)?;
        Lent::of(pool, OPERATION_TIMEOUT, words).await.map_err(StoreError::Unavailable)
    }

    /// What an operation came to.
    #[allow(clippy::unused_self, reason = "that of the store notes whether the database answers")]
    pub(super) fn settle<T>(
        &self,
        lent: Lent<Database>,
        outcome: Result<Result<T, sqlx::Error>, Elapsed>,
    ) -> Result<T, StoreError> {
        let is_answer = |error: &sqlx::Error| error.as_database_error().is_some() || discard::is_leaving(error);
        lent.give_back(outcome, is_answer).map_err(|failure| match failure {
            Some(error) if is_of_content(&error) => StoreError::Unkept(words(&error)),
            Some(error) if took_too_long(&error) || discard::is_leaving(&error) => StoreError::NotNow(words(&error)),
            Some(error) => StoreError::Unavailable(words(&error)),
            None => StoreError::NotNow(no_answer(OPERATION_TIMEOUT)),
        })
    }
}
