//! Tapes that have a frame which a filter fits.

use sqlx::{QueryBuilder, query_as};

use super::super::super::codes::FAILURES_FROM;
use super::super::super::{Filter, FoundTape};
use super::super::{Database, way};
use super::resolve::{Id, Resolved};
use super::search::push_conditions;
use super::ways::{Branch, Ended, LOOKED_AT, fewest, ways};
use super::{Connection, unsigned};

/// The index of frames by tape.
const OF_TAPES: &str = "frames_of_tapes";

/// The index of tapes in the order in which they are listed.
const BY_BEGINNING: &str = "tapes_by_beginning";

/// The index of tapes by their last frame.
const BY_END: &str = "tapes_by_end";

/// As it is selected.
type Row = (i64, String, i64, i64, i64, i64, i64, i64, i64, Option<String>, Option<String>, Option<String>, i64);

pub(super) async fn tapes(
    connection: &mut Connection,
    filter: &Filter,
    before: Option<(i64, i64)>,
    limit: u32,
) -> Result<Vec<FoundTape>, sqlx::Error> {
    let Some(mut select) = statement(connection, filter, before, limit).await? else { return Ok(Vec::new()) };
    let rows: Vec<Row> = select.build_query_as().persistent(false).fetch_all(&mut *connection).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let nodes = nodes(connection, row.0).await?;
        found.push(tape(row, nodes));
    }
    Ok(found)
}

/// What is asked of the database; `None` if nothing can be found.
pub(in super::super) async fn statement(
    connection: &mut Connection,
    filter: &Filter,
    before: Option<(i64, i64)>,
    limit: u32,
) -> Result<Option<QueryBuilder<Database>>, sqlx::Error> {
    let Some(resolved) = Resolved::of(connection, filter).await? else { return Ok(None) };
    let few = if filter.ids.is_empty() { few(connection, filter, &resolved).await? } else { None };
    let mut select = QueryBuilder::<Database>::new(
        "SELECT t.number, t.id, t.began, t.first_at, t.last_at, t.frames, t.calls, t.errors, t.bytes, r.word, t.session, p.word, t.held FROM ",
    );
    if let Some(branches) = &few {
        // In this order for SQLite, which would else look for each tape whether it is among them.
        select.push("(SELECT DISTINCT tape FROM (");
        for (index, branch) in branches.iter().enumerate() {
            select.push(if index > 0 { " UNION ALL SELECT f.tape FROM " } else { "SELECT f.tape FROM " });
            branch.push(&mut select, resolved.fleet);
            push_conditions(&mut select, filter, &resolved);
        }
        select.push(") f) h CROSS JOIN ");
    }
    select.push("tapes t");
    if few.is_none() && filter.ids.is_empty() {
        select.push(way(Some(through(connection, filter, resolved.fleet).await?)));
    }
    select.push(" LEFT JOIN words r ON r.id = t.route LEFT JOIN words p ON p.id = t.principal WHERE t.fleet = ");
    select.push_bind(resolved.fleet);
    if few.is_some() {
        select.push(" AND t.number = h.tape");
    } else if is_about_frames(filter) {
        push_has_frame(&mut select, filter, &resolved);
    }
    if let Some(since) = filter.since {
        select.push(" AND t.last_at >= ").push_bind(since);
    }
    if let Some(until) = filter.until {
        select.push(" AND t.first_at < ").push_bind(until);
    }
    if let Some((began, number)) = before {
        select.push(" AND t.began <= ").push_bind(began).push(" AND (t.began, t.number) < (").push_bind(began);
        select.push(", ").push_bind(number).push(")");
    }
    push_ids(&mut select, filter, &resolved);
    select.push(" ORDER BY t.began DESC, t.number DESC LIMIT ").push_bind(i64::from(limit));
    Ok(Some(select))
}

