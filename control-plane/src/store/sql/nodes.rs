//! Nodes.

use std::time::SystemTime;

use sqlx::{Connection as _, query, query_as};

use super::super::super::rows::{self, Failure, NodeRow, millis, signed, unsigned};
use super::super::super::{Actor, NewNode, Node, Note, Noted, Outcome};
use super::super::{BEGIN, Database};
use super::secrets::use_join_token;
use super::{Connection, note_fleet, record};

/// The columns of a [`NodeRow`], and which.
macro_rules! select_nodes {
    ($which:literal) => {
        concat!(
            "SELECT fleet, name, joined_at, certificate_expires_at, removed_at, last_seen, instance, build, labels, version,
                    refused_version, refusal, stream FROM nodes ",
            $which
        )
    };
}

/// Whoever joins again is new: nothing that was said before holds, and no stream from before.
pub(super) async fn join(connection: &mut Connection, node: &NewNode, by: &Actor) -> Result<String, Failure> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    let fleet = use_join_token(&mut transaction, &node.token).await?;
    note_fleet(&mut transaction, &fleet).await?;
    query::<Database>(
        "INSERT INTO nodes (fleet, name, joined_at, certificate_expires_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (fleet, name) DO UPDATE SET
             joined_at = excluded.joined_at, certificate_expires_at = excluded.certificate_expires_at, removed_at = NULL,
             last_seen = NULL, instance = '', build = '', labels = '[]', version = 0, refused_version = NULL, refusal = NULL,
             stream = nodes.stream + 1",
    )
    .bind(&fleet)
    .bind(&node.name)
    .bind(millis(SystemTime::now()))
    .bind(millis(node.certificate_expires_at))
    .execute(&mut *transaction)
    .await?;
    let by = Actor { fleet: fleet.clone(), ..by.clone() };
    record(&mut transaction, &by, Outcome::Done, "").await?;
    transaction.commit().await?;
    Ok(fleet)
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

pub(super) async fn note(connection: &mut Connection, notes: &[Note]) -> Result<Vec<Noted>, Failure> {
    // In one order everywhere: two replicas that note the same nodes wait for each other, and do not lock each other out.
    let mut order: Vec<usize> = (0..notes.len()).collect();
    order.sort_by_key(|index| (&notes[*index].fleet, &notes[*index].name));
    let mut noted = vec![Noted::Stale; notes.len()];
    let mut transaction = connection.begin_with(BEGIN).await?;
    for index in order {
        noted[index] = note_one(&mut transaction, &notes[index]).await?;
    }
    transaction.commit().await?;
    Ok(noted)
}

/// A stream keeps the node until another takes it: one that is open and was never noted, or whose instance has it anyway. No clock
/// decides, because those of replicas differ.
async fn note_one(connection: &mut Connection, note: &Note) -> Result<Noted, Failure> {
    let seen = &note.seen;
    let labels = serde_json::to_string(&seen.labels).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let kept = query_as::<Database, (i64,)>(
        "UPDATE nodes SET last_seen = $3, instance = $4, build = $5, labels = $6, version = $7, refused_version = $8,
             refusal = $9, stream = CASE WHEN stream = $10 THEN stream ELSE stream + 1 END
         WHERE fleet = $1 AND name = $2 AND removed_at IS NULL
             AND (stream = $10 OR ($11 AND ($10 = 0 OR instance = $4)))
         RETURNING stream",
    )
    .bind(&note.fleet)
    .bind(&note.name)
    .bind(millis(note.at))
    .bind(&seen.instance)
    .bind(&seen.build)
    .bind(labels)
    .bind(signed(seen.version))
    .bind(seen.refusal.as_ref().map(|(number, _)| signed(*number)))
    .bind(seen.refusal.as_ref().map(|(_, errors)| errors.as_str()))
    .bind(signed(note.stream))
    .bind(note.open)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some((stream,)) = kept {
        return Ok(Noted::Kept(unsigned(stream)));
    }
    let other = query_as::<Database, (String,)>(
        "SELECT instance FROM nodes WHERE fleet = $1 AND name = $2 AND removed_at IS NULL AND instance NOT IN ('', $3)",
    );
    let other = other.bind(&note.fleet).bind(&note.name).bind(&seen.instance).fetch_optional(connection).await?;
    Ok(if other.is_some() { Noted::Taken } else { Noted::Stale })
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
