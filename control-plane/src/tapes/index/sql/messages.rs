//! Messages that are kept apart, and what refers to them: recordings, each with the segments it has a share of.
//!
//! A message is counted once, to the recording of the first segment that has one for it that is not on hold; when that share goes, it
//! goes on to the next. One that nothing refers to is counted nowhere, and stays for a while, because keys of messages are their hashes:
//! a node that offers it anew is told that it is here, and that begins the while anew. Once it is discarded, a node is told to send it,
//! after it was taken off the list of what is to be deleted; while it is being deleted, nobody is told anything of it.
//!
//! Messages are touched in their order, and of those who change the row of one, each has it alone. A commit holds it together with other
//! commits and with who changes it, who then may not see that the commit refers to it: so what seems unused is looked at again by who
//! deletes it, who has it really alone, waits for nobody, and leaves what a commit holds for the next time.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AssertSqlSafe, Connection as _, query, query_as};

use super::super::super::super::blobs::message_key;
use super::super::{BEGIN, Database, HOLD_MESSAGE, TAKE_MESSAGES};
use super::remove::Segment;
use super::{Connection, discard, signed, unsigned};

/// What a segment that is new has of a message.
#[derive(Debug)]
pub(super) struct Reference<'a> {
    /// The fleet's number and its name.
    pub(super) fleet: (i64, &'a str),
    pub(super) hash: &'a [u8; 32],
    pub(super) stored_bytes: u64,
    pub(super) segment: i64,
    /// Those whose frames refer to it; never none.
    pub(super) recordings: BTreeSet<i64>,
}

/// A segment refers to a message, which is here or came with it.
///
/// # Errors
/// Also if the message is being deleted, because it was discarded after its node was told that it need not send it.
pub(super) async fn refer(connection: &mut Connection, to: &Reference<'_>) -> Result<(), sqlx::Error> {
    let held = query_as::<Database, (i64,)>(HOLD_MESSAGE).bind(to.fleet.0).bind(to.hash.as_slice());
    if held.fetch_optional(&mut *connection).await?.is_none() {
        let inserted = query::<Database>(
            "INSERT INTO messages (fleet, hash, stored_bytes, recording) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(to.fleet.0)
        .bind(to.hash.as_slice())
        .bind(signed(to.stored_bytes))
        .bind(to.recordings.first())
        .execute(&mut *connection)
        .await?;
        let key = message_key(to.fleet.1, &blake3::Hash::from_bytes(*to.hash));
        if inserted.rows_affected() > 0 {
            discard::keep(connection, key.as_ref()).await?;
        }
    }
    for recording in &to.recordings {
        query::<Database>(
            "INSERT INTO message_uses (fleet, hash, segment, recording) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(to.fleet.0)
        .bind(to.hash.as_slice())
        .bind(to.segment)
        .bind(recording)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// A reference of a segment: a message, and the recording.
pub(super) type Use = (Vec<u8>, i64);

/// The references of a segment, in their order.
pub(super) async fn uses(connection: &mut Connection, segment: &Segment) -> Result<Vec<Use>, sqlx::Error> {
    query_as::<Database, Use>("SELECT hash, recording FROM message_uses WHERE segment = $1 ORDER BY hash, recording")
        .bind(segment.number)
        .fetch_all(connection)
        .await
}

/// Recordings of a segment that have no share of it any more let go of its messages, and those whose share is on hold count them no more:
/// the bytes that count no more to each.
pub(super) async fn settle(
    connection: &mut Connection,
    segment: &Segment,
    now: i64,
) -> Result<BTreeMap<i64, u64>, sqlx::Error> {
    let uses: Vec<(Vec<u8>, i64, i64)> = query_as::<Database, _>(
        "SELECT u.hash, u.recording, CAST(coalesce(h.held, -1) AS BIGINT) FROM message_uses u
         LEFT JOIN shares h ON h.segment = u.segment AND h.recording = u.recording
         WHERE u.segment = $1 AND (h.segment IS NULL OR h.held = 1) ORDER BY u.hash, u.recording",
    )
    .bind(segment.number)
    .fetch_all(&mut *connection)
    .await?;
    let mut freed = BTreeMap::new();
    for (hash, recording, held) in uses {
        let of = (hash, recording);
        let end = if held < 0 { End::Gone } else { End::OnHold };
        count_again(connection, segment, (&of, end), now, &mut freed).await?;
    }
    Ok(freed)
}

/// A segment lets go of messages, which are in order: the bytes that count no more to each recording.
pub(super) async fn let_go(
    connection: &mut Connection,
    segment: &Segment,
    uses: impl Iterator<Item = Use>,
    now: i64,
) -> Result<BTreeMap<i64, u64>, sqlx::Error> {
    let mut freed = BTreeMap::new();
    for of in uses {
        count_again(connection, segment, (&of, End::Gone), now, &mut freed).await?;
    }
    Ok(freed)
}

/// What becomes of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Gone,
    /// It stays, and counts nothing.
    OnHold,
}

/// Says anew to which recording a message counts, after a reference has ended.
async fn count_again(
    connection: &mut Connection,
    segment: &Segment,
    ((hash, recording), end): (&Use, End),
    now: i64,
    freed: &mut BTreeMap<i64, u64>,
) -> Result<(), sqlx::Error> {
    // The row first: of two who let go of a message, the later one sees that nobody else refers to it.
    let before = query_as::<Database, (i64, Option<i64>)>(
        "UPDATE messages SET stored_bytes = stored_bytes WHERE fleet = $1 AND hash = $2 RETURNING stored_bytes, recording",
    );
    let before = before.bind(segment.fleet).bind(hash).fetch_optional(&mut *connection).await?;
    if end == End::Gone {
        query::<Database>(
            "DELETE FROM message_uses WHERE fleet = $1 AND hash = $2 AND segment = $3 AND recording = $4",
        )
        .bind(segment.fleet)
        .bind(hash)
        .bind(segment.number)
        .bind(recording)
        .execute(&mut *connection)
        .await?;
    }
    let after = query_as::<Database, (Option<i64>,)>(
        "UPDATE messages SET recording = (SELECT u.recording FROM message_uses u
                 JOIN shares h ON h.segment = u.segment AND h.recording = u.recording AND h.held = 0
                 WHERE u.fleet = $1 AND u.hash = $2 ORDER BY u.segment, u.recording LIMIT 1),
             unused_since = CASE WHEN EXISTS (SELECT 1 FROM message_uses u WHERE u.fleet = $1 AND u.hash = $2)
                 THEN unused_since ELSE $3 END
         WHERE fleet = $1 AND hash = $2 RETURNING recording",
    );
    let after = after.bind(segment.fleet).bind(hash).bind(now).fetch_optional(connection).await?;
    if let Some((bytes, Some(counted))) = before
        && after != Some((Some(counted),))
    {
        *freed.entry(counted).or_default() += unsigned(bytes);
    }
    Ok(())
}

/// Messages that were only referred to by what was on hold count again where that is released.
pub(super) async fn count_released(connection: &mut Connection, fleet: &str) -> Result<(), sqlx::Error> {
    query::<Database>(
        "UPDATE messages SET recording = (SELECT u.recording FROM message_uses u
             JOIN shares h ON h.segment = u.segment AND h.recording = u.recording AND h.held = 0
             WHERE u.fleet = messages.fleet AND u.hash = messages.hash ORDER BY u.segment, u.recording LIMIT 1)
         WHERE fleet = (SELECT id FROM words WHERE word = $1) AND recording IS NULL AND unused_since IS NULL",
    )
    .bind(fleet)
    .execute(connection)
    .await?;
    Ok(())
}

/// Messages that were offered anew while nothing refers to them stay for another while.
///
/// # Errors
/// Also if one was discarded meanwhile: it is missing now.
pub(super) async fn keep(
    connection: &mut Connection,
    fleet: &str,
    hashes: &BTreeSet<[u8; 32]>,
    now: i64,
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    for hash in hashes {
        let kept = query_as::<Database, (i64,)>(
            "UPDATE messages SET unused_since = CASE WHEN unused_since < $3 THEN $3 ELSE unused_since END
             WHERE fleet = (SELECT id FROM words WHERE word = $1) AND hash = $2 RETURNING fleet",
        );
        let kept = kept.bind(fleet).bind(hash.as_slice()).bind(now).fetch_optional(&mut *transaction).await?;
        let Some((number,)) = kept else {
            transaction.rollback().await?;
            return Err(discard::leaving(message_key(fleet, &blake3::Hash::from_bytes(*hash)).as_ref()));
        };
        // One that is offered again and again is never looked at by who discards.
        count_if_used(&mut transaction, number, hash).await?;
    }
    transaction.commit().await
}

/// A message that seemed unused counts again, if a segment refers to it: one that came meanwhile has said nothing of it. Whoever asks has
/// taken the row before, so that no other reference goes.
async fn count_if_used(connection: &mut Connection, fleet: i64, hash: &[u8]) -> Result<(), sqlx::Error> {
    query::<Database>(
        "UPDATE messages SET unused_since = NULL, recording = (SELECT u.recording FROM message_uses u
             JOIN shares h ON h.segment = u.segment AND h.recording = u.recording AND h.held = 0
             WHERE u.fleet = $1 AND u.hash = $2 ORDER BY u.segment, u.recording LIMIT 1)
         WHERE fleet = $1 AND hash = $2 AND EXISTS (SELECT 1 FROM message_uses u WHERE u.fleet = $1 AND u.hash = $2)",
    )
    .bind(fleet)
    .bind(hash.to_vec())
    .execute(connection)
    .await?;
    Ok(())
}

