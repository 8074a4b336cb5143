//! Which tapes are kept whatever their recording says.

use sqlx::{Connection as _, query, query_as};

use super::super::super::{Hold, Holding};
use super::super::{BEGIN, Database};
use super::{Connection, messages};

pub(super) async fn unknown(
    connection: &mut Connection,
    fleet: &str,
    tapes: &[String],
) -> Result<Vec<String>, sqlx::Error> {
    let mut unknown = Vec::new();
    for tape in tapes {
        if !is_there(connection, fleet, tape).await? {
            unknown.push(tape.clone());
        }
    }
    Ok(unknown)
}

async fn is_there(connection: &mut Connection, fleet: &str, tape: &str) -> Result<bool, sqlx::Error> {
    let row = query_as::<Database, (i64,)>(
        "SELECT number FROM tapes WHERE fleet = (SELECT id FROM words WHERE word = $1) AND id = $2",
    );
    Ok(row.bind(fleet).bind(tape).fetch_optional(connection).await?.is_some())
}

pub(super) async fn hold(
    connection: &mut Connection,
    fleet: &str,
    tapes: &[String],
    held: Hold,
) -> Result<Holding, sqlx::Error> {
    let (from, to) = match held {
        Hold::Held => (0_i64, 1_i64),
        Hold::Released => (1, 0),
    };
    let mut sorted: Vec<&String> = tapes.iter().collect();
    sorted.sort();
    let (mut changed, mut unknown) = (Vec::new(), Vec::new());
    let mut transaction = connection.begin_with(BEGIN).await?;
    for tape in sorted {
        let row = query_as::<Database, (String,)>(
            "UPDATE tapes SET held = $4 WHERE fleet = (SELECT id FROM words WHERE word = $1) AND id = $2 AND held = $3 RETURNING id",
        );
        let row = row.bind(fleet).bind(tape).bind(from).bind(to).fetch_optional(&mut *transaction).await?;
        match row {
            Some((id,)) => changed.push(id),
            None if is_there(&mut transaction, fleet, tape).await? => {}
            None => unknown.push(tape.clone()),
        }
    }
    if !unknown.is_empty() {
        transaction.rollback().await?;
        return Ok(Holding::Unknown(unknown));
    }
    if held == Hold::Released {
        // What was kept for a hold is looked at again, and kept again where there is another.
        query::<Database>(
            "UPDATE shares SET held = 0 WHERE held = 1 AND fleet = (SELECT id FROM words WHERE word = $1)",
        )
        .bind(fleet)
        .execute(&mut *transaction)
        .await?;
        messages::count_released(&mut transaction, fleet).await?;
    }
    transaction.commit().await?;
    Ok(Holding::Changed(changed))
}

pub(super) async fn held(connection: &mut Connection, fleet: &str) -> Result<Vec<String>, sqlx::Error> {
    let held: Vec<(String,)> = query_as::<Database, _>(
        "SELECT id FROM tapes WHERE held = 1 AND fleet = (SELECT id FROM words WHERE word = $1) ORDER BY id",
    )
    .bind(fleet)
    .fetch_all(connection)
    .await?;
    Ok(held.into_iter().map(|(id,)| id).collect())
}
