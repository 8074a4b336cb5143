//! Tokens, of which only hashes are kept, the authority, and keys of fleets.

use std::time::{Duration, SystemTime};

use shadowcat_config::Digest;
use sqlx::{Connection as _, query, query_as};

use super::super::super::rows::{self, AdminTokenRow, Failure, millis};
use super::super::super::{Actor, AdminToken, AuthorityRow, NewJoinToken, Outcome, StoreError};
use super::super::{BEGIN, Database};
use super::{Connection, note_fleet, record};

/// How long a join token that has expired is told from one that never was.
const EXPIRED_TOKENS_KEPT: Duration = Duration::from_hours(7 * 24);

pub(super) async fn create_join_token(
    connection: &mut Connection,
    token: &NewJoinToken,
    by: &Actor,
) -> Result<(), Failure> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    note_fleet(&mut transaction, &token.fleet).await?;
    query::<Database>("DELETE FROM join_tokens WHERE expires_at < $1")
        .bind(millis(SystemTime::now() - EXPIRED_TOKENS_KEPT))
        .execute(&mut *transaction)
        .await?;
    query::<Database>("INSERT INTO join_tokens (hash, fleet, uses, expires_at) VALUES ($1, $2, $3, $4)")
        .bind(token.hash.as_bytes())
        .bind(&token.fleet)
        .bind(i64::from(token.uses))
        .bind(millis(token.expires_at))
        .execute(&mut *transaction)
        .await?;
    record(&mut transaction, by, Outcome::Done, "").await?;
    Ok(transaction.commit().await?)
}

pub(super) async fn fleet_to_join(connection: &mut Connection, hash: &Digest) -> Result<Option<String>, Failure> {
    let good = query_as::<Database, (String,)>(
        "SELECT fleet FROM join_tokens WHERE hash = $1 AND used < uses AND expires_at > $2",
    );
    let good = good.bind(hash.as_bytes()).bind(millis(SystemTime::now())).fetch_optional(connection).await?;
    Ok(good.map(|(fleet,)| fleet))
}

/// Takes one use of a join token: the fleet that it is for.
pub(super) async fn use_join_token(connection: &mut Connection, hash: &Digest) -> Result<String, Failure> {
    let now = millis(SystemTime::now());
    // One statement decides, so that of two nodes that come with the last use one goes without.
    let taken = query_as::<Database, (String,)>(
        "UPDATE join_tokens SET used = used + 1 WHERE hash = $1 AND used < uses AND expires_at > $2 RETURNING fleet",
    )
    .bind(hash.as_bytes())
    .bind(now)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some((fleet,)) = taken {
        return Ok(fleet);
    }
    let expires_at = query_as::<Database, (i64,)>("SELECT expires_at FROM join_tokens WHERE hash = $1")
        .bind(hash.as_bytes())
        .fetch_optional(connection)
        .await?;
    Err(StoreError::Token(match expires_at {
        None => "the join token is unknown here: make one with `shadowcatctl nodes token`",
        Some((expires_at,)) if expires_at <= now => {
            "the join token has expired: make another with `shadowcatctl nodes token`"
        }
        Some(_) => "the join token has been used as often as it may be: make another with `shadowcatctl nodes token`",
    })
    .into())
}

pub(super) async fn create_admin_token(
    connection: &mut Connection,
    token: &AdminToken,
    by: &Actor,
) -> Result<(), Failure> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    query::<Database>("INSERT INTO admin_tokens (hash, name, role, expires_at) VALUES ($1, $2, $3, $4)")
        .bind(token.hash.as_bytes())
        .bind(&token.name)
        .bind(token.role.as_str())
        .bind(token.expires_at.map(millis))
        .execute(&mut *transaction)
        .await?;
    record(&mut transaction, by, Outcome::Done, "").await?;
    Ok(transaction.commit().await?)
}

pub(super) async fn admin_token(connection: &mut Connection, hash: &Digest) -> Result<Option<AdminToken>, Failure> {
    let row = query_as::<Database, AdminTokenRow>(
        "SELECT hash, name, role, expires_at FROM admin_tokens WHERE hash = $1 AND (expires_at IS NULL OR expires_at > $2)",
    );
    let row = row.bind(hash.as_bytes()).bind(millis(SystemTime::now())).fetch_optional(connection).await?;
    row.map(rows::admin_token).transpose()
}

pub(super) async fn has_admin_token(connection: &mut Connection) -> Result<bool, Failure> {
    let found =
        query_as::<Database, (String,)>("SELECT name FROM admin_tokens LIMIT 1").fetch_optional(connection).await?;
    Ok(found.is_some())
}

pub(super) async fn authority(connection: &mut Connection, offered: &AuthorityRow) -> Result<AuthorityRow, Failure> {
    const KEPT: &str = "SELECT certificate, private_key FROM authority";
    if let Some((certificate, key)) =
        query_as::<Database, (Vec<u8>, Vec<u8>)>(KEPT).fetch_optional(&mut *connection).await?
    {
        return Ok(AuthorityRow { certificate, key });
    }
    query::<Database>(
        "INSERT INTO authority (one, certificate, private_key) VALUES (1, $1, $2) ON CONFLICT (one) DO NOTHING",
    )
    .bind(&offered.certificate)
    .bind(&offered.key)
    .execute(&mut *connection)
    .await?;
    let (certificate, key) = query_as::<Database, (Vec<u8>, Vec<u8>)>(KEPT).fetch_one(connection).await?;
    Ok(AuthorityRow { certificate, key })
}

pub(super) async fn redaction_key(
    connection: &mut Connection,
    fleet: &str,
    offered: [u8; 32],
) -> Result<[u8; 32], Failure> {
    query::<Database>("INSERT INTO redaction_keys (fleet, key) VALUES ($1, $2) ON CONFLICT (fleet) DO NOTHING")
        .bind(fleet)
        .bind(offered.as_slice())
        .execute(&mut *connection)
        .await?;
    let kept = query_as::<Database, (Vec<u8>,)>("SELECT key FROM redaction_keys WHERE fleet = $1").bind(fleet);
    let (key,) = kept.fetch_one(connection).await?;
    rows::redaction_key(&key)
}
