//! Nodes.

use std::time::SystemTime;

use sqlx::{Connection as _, query, query_as};

use super::super::super::rows::{self, Failure, NodeRow, millis, signed};
use super::super::super::{Actor, NewNode, Node, Note, Outcome};
use super::super::{BEGIN, Database};
use super::{Connection, note_fleet, record};

/// The columns of a [`NodeRow`], and which.
macro_rules! select_nodes {
    ($which:literal) => {
        concat!(
            "SELECT fleet, name, joined_at, certificate_expires_at, removed_at, last_seen, instance, build, labels, version,
                    refused_version, refusal FROM nodes ",
            $which
        )
    };
}

/// Whoever joins again is new: nothing that was said before holds.
pub(super) async fn put(connection: &mut Connection, node: &NewNode) -> Result<(), Failure> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    note_fleet(&mut transaction, &node.fleet).await?;
    query::<Database>(
        "INSERT INTO nodes (fleet, name, joined_at, certificate_expires_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (fleet, name) DO UPDATE SET
             joined_at = excluded.joined_at, certificate_expires_at = excluded.certificate_expires_at, removed_at = NULL,
             last_seen = NULL, instance = '', build = '', labels = '[]', version = 0, refused_version = NULL, refusal = NULL",
    )
    .bind(&node.fleet)
    .bind(&node.name)
    .bind(millis(SystemTime::now()))
    .bind(millis(node.certificate_expires_at))
    .execute(&mut *transaction)
    .await?;
    Ok(transaction.commit().await?)
}

pub(super) async fn renew(
    connection: &mut Connection,
    fleet: &str,
    name: &str,
    expires_at: SystemTime,
) -> Result<bool, Failure> {
    let done = query::<Database>(
        "UPDATE nodes SET certificate_expires_at = $3 WHERE fleet = $1 AND name = $2 AND removed_at IS NULL",
    );
    let done = done.bind(fleet).bind(name).bind(millis(expires_at)).execute(connection).await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn note(connection: &mut Connection, notes: &[Note]) -> Result<(), Failure> {
    // In one order everywhere: two replicas that note the same nodes wait for each other, and do not lock each other out.
    let mut notes: Vec<&Note> = notes.iter().collect();
    notes.sort_by_key(|note| (&note.fleet, &note.name));
    let now = millis(SystemTime::now());
    let mut transaction = connection.begin_with(BEGIN).await?;
    for note in notes {
        let seen = &note.seen;
        let labels = serde_json::to_string(&seen.labels).map_err(|error| sqlx::Error::Encode(error.into()))?;
        query::<Database>(
            "UPDATE nodes SET last_seen = $3, instance = $4, build = $5, labels = $6, version = $7, refused_version = $8,
                 refusal = $9
             WHERE fleet = $1 AND name = $2 AND removed_at IS NULL",
        )
        .bind(&note.fleet)
        .bind(&note.name)
        .bind(now)
        .bind(&seen.instance)
        .bind(&seen.build)
        .bind(labels)
        .bind(signed(seen.version))
        .bind(seen.refusal.as_ref().map(|(number, _)| signed(*number)))
        .bind(seen.refusal.as_ref().map(|(_, errors)| errors.as_str()))
        .execute(&mut *transaction)
        .await?;
    }
    Ok(transaction.commit().await?)
}

pub(super) async fn get(connection: &mut Connection, fleet: &str, name: &str) -> Result<Option<Node>, Failure> {
    let row = query_as::<Database, NodeRow>(select_nodes!("WHERE fleet = $1 AND name = $2"));
    row.bind(fleet).bind(name).fetch_optional(connection).await?.map(rows::node).transpose()
}

pub(super) async fn list(connection: &mut Connection, fleet: &str) -> Result<Vec<Node>, Failure> {
    let found = query_as::<Database, NodeRow>(select_nodes!("WHERE fleet = $1 AND removed_at IS NULL ORDER BY name"));
    found.bind(fleet).fetch_all(connection).await?.into_iter().map(rows::node).collect()
}

pub(super) async fn remove(connection: &mut Connection, fleet: &str, name: &str, by: &Actor) -> Result<bool, Failure> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    let done =
        query::<Database>("UPDATE nodes SET removed_at = $3 WHERE fleet = $1 AND name = $2 AND removed_at IS NULL")
            .bind(fleet)
            .bind(name)
            .bind(millis(SystemTime::now()))
            .execute(&mut *transaction)
            .await?;
    let removed = done.rows_affected() > 0;
    if removed {
        record(&mut transaction, by, Outcome::Done, "").await?;
    }
    transaction.commit().await?;
    Ok(removed)
}
