//! What a control plane keeps, and the one seam to where it is kept.
//!
//! Two stores answer the same tests: SQLite (one file, for one control plane) and Postgres (for several replicas). Versions are
//! append-only. Every change of an operator is written with its audit record in one transaction, so that neither is there
//! without the other.

use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use shadowcat_config::Digest;
use tokio::sync::watch;

/// Every operation is bounded in time: a store that does not answer within two seconds has failed.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The life of this database: 128 random bits in hexadecimal, made with it.
    fn epoch(&self) -> &str;

    /// Counts up whenever something may have changed that another replica, or a task of this one, must look at: versions and
    /// nodes. With Postgres by LISTEN and by looking every two seconds, whichever is first.
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

    /// Notes a node that has just joined, or joined again.
    async fn put_node(&self, node: NewNode) -> Result<(), StoreError>;

    /// Notes what a node said of itself. Nothing happens if it was removed.
    async fn note_node(&self, fleet: &str, name: &str, seen: Seen) -> Result<(), StoreError>;

    /// One node, removed ones included.
    async fn node(&self, fleet: &str, name: &str) -> Result<Option<Node>, StoreError>;

    /// Nodes that were not removed, by name.
    async fn nodes(&self, fleet: &str) -> Result<Vec<Node>, StoreError>;

    /// Removes a node: its certificate is refused from now on. False if there was none.
    async fn remove_node(&self, fleet: &str, name: &str, by: Actor) -> Result<bool, StoreError>;

    /// Keeps a join token.
    async fn create_join_token(&self, token: NewJoinToken, by: Actor) -> Result<(), StoreError>;

    /// Takes one use of a join token: the fleet it is for.
    ///
    /// # Errors
    /// [`StoreError::Token`] with the reason.
    async fn use_join_token(&self, hash: &Digest) -> Result<String, StoreError>;

    /// Keeps an admin token.
    async fn create_admin_token(&self, token: AdminToken) -> Result<(), StoreError>;

    /// The admin token with this hash, unless it has expired.
    async fn admin_token(&self, hash: &Digest) -> Result<Option<AdminToken>, StoreError>;

    /// True if there is any admin token.
    async fn has_admin_token(&self) -> Result<bool, StoreError>;

    /// The authority of this control plane: `offered` if there was none. Replicas that start at once agree on one.
    async fn authority(&self, offered: AuthorityRow) -> Result<AuthorityRow, StoreError>;

    /// Records what was denied, or done without changing anything else here.
    async fn record(&self, by: Actor, outcome: Outcome, reason: &str) -> Result<(), StoreError>;

    /// Up to `limit` audit records below `before` (0: from the newest), newest first.
    async fn audit(&self, fleet: &str, before: u64, limit: u32) -> Result<Vec<AuditRecord>, StoreError>;

    /// Whether the database answers; since when it does not.
    fn health(&self) -> Result<(), SystemTime>;

    /// Ends the store's own tasks and connections.
    async fn close(&self);
}

/// A version without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The fleet.
    pub fleet: String,
    /// From 1, without gaps.
    pub number: u64,
    /// Over the canonical bytes.
    pub digest: Digest,
    /// The version it was made from; 0 for the first.
    pub parent: u64,
    /// Whoever the token belongs to.
    pub author: String,
    /// Why.
    pub message: String,
    /// When it was committed, to the millisecond.
    pub created_at: SystemTime,
    /// How many routes it has.
    pub routes: u32,
    /// How many upstreams it has.
    pub upstreams: u32,
}

/// What a version starts from.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// The fleet.
    pub fleet: String,
    /// Canonical bytes of the configuration.
    pub content: Bytes,
    /// Over `content`.
    pub digest: Digest,
    /// Why.
    pub message: String,
    /// Only if this is the current number; 0 for none yet.
    pub if_version: Option<u64>,
    /// How many routes it has.
    pub routes: u32,
    /// How many upstreams it has.
    pub upstreams: u32,
}

/// Who does something, for the audit record that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The fleet it is done to; empty if it concerns none.
    pub fleet: String,
    /// Name of the admin token, or of the node.
    pub name: String,
    /// From which address.
    pub address: String,
    /// As in `configurations.apply`.
    pub verb: String,
    /// What it is done to, as in `node edge-1`. [`Store::commit`] writes the number of the version it makes instead.
    pub resource: String,
}

/// A node that joins.
#[derive(Debug, Clone)]
pub struct NewNode {
    /// Its fleet.
    pub fleet: String,
    /// Its name, unique in the fleet.
    pub name: String,
    /// When its certificate ends.
    pub certificate_expires_at: SystemTime,
}

/// What a node said of itself.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// This boot.
    pub instance: String,
    /// Version of the program.
    pub build: String,
    /// What its operator wrote.
    pub labels: Vec<(String, String)>,
    /// The number it runs; 0 for none, or one of another epoch.
    pub version: u64,
    /// What it refused last: the number, and the errors as text, one a line. `None` if it refuses nothing.
    pub refusal: Option<(u64, String)>,
}

/// A node as it is kept.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its fleet.
    pub fleet: String,
    /// Its name.
    pub name: String,
    /// When it joined.
    pub joined_at: SystemTime,
    /// When it was heard of last; absent if never since it joined.
    pub last_seen: Option<SystemTime>,
    /// When its certificate ends.
    pub certificate_expires_at: SystemTime,
    /// What it said of itself last.
    pub seen: Seen,
    /// It was removed.
    pub removed: bool,
}

/// A join token as it is kept: without its secret.
#[derive(Debug, Clone)]
pub struct NewJoinToken {
    /// SHA-256 of the secret.
    pub hash: Digest,
    /// Nodes that use it join this fleet.
    pub fleet: String,
    /// How many may.
    pub uses: u32,
    /// Until when.
    pub expires_at: SystemTime,
}

/// An admin token as it is kept: without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminToken {
    /// SHA-256 of the token.
    pub hash: Digest,
    /// Whose it is: the author in histories and audit records.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Until when; absent for the first one, which an operator replaces.
    pub expires_at: Option<SystemTime>,
}

/// What a token may do; each role may do what the ones before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Drains nodes, ends sessions, rolls back.
    Operator,
    /// Applies configurations.
    Editor,
    /// Removes nodes, makes tokens.
    Admin,
}

/// The certificate authority of a control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityRow {
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// Its private key, PKCS #8 DER.
    pub key: Vec<u8>,
}

/// How something ended, for the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was not allowed.
    Denied,
}

/// Something an operator did, or tried to.
#[derive(Debug, Clone)]
pub struct AuditRecord {
    /// From 1, in the order of writing.
    pub sequence: u64,
    /// When.
    pub at: SystemTime,
    /// Who did what to what.
    pub actor: Actor,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, if there is something to say.
    pub reason: String,
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
    /// The database does not answer, or says no.
    #[error("the database is not available: {0}")]
    Unavailable(String),
}
