//! Rows of either database, as what they stand for.
//!
//! Numbers are 64 bits with a sign in both. What does not fit is clamped when it is written: no number of ours comes near, and a
//! node may send what it likes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use shadowcat_config::Digest;

use super::{Actor, AdminToken, AuditRecord, Node, Outcome, Role, Seen, SharedTraffic, StoreError, Version};

/// Why an operation did not do what it was asked to.
#[derive(Debug)]
pub(super) enum Failure {
    /// The database answered, and this is what follows from its answer.
    Refused(StoreError),
    /// The database did not answer, or not as it should.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

/// What changed, in numbers that are cheap to ask for: heads of fleets, and when nodes joined and were removed.
pub(super) type Marks = (i64, i64, i64);

/// As `select_versions!` names them.
pub(super) type VersionRow = (String, i64, Vec<u8>, i64, String, String, i64, i64, i64);

/// As `select_nodes!` names them.
pub(super) type NodeRow =
    (String, String, i64, i64, Option<i64>, Option<i64>, String, String, String, i64, Option<i64>, Option<String>, i64);

/// Fleet, replica, time, sums.
pub(super) type SharedTrafficRow = (String, String, i64, Vec<u8>);

/// Hash, name, role, expiry.
pub(super) type AdminTokenRow = (Vec<u8>, String, String, Option<i64>);

/// Sequence, time, fleet, name, address, verb, resource, outcome, reason.
pub(super) type AuditRow = (i64, i64, String, String, String, String, String, String, String);

pub(super) fn version(row: VersionRow) -> Result<Version, Failure> {
    let (fleet, number, hash, parent, author, message, created_at, routes, upstreams) = row;
    Ok(Version {
        digest: digest(&hash)?,
        fleet,
        number: unsigned(number),
        parent: unsigned(parent),
        author,
        message,
        created_at: time(created_at),
        routes: small(routes),
        upstreams: small(upstreams),
    })
}

pub(super) fn node(row: NodeRow) -> Result<Node, Failure> {
    let (
        fleet,
        name,
        joined_at,
        expires_at,
        removed_at,
        last_seen,
        instance,
        build,
        labels,
        version,
        refused,
        refusal,
        stream,
    ) = row;
    let labels =
        serde_json::from_str(&labels).map_err(|error| unreadable(&format!("the labels of a node: {error}")))?;
    Ok(Node {
        fleet,
        name,
        joined_at: time(joined_at),
        last_seen: last_seen.map(time),
        certificate_expires_at: time(expires_at),
        seen: Seen { instance, build, labels, version: unsigned(version), refusal: refused.map(unsigned).zip(refusal) },
        stream: unsigned(stream),
        removed: removed_at.is_some(),
    })
}

pub(super) fn shared_traffic((fleet, replica, at, sums): SharedTrafficRow) -> SharedTraffic {
    SharedTraffic { fleet, replica, at: time(at), sums: sums.into() }
}

pub(super) fn admin_token(row: AdminTokenRow) -> Result<AdminToken, Failure> {
    let (hash, name, role, expires_at) = row;
    let role = Role::named(&role).ok_or_else(|| unreadable("the role of an admin token"))?;
    Ok(AdminToken { hash: digest(&hash)?, name, role, expires_at: expires_at.map(time) })
}

pub(super) fn audit_record(row: AuditRow) -> Result<AuditRecord, Failure> {
    let (sequence, at, fleet, name, address, verb, resource, outcome, reason) = row;
    Ok(AuditRecord {
        sequence: unsigned(sequence),
        at: time(at),
        actor: Actor { fleet, name, address, verb, resource },
        outcome: outcome_named(&outcome).ok_or_else(|| unreadable("the outcome of an audit record"))?,
        reason,
    })
}

/// An outcome, as it is kept.
pub(super) fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Denied => "denied",
    }
}

fn outcome_named(name: &str) -> Option<Outcome> {
    [Outcome::Done, Outcome::Denied].into_iter().find(|outcome| outcome_name(*outcome) == name)
}

fn digest(bytes: &[u8]) -> Result<Digest, Failure> {
    Digest::from_slice(bytes).ok_or_else(|| unreadable("a digest"))
}

/// A key that was kept.
pub(super) fn redaction_key(bytes: &[u8]) -> Result<[u8; 32], Failure> {
    <[u8; 32]>::try_from(bytes).map_err(|_| unreadable("a redaction key"))
}

/// Something else wrote this, or a disk lost it.
fn unreadable(what: &str) -> Failure {
    Failure::Database(sqlx::Error::Decode(format!("{what} cannot be read").into()))
}

/// A time as it is kept: milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The time that was kept.
pub(super) fn time(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(unsigned(millis))
}

/// A number as it is kept.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that was kept.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Where a page below `before` starts; 0 stands for the newest.
pub(super) fn page_start(before: u64) -> i64 {
    if before == 0 { i64::MAX } else { signed(before) }
}
