//! A store in SQL: the statements, and the time each of them has.
//!
//! This module is compiled twice, as a child of `sqlite` and of `postgres`. Both databases run the same text (`$1`, `ON CONFLICT`
//! and `RETURNING` mean the same to them), but sqlx's types differ, and to be generic over them takes more bounds than
//! statements. The parent says which `Database`, how a transaction begins (`BEGIN`), what an error means (`words`), and whether the
//! database is still where it was (`Place`).
//!
//! Everything a commit of one fleet must not do twice hangs on one row: whoever updates `fleets.head` first makes the others wait.

mod access;
mod nodes;
mod secrets;
mod traffic;
mod versions;

use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use shadowcat_config::Digest;
use sqlx::{query, query_as};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub(super) use self::access::Access;
use super::super::lent::ask;
use super::super::rows::{self, Failure, Marks, millis};
use super::super::{
    Actor, AdminToken, AuditRecord, AuthorityRow, NewJoinToken, NewNode, NewVersion, Node, Note, Noted,
    OPERATION_TIMEOUT, Outcome, SharedTraffic, Store, StoreError, Version,
};
use super::Database;

type Connection = <Database as sqlx::Database>::Connection;

/// A store in a SQL database.
#[derive(Debug)]
pub struct SqlStore {
    access: Access,
    epoch: String,
    tasks: TaskTracker,
    stopping: CancellationToken,
    /// Ends the tasks of a store that nobody closed.
    _stop_on_drop: DropGuard,
}

impl SqlStore {
    /// A store over a database whose schema is up to date. `beside` runs until it ends, or the store does.
    pub(super) async fn start(
        access: Access,
        beside: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| StoreError::Unavailable(format!("no random bytes: {error}")))?;
        let epoch = ask!(access, writers, epoch, &hex(&bytes))?;
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(stopping.clone().run_until_cancelled_owned(access.clone().keep_looking()));
        tasks.spawn(stopping.clone().run_until_cancelled_owned(beside));
        Ok(Self { access, epoch, tasks, _stop_on_drop: stopping.clone().drop_guard(), stopping })
    }

    /// After a change that others must look at.
    fn told<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if outcome.is_ok() {
            self.access.pulse.changed();
        }
        outcome
    }
}

#[async_trait]
impl Store for SqlStore {
    fn epoch(&self) -> &str {
        &self.epoch
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.access.pulse.changes()
    }

    async fn commit(&self, new: NewVersion, by: Actor) -> Result<Version, StoreError> {
        self.told(ask!(self.access, writers, versions::commit, &new, &by))
    }

    async fn current(&self, fleet: &str) -> Result<Option<Version>, StoreError> {
        ask!(self.access, readers, versions::current, fleet)
    }

    async fn heads(&self) -> Result<Vec<Version>, StoreError> {
        ask!(self.access, readers, versions::heads)
    }

    async fn version(&self, fleet: &str, number: u64) -> Result<Option<Version>, StoreError> {
        ask!(self.access, readers, versions::version, fleet, number)
    }

    async fn content(&self, fleet: &str, number: u64) -> Result<Option<Bytes>, StoreError> {
        ask!(self.access, readers, versions::content, fleet, number)
    }

    async fn history(&self, fleet: &str, before: u64, limit: u32) -> Result<Vec<Version>, StoreError> {
        ask!(self.access, readers, versions::history, fleet, before, limit)
    }

    async fn fleets(&self) -> Result<Vec<String>, StoreError> {
        ask!(self.access, readers, versions::fleets)
    }

    async fn fleet_to_join(&self, token: &Digest) -> Result<Option<String>, StoreError> {
        ask!(self.access, readers, secrets::fleet_to_join, token)
    }

    async fn join(&self, node: NewNode, by: Actor) -> Result<String, StoreError> {
        self.told(ask!(self.access, writers, nodes::join, &node, &by))
    }

    async fn renew_node(&self, fleet: &str, name: &str, expires_at: SystemTime) -> Result<bool, StoreError> {
        ask!(self.access, writers, nodes::renew, fleet, name, expires_at)
    }

    async fn note_nodes(&self, notes: &[Note]) -> Result<Vec<Noted>, StoreError> {
        ask!(self.access, writers, nodes::note, notes)
    }

    async fn node(&self, fleet: &str, name: &str) -> Result<Option<Node>, StoreError> {
        ask!(self.access, readers, nodes::get, fleet, name)
    }

    async fn nodes(&self, fleet: &str) -> Result<Vec<Node>, StoreError> {
        ask!(self.access, readers, nodes::list, fleet)
    }

    async fn remove_node(&self, fleet: &str, name: &str, by: Actor) -> Result<bool, StoreError> {
        self.told(ask!(self.access, writers, nodes::remove, fleet, name, &by))
    }