/// The index by which tapes are gone through: in the order in which they are listed, until there are enough, or, where few have a frame
/// since the time that is asked for, all of those.
async fn through(connection: &mut Connection, filter: &Filter, fleet: i64) -> Result<&'static str, sqlx::Error> {
    let Some(since) = filter.since else { return Ok(BY_BEGINNING) };
    let mut select = QueryBuilder::<Database>::new("SELECT count(*) FROM (SELECT 1 FROM tapes t");
    select.push(way(Some(BY_END))).push(" WHERE t.fleet = ").push_bind(fleet);
    select.push(" AND t.last_at >= ").push_bind(since).push(" LIMIT ").push_bind(LOOKED_AT).push(") l");
    let (number,): (i64,) = select.build_query_as().persistent(false).fetch_one(connection).await?;
    Ok(if number < LOOKED_AT { BY_END } else { BY_BEGINNING })
}

/// The way to the frames that fit, if they are so few that their tapes are found from them. Those of a trace or a session always are:
/// of however many, they are a part of what else would be looked at.
async fn few(
    connection: &mut Connection,
    filter: &Filter,
    resolved: &Resolved,
) -> Result<Option<Vec<Branch>>, sqlx::Error> {
    let mut ways = ways(filter, resolved, Ended::OrNot);
    if is_between(filter) {
        ways.push(vec![Branch::All]);
    }
    let found = fewest(connection, filter, resolved, ways).await?;
    let is_bound = |branches: &[Branch]| matches!(branches, [Branch::Trace(_) | Branch::Session(_)]);
    Ok(found.filter(|(branches, number)| *number < LOOKED_AT || is_bound(branches)).map(|(branches, _)| branches))
}

/// Tape by tape, because many have such a frame.
fn push_has_frame(select: &mut QueryBuilder<Database>, filter: &Filter, resolved: &Resolved) {
    // The row of a tape tells at least whether any of its calls failed.
    if !filter.outcomes.is_empty() && filter.outcomes.iter().all(|outcome| *outcome >= FAILURES_FROM) {
        select.push(" AND t.errors > 0");
    }
    select.push(" AND EXISTS (SELECT 1 FROM frames f").push(way(Some(OF_TAPES))).push(" WHERE f.tape = t.number");
    push_conditions(select, filter, resolved);
    select.push(")");
}

fn push_ids(select: &mut QueryBuilder<Database>, filter: &Filter, resolved: &Resolved) {
    if filter.ids.is_empty() {
        return;
    }
    let mut listed = select.push(" AND t.number IN (").separated(", ");
    for id in &resolved.ids {
        // A tape that nobody has stands for a frame that is of none.
        listed.push_bind(match id {
            Id::Tape(tape) | Id::Operation { tape, .. } => *tape,
            Id::Frame { .. } => 0,
        });
    }
    select.push(")");
}

/// Whether the row of a tape does not tell. (One that has frames before and after a time need not have one at it.)
fn is_about_frames(filter: &Filter) -> bool {
    let words = [
        &filter.route,
        &filter.upstream,
        &filter.node,
        &filter.principal,
        &filter.session,
        &filter.method,
        &filter.name,
    ];
    let beyond = filter.latency > 0 || filter.size > 0 || !filter.outcomes.is_empty() || filter.trace.is_some();
    is_between(filter) || beyond || words.iter().any(|word| !word.is_empty())
}

fn is_between(filter: &Filter) -> bool {
    filter.since.is_some() && filter.until.is_some()
}

/// The nodes that recorded a tape.
async fn nodes(connection: &mut Connection, tape: i64) -> Result<Vec<String>, sqlx::Error> {
    let nodes: Vec<(String,)> = query_as::<Database, _>(
        "SELECT DISTINCT w.word FROM tape_sources u JOIN sources s ON s.number = u.source JOIN words w ON w.id = s.node
         WHERE u.tape = $1 ORDER BY w.word",
    )
    .bind(tape)
    .fetch_all(connection)
    .await?;
    Ok(nodes.into_iter().map(|(node,)| node).collect())
}

fn tape(row: Row, nodes: Vec<String>) -> FoundTape {
    let (number, id, began, first_at, last_at, frames, calls, errors, bytes, route, session, principal, held) = row;
    FoundTape {
        number,
        id,
        began,
        first_at,
        last_at,
        frames: unsigned(frames),
        calls: unsigned(calls),
        errors: unsigned(errors),
        bytes: unsigned(bytes),
        route: route.unwrap_or_default(),
        session: session.unwrap_or_default(),
        principal: principal.unwrap_or_default(),
        nodes,
        held: held != 0,
    }
}