/// A message that nobody seems to use: its fleet, its hash, and the fleet's name.
type Unused = (i64, Vec<u8>, String);

/// Discards messages that have been unused, and not offered, since before a time: how many were looked at. None of them is one the next
/// time.
pub(super) async fn discard_unused(
    connection: &mut Connection,
    before: i64,
    now: i64,
    limit: u32,
) -> Result<u64, sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    let statement = AssertSqlSafe(format!(
        "SELECT m.fleet, m.hash, w.word FROM messages m JOIN words w ON w.id = m.fleet
         WHERE m.unused_since IS NOT NULL AND m.unused_since < $1 ORDER BY m.unused_since LIMIT $2{TAKE_MESSAGES}"
    ));
    let mut unused: Vec<Unused> =
        query_as::<Database, _>(statement).bind(before).bind(i64::from(limit)).fetch_all(&mut *transaction).await?;
    unused.sort();
    for (number, hash, fleet) in &unused {
        // They are taken by now: commits that held them are over, and what they refer to is seen.
        count_if_used(&mut transaction, *number, hash).await?;
        let gone = query::<Database>("DELETE FROM messages WHERE fleet = $1 AND hash = $2 AND unused_since < $3");
        let gone = gone.bind(number).bind(hash).bind(before).execute(&mut *transaction).await?.rows_affected();
        if let (true, Ok(hash)) = (gone > 0, <[u8; 32]>::try_from(hash.as_slice())) {
            let key = message_key(fleet, &blake3::Hash::from_bytes(hash));
            discard::discard(&mut transaction, key.as_ref(), now).await?;
        }
    }
    transaction.commit().await?;
    Ok(unused.len() as u64)
}
