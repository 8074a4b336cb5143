//! Versions: appended, and read.

use std::time::SystemTime;

use bytes::Bytes;
use sqlx::{Connection as _, query, query_as};

use super::super::super::rows::{self, Failure, VersionRow, millis, signed};
use super::super::super::{Actor, NewVersion, Outcome, StoreError, Version};
use super::super::{BEGIN, Database};
use super::{Connection, note_fleet, record};

/// The columns of a [`VersionRow`], and where from.
macro_rules! select_versions {
    ($from:literal) => {
        concat!(
            "SELECT versions.fleet, number, digest, parent, author, message, created_at, routes, upstreams FROM versions ",
            $from
        )
    };
}

pub(super) async fn commit(connection: &mut Connection, new: &NewVersion, by: &Actor) -> Result<Version, Failure> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    note_fleet(&mut transaction, &new.fleet).await?;
    let (number,) = query_as::<Database, (i64,)>("UPDATE fleets SET head = head + 1 WHERE name = $1 RETURNING head")
        .bind(&new.fleet)
        .fetch_one(&mut *transaction)
        .await?;
    let version = Version {
        fleet: new.fleet.clone(),
        number: number.unsigned_abs(),
        digest: new.digest,
        parent: number.unsigned_abs() - 1,
        author: by.name.clone(),
        message: new.message.clone(),
        // As it will be read.
        created_at: rows::time(millis(SystemTime::now())),
        routes: new.routes,
        upstreams: new.upstreams,
    };
    if let Some(expected) = new.if_version.filter(|expected| *expected != version.parent) {
        transaction.rollback().await?;
        return Err(StoreError::Conflict { expected, current: version.parent }.into());
    }
    insert(&mut transaction, &version, &new.content).await?;
    let by = Actor { resource: format!("version {number}"), ..by.clone() };
    record(&mut transaction, &by, Outcome::Done, &new.message).await?;
    transaction.commit().await?;
    Ok(version)
}

async fn insert(connection: &mut Connection, version: &Version, content: &[u8]) -> Result<(), Failure> {
    query::<Database>(
        "INSERT INTO versions (fleet, number, digest, parent, author, message, created_at, routes, upstreams, content)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&version.fleet)
    .bind(signed(version.number))
    .bind(version.digest.as_bytes())
    .bind(signed(version.parent))
    .bind(&version.author)
    .bind(&version.message)
    .bind(millis(version.created_at))
    .bind(i64::from(version.routes))
    .bind(i64::from(version.upstreams))
    .bind(content)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn current(connection: &mut Connection, fleet: &str) -> Result<Option<Version>, Failure> {
    let row = query_as::<Database, VersionRow>(select_versions!(
        "JOIN fleets ON name = versions.fleet AND head = number WHERE name = $1"
    ));
    row.bind(fleet).fetch_optional(connection).await?.map(rows::version).transpose()
}

pub(super) async fn heads(connection: &mut Connection) -> Result<Vec<Version>, Failure> {
    let found = query_as::<Database, VersionRow>(select_versions!(
        "JOIN fleets ON name = versions.fleet AND head = number ORDER BY name"
    ));
    found.fetch_all(connection).await?.into_iter().map(rows::version).collect()
}

pub(super) async fn version(connection: &mut Connection, fleet: &str, number: u64) -> Result<Option<Version>, Failure> {
    let row = query_as::<Database, VersionRow>(select_versions!("WHERE versions.fleet = $1 AND number = $2"));
    row.bind(fleet).bind(signed(number)).fetch_optional(connection).await?.map(rows::version).transpose()
}

pub(super) async fn content(connection: &mut Connection, fleet: &str, number: u64) -> Result<Option<Bytes>, Failure> {
    let row = query_as::<Database, (Vec<u8>,)>("SELECT content FROM versions WHERE fleet = $1 AND number = $2")
        .bind(fleet)
        .bind(signed(number))
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|(content,)| content.into()))
}

pub(super) async fn history(
    connection: &mut Connection,
    fleet: &str,
    before: u64,
    limit: u32,
) -> Result<Vec<Version>, Failure> {
    let found = query_as::<Database, VersionRow>(select_versions!(
        "WHERE versions.fleet = $1 AND number < $2 ORDER BY number DESC LIMIT $3"
    ))
    .bind(fleet)
    .bind(rows::page_start(before))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    found.into_iter().map(rows::version).collect()
}

pub(super) async fn fleets(connection: &mut Connection) -> Result<Vec<String>, Failure> {
    let found = query_as::<Database, (String,)>("SELECT name FROM fleets ORDER BY name").fetch_all(connection).await?;
    Ok(found.into_iter().map(|(name,)| name).collect())
}
