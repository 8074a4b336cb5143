//! What is stored already.

use shadowcat_tape::segment::SegmentId;
use sqlx::{QueryBuilder, query, query_as};

use super::super::super::{KeptSegment, Known};
use super::super::Database;
use super::{Connection, dictionary, signed, unsigned};

/// `of` is the fleet and the node that offers.
pub(super) async fn known(
    connection: &mut Connection,
    of: (&str, &str),
    id: &SegmentId,
    messages: &[[u8; 32]],
) -> Result<Known, sqlx::Error> {
    let (fleet, node) = of;
    let Some(fleet) = dictionary::look(connection, fleet).await? else { return Ok(Known::Missing(messages.to_vec())) };
    let source = query_as::<Database, (i64, String)>(
        "SELECT s.number, w.word FROM sources s JOIN words w ON w.id = s.node WHERE s.fleet = $1 AND s.instance = $2",
    );
    if let Some((source, owner)) = source.bind(fleet).bind(&id.instance).fetch_optional(&mut *connection).await? {
        if owner != node {
            return Ok(Known::Foreign(owner));
        }
        let stored = query_as::<Database, (i64,)>("SELECT number FROM segments WHERE source = $1 AND sequence = $2");
        let stored = stored.bind(source).bind(signed(id.sequence)).fetch_optional(&mut *connection).await?;
        // What was deleted for its age is not wanted again.
        let gone = query_as::<Database, (i64,)>("SELECT number FROM sources WHERE number = $1 AND kept_from > $2");
        let gone = gone.bind(source).bind(signed(id.sequence)).fetch_optional(&mut *connection).await?;
        if stored.or(gone).is_some() {
            return Ok(Known::Stored);
        }
    }
    let mut missing = Vec::new();
    for hash in messages {
        let kept = query_as::<Database, (i64,)>("SELECT stored_bytes FROM messages WHERE fleet = $1 AND hash = $2");
        if kept.bind(fleet).bind(hash.as_slice()).fetch_optional(&mut *connection).await?.is_none() {
            missing.push(*hash);
        }
    }
    Ok(Known::Missing(missing))
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
