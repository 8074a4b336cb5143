//! What replicas tell each other of traffic.

use std::time::{Duration, SystemTime};

use sqlx::{Connection as _, query, query_as};

use super::super::super::SharedTraffic;
use super::super::super::rows::{self, Failure, millis};
use super::super::{BEGIN, Database};
use super::Connection;

/// What was not told anew for this long is of a replica that has gone, whatever their clocks differ by.
const KEPT: Duration = Duration::from_secs(60);

pub(super) async fn share(connection: &mut Connection, shared: &[SharedTraffic]) -> Result<(), Failure> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    for told in shared {
        query::<Database>(
            "INSERT INTO traffic (fleet, replica, at, sums) VALUES ($1, $2, $3, $4)
             ON CONFLICT (fleet, replica) DO UPDATE SET at = excluded.at, sums = excluded.sums",
        )
        .bind(&told.fleet)
        .bind(&told.replica)
        .bind(millis(told.at))
        .bind(&told.sums[..])
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    // By itself: two replicas that forget the same third one wait for nobody.
    let before = SystemTime::now().checked_sub(KEPT).map_or(0, millis);
    query::<Database>("DELETE FROM traffic WHERE at < $1").bind(before).execute(connection).await?;
    Ok(())
}

pub(super) async fn shared(connection: &mut Connection, fleet: &str) -> Result<Vec<SharedTraffic>, Failure> {
    let found = query_as::<Database, rows::SharedTrafficRow>(
        "SELECT fleet, replica, at, sums FROM traffic WHERE fleet = $1 ORDER BY replica",
    );
    Ok(found.bind(fleet).fetch_all(connection).await?.into_iter().map(rows::shared_traffic).collect())
}
