//! What a store takes and gives.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use shadowcat_config::Digest;

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
    /// What it is done to, as in `node edge-1`. [`Store::commit`](super::Store::commit) writes the number of the version it makes
    /// instead.
    pub resource: String,
}

/// A node that joins.
#[derive(Debug, Clone)]
pub struct NewNode {
    /// Hash of the join token that it shows, which says the fleet.
    pub token: Digest,
    /// Its name, unique in the fleet.
    pub name: String,
    /// When its certificate ends.
    pub certificate_expires_at: SystemTime,
}

/// What a node said of itself, which, and on which of its streams.
#[derive(Debug, Clone)]
pub struct Note {
    /// Its fleet.
    pub fleet: String,
    /// Its name.
    pub name: String,
    /// The stream's number, as [`Noted::Kept`] told it; 0 before it was told.
    pub stream: u64,
    /// The stream is open. One that has ended takes the node from no other.
    pub open: bool,
    /// When it was heard of last.
    pub at: SystemTime,
    /// What it said.
    pub seen: Seen,
}

/// What became of a [`Note`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// It is kept, and the node is this stream's: its number. Streams of a node are counted, at whichever replica they are.
    Kept(u64),
    /// Another instance has the node's name now, on a later stream.
    Taken,
    /// It is of no use any more: the node was removed, or has said more on a later stream.
    Stale,
}

/// What a node said of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// The number of the stream on which it said so.
    pub stream: u64,
    /// It was removed.
    pub removed: bool,
}

/// What the calls of a fleet came to of late at one replica, for the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedTraffic {
    /// The fleet.
    pub fleet: String,
    /// The replica, by a name that it made up when it started.
    pub replica: String,
    /// When, by the replica's clock.
    pub at: SystemTime,
    /// What only replicas read.
    pub sums: Bytes,
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

impl Role {
    /// Every role, from the least to the most.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Editor, Self::Admin];

    /// Its name, as operators write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// The certificate authority of a control plane.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorityRow {
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// Its private key, PKCS #8 DER.
    pub key: Vec<u8>,
}

/// Without the key.
impl fmt::Debug for AuthorityRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorityRow").finish_non_exhaustive()
    }
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
