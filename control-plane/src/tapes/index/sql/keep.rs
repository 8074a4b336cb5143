//! Which tapes are kept whatever their recording says.

use sqlx::{Connection as _, query, query_as};

use super::super::super::Hold;
use super::super::{BEGIN, Database};
use super::{Connection, messages};

pub(super) async fn hold(
    connection: &mut Connection,
    fleet: &str,
    tapes: &[String],
    held: Hold,
) -> Result<Vec<String>, sqlx::Error> {
    let (from, to) = match held {
        Hold::Held => (0_i64, 1_i64),
        Hold::Released => (1, 0),
    };
    let mut sorted: Vec<&String> = tapes.iter().collect();
    sorted.sort();
    let mut changed = Vec::new();
    let mut transaction = connection.begin_with(BEGIN).await?;
    for tape in sorted {
        let row = query_as::<Database, (String,)>(
            "UPDATE tapes SET held = $4 WHERE fleet = (SELECT id FROM words WHERE word = $1) AND id = $2 AND held = $3 RETURNING id",
        );
        let row = row.bind(fleet).bind(tape).bind(from).bind(to).fetch_optional(&mut *transaction).await?;
        changed.extend(row.map(|(id,)| id));
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
    Ok(changed)
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
