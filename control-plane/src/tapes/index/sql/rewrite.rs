//! Segments whose objects are written anew.

use sqlx::{Connection as _, QueryBuilder, query, query_as};

use super::super::super::{Rewriting, Rewritten};
use super::super::{BEGIN, Database};
use super::remove::Segment;
use super::{Connection, discard, messages, names, signed, unsigned};

/// Places of frames that one statement sets. Beyond some tens it saves no time.
const PLACES_AT_ONCE: usize = 64;

pub(super) async fn to_rewrite(connection: &mut Connection, after: i64, limit: u32) -> Result<Vec<i64>, sqlx::Error> {
    let found = query_as::<Database, (i64,)>(
        "SELECT number FROM segments WHERE rewrite = 1 AND number > $1 ORDER BY number LIMIT $2",
    );
    let found: Vec<(i64,)> = found.bind(after).bind(i64::from(limit)).fetch_all(connection).await?;
    Ok(found.into_iter().map(|(number,)| number).collect())
}

/// As it is selected.
type Row = (i64, String, i64, i64, i64, String, i64, String, i64, i64, i64);

pub(super) async fn rewriting(connection: &mut Connection, number: i64) -> Result<Option<Rewriting>, sqlx::Error> {
    let row: Option<Row> = query_as::<Database, _>(
        "SELECT s.fleet, w.word, s.number, g.first_at, g.last_at, s.instance, g.sequence, g.object, g.stored_bytes, g.plain_bytes,
             g.gone
         FROM segments g JOIN sources s ON s.number = g.source JOIN words w ON w.id = s.node WHERE g.number = $1 AND g.rewrite = 1",
    )
    .bind(number)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((fleet, node, source, first_at, last_at, instance, sequence, object, stored, plain, gone)) = row else {
        return Ok(None);
    };
    // Behind the row: what goes from now on is counted in `gone`, and so noticed in the end.
    let kept: Vec<(i64, i64)> = query_as::<Database, _>(
        "SELECT seq, at FROM frames WHERE fleet = $1 AND at BETWEEN $2 AND $3 AND source = $4 AND segment = $5",
    )
    .bind(fleet)
    .bind(first_at)
    .bind(last_at)
    .bind(source)
    .bind(number)
    .fetch_all(&mut *connection)
    .await?;
    let (fleet,) = query_as::<Database, (String,)>("SELECT word FROM words WHERE id = $1")
        .bind(fleet)
        .fetch_one(connection)
        .await?;
    Ok(Some(Rewriting {
        number,
        fleet,
        node,
        instance,
        sequence: unsigned(sequence),
        first_at,
        object,
        stored_bytes: unsigned(stored),
        plain_bytes: unsigned(plain),
        gone: unsigned(gone),
        kept: kept.into_iter().map(|(seq, at)| (unsigned(seq), at)).collect(),
    }))
}

pub(super) async fn rewritten(
    connection: &mut Connection,
    rewritten: &Rewritten,
    now: i64,
) -> Result<bool, sqlx::Error> {
    let from = &rewritten.from;
    let mut transaction = connection.begin_with(BEGIN).await?;
    let Some(segment) = Segment::take(&mut transaction, from.number).await? else { return Ok(false) };
    let listed = query::<Database>("DELETE FROM discarded WHERE object = $1 AND due > $2 AND taken IS NULL");
    let listed = listed.bind(&rewritten.object).bind(now).execute(&mut *transaction).await?.rows_affected();
    let referred = query::<Database>(
        "UPDATE segments SET object = $3, stored_bytes = $4, plain_bytes = $5, gone = gone - $6,
             rewrite = CASE WHEN gone > $6 THEN 1 ELSE 0 END WHERE number = $1 AND object = $2",
    )
    .bind(from.number)
    .bind(&from.object)
    .bind(&rewritten.object)
    .bind(signed(rewritten.stored_bytes))
    .bind(signed(rewritten.plain_bytes))
    .bind(signed(from.gone))
    .execute(&mut *transaction)
    .await?
    .rows_affected();
    if listed == 0 || referred == 0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    discard::discard(&mut transaction, &from.object, now).await?;
    set_places(&mut transaction, &segment, rewritten).await?;
    let_go(&mut transaction, &segment, rewritten, now).await?;
    names::let_go(&mut transaction, &segment).await?;
    add_up(&mut transaction, &segment, rewritten).await?;
    transaction.commit().await?;
    Ok(true)
}

async fn set_places(connection: &mut Connection, segment: &Segment, rewritten: &Rewritten) -> Result<(), sqlx::Error> {
    let places = rewritten.places.iter().filter_map(|(seq, place)| Some((seq, rewritten.from.kept.get(seq)?, place)));
    let places: Vec<(&u64, &i64, &u64)> = places.collect();
    for places in places.chunks(PLACES_AT_ONCE) {
        let mut update = QueryBuilder::<Database>::new("UPDATE frames SET place = v.column3 FROM (");
        update.push_values(places, |mut row, (seq, at, place)| {
            row.push_bind(signed(**seq)).push_bind(**at).push_bind(signed(**place));
        });
        update.push(") AS v WHERE frames.at = v.column2 AND frames.seq = v.column1 AND frames.fleet = ");
        update.push_bind(segment.fleet).push(" AND frames.source = ").push_bind(segment.source);
        update.push(" AND frames.segment = ").push_bind(segment.number);
        update.build().persistent(false).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Lets go of messages that no line refers to any more.
async fn let_go(
    connection: &mut Connection,
    segment: &Segment,
    rewritten: &Rewritten,
    now: i64,
) -> Result<(), sqlx::Error> {
    let is_left = |hash: &[u8]| rewritten.messages.iter().any(|left| left.as_slice() == hash);
    let uses = messages::uses(connection, segment).await?;
    let unused = uses.into_iter().filter(|(hash, _)| !is_left(hash));
    messages::let_go(connection, segment, unused, now).await?;
    Ok(())
}

/// What a source has stored, and what of a segment each recording has, after its object has become smaller.
async fn add_up(connection: &mut Connection, segment: &Segment, rewritten: &Rewritten) -> Result<(), sqlx::Error> {
    let from = &rewritten.from;
    query::<Database>(
        "UPDATE sources SET stored_bytes = stored_bytes - $2 + $3, plain_bytes = plain_bytes - $4 + $5 WHERE number = $1",
    )
    .bind(segment.source)
    .bind(signed(from.stored_bytes))
    .bind(signed(rewritten.stored_bytes))
    .bind(signed(from.plain_bytes))
    .bind(signed(rewritten.plain_bytes))
    .execute(&mut *connection)
    .await?;
    query::<Database>(
        "UPDATE shares SET stored_bytes = frames * (
             (SELECT g.stored_bytes FROM segments g WHERE g.number = $1))
             / (SELECT CAST(sum(h.frames) AS BIGINT) FROM shares h WHERE h.segment = $1)
         WHERE segment = $1 AND (SELECT sum(h.frames) FROM shares h WHERE h.segment = $1) > 0",
    )
    .bind(segment.number)
    .execute(connection)
    .await?;
    Ok(())
}