    async fn share_traffic(&self, shared: &[SharedTraffic]) -> Result<(), StoreError> {
        ask!(self.access, writers, traffic::share, shared)
    }

    async fn shared_traffic(&self, fleet: &str) -> Result<Vec<SharedTraffic>, StoreError> {
        ask!(self.access, readers, traffic::shared, fleet)
    }

    async fn create_join_token(&self, token: NewJoinToken, by: Actor) -> Result<(), StoreError> {
        ask!(self.access, writers, secrets::create_join_token, &token, &by)
    }

    async fn create_admin_token(&self, token: AdminToken, by: Actor) -> Result<(), StoreError> {
        ask!(self.access, writers, secrets::create_admin_token, &token, &by)
    }

    async fn admin_token(&self, hash: &Digest) -> Result<Option<AdminToken>, StoreError> {
        ask!(self.access, readers, secrets::admin_token, hash)
    }

    async fn has_admin_token(&self) -> Result<bool, StoreError> {
        ask!(self.access, readers, secrets::has_admin_token)
    }

    async fn authority(&self, offered: AuthorityRow) -> Result<AuthorityRow, StoreError> {
        ask!(self.access, writers, secrets::authority, &offered)
    }

    async fn redaction_key(&self, fleet: &str, offered: [u8; 32]) -> Result<[u8; 32], StoreError> {
        ask!(self.access, writers, secrets::redaction_key, fleet, offered)
    }

    async fn record(&self, by: Actor, outcome: Outcome, reason: &str) -> Result<(), StoreError> {
        ask!(self.access, writers, record, &by, outcome, reason)
    }

    async fn audit(&self, fleet: &str, before: u64, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        ask!(self.access, readers, audit, fleet, before, limit)
    }

    fn health(&self) -> Result<(), SystemTime> {
        self.access.pulse.health()
    }

    async fn close(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        // A pool waits for its connections; those that do not answer are not waited for.
        let closed = async { tokio::join!(self.access.writers.close(), self.access.readers.close()) };
        let _ = timeout_at(Instant::now() + OPERATION_TIMEOUT, closed).await;
    }
}

/// The epoch of the database: `offered` if it has none.
async fn epoch(connection: &mut Connection, offered: &str) -> Result<String, Failure> {
    const KEPT: &str = "SELECT epoch FROM epoch";
    // A look first: who only reads needs no lock.
    if let Some((kept,)) = query_as::<Database, (String,)>(KEPT).fetch_optional(&mut *connection).await? {
        return Ok(kept);
    }
    query::<Database>("INSERT INTO epoch (one, epoch) VALUES (1, $1) ON CONFLICT (one) DO NOTHING")
        .bind(offered)
        .execute(&mut *connection)
        .await?;
    let (kept,) = query_as::<Database, (String,)>(KEPT).fetch_one(connection).await?;
    Ok(kept)
}

/// What a change changes. Sums: a maximum would miss a node whose replica's clock is behind.
async fn marks(connection: &mut Connection) -> Result<Marks, Failure> {
    let marks = query_as::<Database, Marks>(
        "SELECT (SELECT CAST(coalesce(sum(head), 0) AS BIGINT) FROM fleets),
                (SELECT CAST(coalesce(sum(joined_at), 0) AS BIGINT) FROM nodes),
                (SELECT CAST(coalesce(sum(removed_at), 0) AS BIGINT) FROM nodes)",
    );
    Ok(marks.fetch_one(connection).await?)
}

/// Writes an audit record; within the transaction of what it tells of, if that changes something.
async fn record(connection: &mut Connection, by: &Actor, outcome: Outcome, reason: &str) -> Result<(), Failure> {
    query::<Database>(
        "INSERT INTO audit (at, fleet, name, address, verb, resource, outcome, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(millis(SystemTime::now()))
    .bind(&by.fleet)
    .bind(&by.name)
    .bind(&by.address)
    .bind(&by.verb)
    .bind(&by.resource)
    .bind(rows::outcome_name(outcome))
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(())
}

async fn audit(connection: &mut Connection, fleet: &str, before: u64, limit: u32) -> Result<Vec<AuditRecord>, Failure> {
    let found = query_as::<Database, rows::AuditRow>(
        "SELECT sequence, at, fleet, name, address, verb, resource, outcome, reason FROM audit
         WHERE fleet IN ($1, '') AND sequence < $2 ORDER BY sequence DESC LIMIT $3",
    )
    .bind(fleet)
    .bind(rows::page_start(before))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    found.into_iter().map(rows::audit_record).collect()
}

/// A fleet is there once something belongs to it.
async fn note_fleet(connection: &mut Connection, fleet: &str) -> Result<(), Failure> {
    query::<Database>("INSERT INTO fleets (name) VALUES ($1) ON CONFLICT (name) DO NOTHING")
        .bind(fleet)
        .execute(connection)
        .await?;
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
