//! Which tapes are kept whatever their recording says.

use sqlx::{Connection as _, query_as};

use super::super::super::Hold;
use super::super::{BEGIN, Database};
use super::Connection;

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
    transaction.commit().await?;
    Ok(changed)
}
