//! What a control plane keeps, and the one seam to where it is kept.
//!
//! Two stores answer the same tests: SQLite (one file, for one control plane) and Postgres (for several replicas). Versions are
//! append-only. Every change of an operator is written with its audit record in one transaction, so that neither is there
//! without the other.
//!
//! Both run the same statements, in `sql`; what differs is how they are opened, and how a replica hears of the others.

pub(crate) mod lent;
pub(crate) mod migrate;
pub(crate) mod postgres;
mod pulse;
mod rows;
pub(crate) mod sqlite;
#[cfg(test)]
pub(crate) mod testing;
mod types;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use shadowcat_config::Digest;
use tokio::sync::watch;

pub use self::postgres::PostgresStore;
pub use self::sqlite::SqliteStore;
pub use self::types::{
    Actor, AdminToken, AuditRecord, AuthorityRow, NewJoinToken, NewNode, NewVersion, Node, Note, Noted, Outcome, Role,
    Seen, SharedTraffic, Version,
};

/// By when an operation has ended, connection included. With it whoever asked still answers within two seconds.
pub const OPERATION_TIMEOUT: Duration = Duration::from_millis(1_800);

/// Opens the database that `url` names: `postgres://…`, `sqlite:PATH`, or the path of a SQLite file.
///
/// # Errors
/// [`StoreError::Unusable`] if there is no such database, or none that this program can use, and
/// [`StoreError::Unavailable`] if it does not answer.
pub async fn open(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Arc::new(Box::pin(PostgresStore::connect(url)).await?));
    }
    let path = path_in(url);
    if let Some((scheme, _)) = path.split_once("://") {
        let told = format!("nothing opens {scheme}://…: give postgres://…, sqlite:PATH, or the path of a file");
        return Err(StoreError::Unusable(told));
    }
    if path.is_empty() {
        return Err(StoreError::Unusable("its path is empty: give one, as in sqlite:control-plane.db".to_owned()));
    }
    Ok(Arc::new(SqliteStore::open(path).await?))
}

/// The file of a SQLite database; `None` where `url` names a server.
pub(crate) fn sqlite_file(url: &str) -> Option<PathBuf> {
    let path = path_in(url);
    (!path.contains("://") && !path.is_empty()).then(|| path.into())
}

fn path_in(url: &str) -> &str {
    url.strip_prefix("sqlite:").map_or(url, |path| path.strip_prefix("//").unwrap_or(path))
}

