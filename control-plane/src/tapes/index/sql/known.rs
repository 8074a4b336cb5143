//! What is stored already.

use std::collections::BTreeSet;

use shadowcat_tape::segment::SegmentId;
use sqlx::{QueryBuilder, query, query_as};

use super::super::super::super::blobs::message_key;
use super::super::super::{KeptSegment, Known};
use super::super::Database;
use super::{Connection, dictionary, discard, signed, unsigned};

/// What is known of an offer.
pub(super) struct Looked {
    pub(super) known: Known,
    /// Messages of it that are here and that no segment refers to. They may be discarded at any moment.
    pub(super) unused: BTreeSet<[u8; 32]>,
    /// A message of it is about to be deleted.
    pub(super) leaving: Option<[u8; 32]>,
}

impl From<Known> for Looked {
    fn from(known: Known) -> Self {
        Self { known, unused: BTreeSet::new(), leaving: None }
    }
}

/// `of` is the fleet and the node that offers.
pub(super) async fn known(
    connection: &mut Connection,
    of: (&str, &str),
    id: &SegmentId,
    messages: &[[u8; 32]],
) -> Result<Looked, sqlx::Error> {
    let Some(fleet) = dictionary::look(connection, of.0).await? else {
        return Ok(Known::Missing(messages.to_vec()).into());
    };
    let source = query_as::<Database, (i64, String)>(
        "SELECT s.number, w.word FROM sources s JOIN words w ON w.id = s.node WHERE s.fleet = $1 AND s.instance = $2",
    );
    if let Some((source, owner)) = source.bind(fleet).bind(&id.instance).fetch_optional(&mut *connection).await? {
        if owner != of.1 {
            return Ok(Known::Foreign(owner).into());
        }
        let stored = query_as::<Database, (i64,)>("SELECT number FROM segments WHERE source = $1 AND sequence = $2");
        let stored = stored.bind(source).bind(signed(id.sequence)).fetch_optional(&mut *connection).await?;
        if stored.is_some() || was_removed(connection, source, id.sequence).await? {
            return Ok(Known::Stored.into());
        }
    }
    messages_of(connection, (fleet, of.0), messages).await
}

/// Which messages of an offer are here. `fleet` is its number and its name.
async fn messages_of(
    connection: &mut Connection,
    fleet: (i64, &str),
    messages: &[[u8; 32]],
) -> Result<Looked, sqlx::Error> {
    let (mut missing, mut unused, mut leaving) = (Vec::new(), BTreeSet::new(), None);
    for hash in messages {
        let kept =
            query_as::<Database, (Option<i64>,)>("SELECT unused_since FROM messages WHERE fleet = $1 AND hash = $2");
        match kept.bind(fleet.0).bind(hash.as_slice()).fetch_optional(&mut *connection).await? {
            Some((None,)) => {}
            Some((Some(_),)) => {
                unused.insert(*hash);
            }
            None => {
                let key = message_key(fleet.1, &blake3::Hash::from_bytes(*hash));
                if discard::is_listed(connection, key.as_ref()).await? {
                    leaving = Some(*hash);
                } else {
                    missing.push(*hash);
                }
            }
        }
    }
    Ok(Looked { known: Known::Missing(missing), unused, leaving })
}

/// Whether a segment was here and was deleted: it is not wanted again.
pub(super) async fn was_removed(connection: &mut Connection, source: i64, sequence: u64) -> Result<bool, sqlx::Error> {
    let removed = query_as::<Database, (i64,)>(
        "SELECT source FROM removed WHERE source = $1 AND from_segment <= $2 AND to_segment >= $2",
    );
    Ok(removed.bind(source).bind(signed(sequence)).fetch_optional(connection).await?.is_some())
}

/// A stored segment was offered again.
pub(super) async fn repeated(connection: &mut Connection, fleet: &str, id: &SegmentId) -> Result<(), sqlx::Error> {
    query::<Database>(
        "UPDATE sources SET repeated = repeated + 1
         WHERE instance = $2 AND fleet = (SELECT id FROM words WHERE word = $1)",
    )
    .bind(fleet)
    .bind(&id.instance)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn segments(connection: &mut Connection, numbers: &[i64]) -> Result<Vec<KeptSegment>, sqlx::Error> {
    let mut select = QueryBuilder::<Database>::new("SELECT number, object, lost_bytes FROM segments WHERE number IN (");
    let mut listed = select.separated(", ");
    for number in numbers {
        listed.push_bind(*number);
    }
    select.push(")");
    let found: Vec<(i64, String, i64)> = select.build_query_as().fetch_all(connection).await?;
    let segment = |(number, object, lost)| KeptSegment { number, object, lost_bytes: unsigned(lost) };
    Ok(found.into_iter().map(segment).collect())
}
