//! Schemas: brought to what this program knows when a database is opened.
//!
//! A migration that was published is never changed: databases hold its checksum.

use std::borrow::Cow;
use std::ops::Deref;

use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{Acquire, SqlSafeStr};

use super::StoreError;

/// Number, name and text of a migration.
pub(crate) type Source = (i64, &'static str, &'static str);

/// Brings a schema up to date. `refused` tells what a database means by an error.
pub(crate) async fn migrate<'a, A>(
    connection: A,
    sources: &[Source],
    refused: fn(&sqlx::Error) -> StoreError,
) -> Result<(), StoreError>
where
    A: Acquire<'a>,
    <A::Connection as Deref>::Target: Migrate,
{
    let migrations = sources.iter().map(|(number, name, text)| {
        Migration::new(*number, Cow::Borrowed(name), MigrationType::Simple, text.into_sql_str(), false)
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    migrator.run(connection).await.map_err(|error| match error {
        MigrateError::VersionMissing(number) => StoreError::Unusable(format!(
            "a newer version of shadowcat wrote it (its schema is {number}, the newest known here is {}): run that version",
            sources.iter().map(|(number, ..)| *number).max().unwrap_or_default(),
        )),
        MigrateError::VersionMismatch(number) => StoreError::Unusable(format!(
            "its schema {number} is not the one of this version of shadowcat: run the version that made it"
        )),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => refused(&error),
        other => StoreError::Unusable(other.to_string()),
    })
}
