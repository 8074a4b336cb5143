//! What is stored already.

use std::collections::BTreeSet;

use sqlx::{QueryBuilder, query, query_as};

use super::super::super::super::blobs::message_key;
use super::super::super::{KeptSegment, Known, Offered};
use super::super::Database;
use super::{Connection, dictionary, discard, signed, unsigned};

/// What is known of an offer.
pub(super) struct Looked {
    pub(super) known: Known,
    /// Messages of it that are here and that no segment refers to. They may be discarded at any moment.
    pub(super) unused: BTreeSet<[u8; 32]>,
    /// Missing messages of it whose objects are listed as discarded.
    pub(super) discarded: Vec<[u8; 32]>,
}

impl From<Known> for Looked {
    fn from(known: Known) -> Self {
        Self { known, unused: BTreeSet::new(), discarded: Vec::new() }
    }
}

pub(super) async fn known(connection: &mut Connection, offered: Offered<'_>) -> Result<Looked, sqlx::Error> {
    let Some(fleet) = dictionary::look(connection, offered.fleet).await? else {
        return Ok(Known::Missing(offered.messages.to_vec()).into());
    };
    let source = query_as::<Database, (i64,)>(
        "SELECT s.number FROM sources s JOIN words w ON w.id = s.node WHERE s.fleet = $1 AND s.instance = $2 AND w.word = $3",
    );
    let source = source.bind(fleet).bind(&offered.id.instance).bind(offered.node);
    if let Some((source,)) = source.fetch_optional(&mut *connection).await? {
        let sequence = offered.id.sequence;
        let stored = standing(connection, source, sequence, offered.digest).await?;
        if stored == Standing::Stored || was_removed(connection, source, sequence).await? {
            return Ok(Known::Stored.into());
        }
    }
    messages_of(connection, (fleet, offered.fleet), offered.messages).await
}

/// What is stored under the number of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Nothing,
    /// The segment itself.
    Stored,
    /// Others, with other bytes.
    Others,
}

pub(super) async fn standing(
    connection: &mut Connection,
    source: i64,
    sequence: u64,
    digest: &[u8; 32],
) -> Result<Standing, sqlx::Error> {
    let stored = query_as::<Database, (i64,)>(
        "SELECT CAST(max(CASE WHEN digest = $3 THEN 1 ELSE 0 END) AS BIGINT) FROM segments
         WHERE source = $1 AND sequence = $2 GROUP BY sequence",
    );
    let stored = stored.bind(source).bind(signed(sequence)).bind(digest.as_slice());
    Ok(match stored.fetch_optional(connection).await? {
        None => Standing::Nothing,
        Some((0,)) => Standing::Others,
        Some(_) => Standing::Stored,
    })
}

/// Which messages of an offer are here. `fleet` is its number and its name.
async fn messages_of(
    connection: &mut Connection,
    fleet: (i64, &str),
    messages: &[[u8; 32]],
) -> Result<Looked, sqlx::Error> {
    let (mut missing, mut unused, mut discarded) = (Vec::new(), BTreeSet::new(), Vec::new());
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
                    discarded.push(*hash);
                }
                missing.push(*hash);
            }
        }
    }
    Ok(Looked { known: Known::Missing(missing), unused, discarded })
}

/// Whether a segment was here and was deleted: it is not wanted again. Nobody knows its digest any more, so a twin that comes after that
/// is taken for it.
pub(super) async fn was_removed(connection: &mut Connection, source: i64, sequence: u64) -> Result<bool, sqlx::Error> {
    let removed = query_as::<Database, (i64,)>(
        "SELECT source FROM removed WHERE source = $1 AND from_segment <= $2 AND to_segment >= $2",
    );
    Ok(removed.bind(source).bind(signed(sequence)).fetch_optional(connection).await?.is_some())
}

/// A stored segment was offered again.
pub(super) async fn repeated(connection: &mut Connection, offered: Offered<'_>) -> Result<(), sqlx::Error> {
    query::<Database>(
        "UPDATE sources SET repeated = repeated + 1
         WHERE instance = $2 AND fleet = (SELECT id FROM words WHERE word = $1) AND node = (SELECT id FROM words WHERE word = $3)",
    )
    .bind(offered.fleet)
    .bind(&offered.id.instance)
    .bind(offered.node)
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

/// Goes back from the segment, in the order of their numbers, until one begins before the record: few steps, as what belongs together is
/// recorded within seconds.
pub(super) async fn segment_before(
    connection: &mut Connection,
    segment: i64,
    seq: u64,
) -> Result<Option<i64>, sqlx::Error> {
    let found = query_as::<Database, (i64, i64)>(
        "SELECT b.number, b.last_record FROM segments s
         JOIN segments b ON b.source = s.source AND b.sequence < s.sequence AND b.twin = 0 AND b.first_record <= $2
         WHERE s.number = $1 ORDER BY b.sequence DESC LIMIT 1",
    );
    let found = found.bind(segment).bind(signed(seq)).fetch_optional(connection).await?;
    Ok(found.filter(|(_, last)| unsigned(*last) >= seq).map(|(number, _)| number))
}