/// Every operation is bounded in time: a store that does not answer within two seconds has failed.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The life of this database: 128 random bits in hexadecimal, made with it.
    fn epoch(&self) -> &str;

    /// Counts up whenever something may have changed that another replica, or a task of this one, must look at: versions and
    /// nodes. With Postgres by LISTEN and by looking every second, whichever is first.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Appends the next version of a fleet; with a fleet that has none yet, the first.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if `new.if_version` is given and is not the current number.
    async fn commit(&self, new: NewVersion, by: Actor) -> Result<Version, StoreError>;

    /// The newest version of a fleet.
    async fn current(&self, fleet: &str) -> Result<Option<Version>, StoreError>;

    /// The newest version of every fleet that has one: what a replica looks at after a change.
    async fn heads(&self) -> Result<Vec<Version>, StoreError>;

    /// One version.
    async fn version(&self, fleet: &str, number: u64) -> Result<Option<Version>, StoreError>;

    /// The canonical bytes of a version.
    async fn content(&self, fleet: &str, number: u64) -> Result<Option<Bytes>, StoreError>;

    /// Up to `limit` versions below `before` (0: from the newest), newest first.
    async fn history(&self, fleet: &str, before: u64, limit: u32) -> Result<Vec<Version>, StoreError>;

    /// Names of the fleets that have a version, a node or a join token.
    async fn fleets(&self) -> Result<Vec<String>, StoreError>;

    /// The fleet that a join token is for, if it is good for another node.
    async fn fleet_to_join(&self, token: &Digest) -> Result<Option<String>, StoreError>;

    /// Takes one use of a join token, and notes the node that has joined with it, or joined again: the fleet that the token is for,
    /// and that is recorded in place of the one in `by`.
    ///
    /// # Errors
    /// [`StoreError::Token`] with the reason.
    async fn join(&self, node: NewNode, by: Actor) -> Result<String, StoreError>;

    /// Notes that a node's certificate was renewed. False if there is no such node, or it was removed.
    async fn renew_node(&self, fleet: &str, name: &str, certificate_expires_at: SystemTime)
    -> Result<bool, StoreError>;

    /// Notes what nodes said of themselves, and tells what became of each note. One transaction, and so one wait for the disk:
    /// whoever hears of many collects them.
    async fn note_nodes(&self, notes: &[Note]) -> Result<Vec<Noted>, StoreError>;

    /// One node, removed ones included.
    async fn node(&self, fleet: &str, name: &str) -> Result<Option<Node>, StoreError>;

    /// Nodes that were not removed, by name.
    async fn nodes(&self, fleet: &str) -> Result<Vec<Node>, StoreError>;

    /// Removes a node: its certificate is refused from now on. False if there was none.
    async fn remove_node(&self, fleet: &str, name: &str, by: Actor) -> Result<bool, StoreError>;

    /// Tells the other replicas what calls came to here, in place of what was told before. What replicas told that have gone is
    /// forgotten within a minute.
    async fn share_traffic(&self, shared: &[SharedTraffic]) -> Result<(), StoreError>;

    /// What the calls of a fleet came to at each replica, as it told last.
    async fn shared_traffic(&self, fleet: &str) -> Result<Vec<SharedTraffic>, StoreError>;

    /// Keeps a join token.
    async fn create_join_token(&self, token: NewJoinToken, by: Actor) -> Result<(), StoreError>;

    /// Keeps an admin token.
    async fn create_admin_token(&self, token: AdminToken, by: Actor) -> Result<(), StoreError>;

    /// The admin token with this hash, unless it has expired.
    async fn admin_token(&self, hash: &Digest) -> Result<Option<AdminToken>, StoreError>;

    /// True if there is any admin token.
    async fn has_admin_token(&self) -> Result<bool, StoreError>;

    /// The authority of this control plane: `offered` if there was none. Replicas that start at once agree on one.
    async fn authority(&self, offered: AuthorityRow) -> Result<AuthorityRow, StoreError>;

    /// The key of a fleet for tags of what recordings blot out: `offered` if it had none. Replicas that ask at once agree on one.
    async fn redaction_key(&self, fleet: &str, offered: [u8; 32]) -> Result<[u8; 32], StoreError>;

    /// Records what was denied, or done without changing anything else here.
    async fn record(&self, by: Actor, outcome: Outcome, reason: &str) -> Result<(), StoreError>;

    /// Up to `limit` audit records of a fleet, and of what concerns none, below `before` (0: from the newest), newest first.
    async fn audit(&self, fleet: &str, before: u64, limit: u32) -> Result<Vec<AuditRecord>, StoreError>;

    /// Whether the database answers; since when it does not.
    fn health(&self) -> Result<(), SystemTime>;

    /// Ends the store's own tasks and connections.
    async fn close(&self);
}

/// Why a store refused.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else was first.
    #[error("the current version is {current}, not {expected}: look at what changed, then apply again")]
    Conflict {
        /// What was demanded.
        expected: u64,
        /// What is.
        current: u64,
    },
    /// A join token that is none.
    #[error("{0}")]
    Token(&'static str),
    /// The database does not answer, or says no. What was to be written may have been written all the same.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The database answers, and did not do this: it would have taken too long, or something that is wanted is being deleted. Less of
    /// it may be done now, and all of it later.
    #[error("the database did not do this now: {0}")]
    NotNow(String),
    /// The database answers, and will not have what it was given to write. Trying again does not help.
    #[error("the database will not keep this: {0}")]
    Unkept(String),
    /// This is no database that the program can use. Trying again does not help.
    #[error("the database cannot be used: {0}")]
    Unusable(String),
}
