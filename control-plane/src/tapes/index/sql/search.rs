//! Frames that a filter fits.
//!
//! A search is made of branches, each of which one index answers in the order of time: a tape, a trace, a tool with one outcome. The
//! database takes the first of each and merges them, so that the cost does not grow with what is kept.

use sqlx::QueryBuilder;

use super::super::super::{Filter, FoundFrame, Position, What};
use super::super::Database;
use super::frame::{Found, NUMBERS, OF_WORDS, WORDS};
use super::resolve::{Id, Resolved};
use super::ways::{Branch, Ended, LOOKED_AT, fewest, push_time, ways};
use super::{Connection, signed};

/// What is wanted of each branch.
struct Wanted<'a> {
    filter: &'a Filter,
    resolved: &'a Resolved,
    what: What,
    before: Option<Position>,
    limit: i64,
}

pub(super) async fn search(
    connection: &mut Connection,
    filter: &Filter,
    what: What,
    before: Option<Position>,
    limit: u32,
) -> Result<Vec<FoundFrame>, sqlx::Error> {
    match statement(connection, filter, what, before, limit).await? {
        Some(select) => found(connection, select).await,
        None => Ok(Vec::new()),
    }
}

async fn found(
    connection: &mut Connection,
    mut select: QueryBuilder<Database>,
) -> Result<Vec<FoundFrame>, sqlx::Error> {
    let found = select.build_query_as::<Found>().persistent(false).fetch_all(connection).await?;
    Ok(found.into_iter().map(|found| found.0).collect())
}

/// What is asked of the database for a search; `None` if nothing can be found.
pub(in super::super) async fn statement(
    connection: &mut Connection,
    filter: &Filter,
    what: What,
    before: Option<Position>,
    limit: u32,
) -> Result<Option<QueryBuilder<Database>>, sqlx::Error> {
    let Some(resolved) = Resolved::of(connection, filter).await? else { return Ok(None) };
    let wanted = Wanted { filter, resolved: &resolved, what, before, limit: i64::from(limit) };
    let branches = branches(connection, &wanted).await?;
    if branches.is_empty() {
        return Ok(None);
    }
    let mut select = QueryBuilder::<Database>::new(WORDS);
    for (index, branch) in branches.iter().enumerate() {
        if index > 0 {
            // A frame may be of a tape and of an operation that were both named.
            select.push(if filter.ids.is_empty() { " UNION ALL " } else { " UNION " });
        }
        select.push("SELECT * FROM (SELECT ").push(NUMBERS).push(" FROM ");
        push_branch(&mut select, branch, &wanted);
        select.push(" ORDER BY f.at DESC, f.source DESC, f.seq DESC LIMIT ").push_bind(wanted.limit);
        select.push(") b").push(index);
    }
    select.push(" ORDER BY at DESC, source DESC, seq DESC LIMIT ").push_bind(wanted.limit);
    select.push(OF_WORDS).push(" ORDER BY g.at DESC, g.source DESC, g.seq DESC");
    Ok(Some(select))
}

/// The frames of a tape, in the order of their recording.
pub(super) async fn of_tape(
    connection: &mut Connection,
    filter: &Filter,
    tape: i64,
    after: (i64, u64),
    limit: u32,
) -> Result<Vec<FoundFrame>, sqlx::Error> {
    match statement_of_tape(connection, filter, tape, after, limit).await? {
        Some(select) => found(connection, select).await,
        None => Ok(Vec::new()),
    }
}

/// What is asked of the database for the frames of a tape. Where few frames fit, all of them are found and put in order.
pub(in super::super) async fn statement_of_tape(
    connection: &mut Connection,
    filter: &Filter,
    tape: i64,
    after: (i64, u64),
    limit: u32,
) -> Result<Option<QueryBuilder<Database>>, sqlx::Error> {
    let Some(resolved) = Resolved::of(connection, filter).await? else { return Ok(None) };
    let ways = ways(filter, &resolved, Ended::OrNot);
    let branches = match fewest(connection, filter, &resolved, ways).await? {
        Some((branches, number)) if number < LOOKED_AT && filter.ids.is_empty() => branches,
        _ => vec![Branch::Of(Id::Tape(tape))],
    };
    let mut select = QueryBuilder::<Database>::new(WORDS);
    for (index, branch) in branches.iter().enumerate() {
        select.push(if index > 0 { " UNION ALL SELECT " } else { "SELECT " }).push(NUMBERS).push(" FROM ");
        branch.push(&mut select, resolved.fleet);
        select.push(" AND f.tape = ").push_bind(tape);
        select.push(" AND (f.source, f.seq) > (").push_bind(after.0).push(", ").push_bind(signed(after.1)).push(")");
        push_conditions(&mut select, filter, &resolved);
        push_ids_within(&mut select, filter, &resolved, tape);
    }
    select.push(" ORDER BY source, seq LIMIT ").push_bind(i64::from(limit));
    select.push(OF_WORDS).push(" ORDER BY g.source, g.seq");
    Ok(Some(select))
}

/// What ids stand for within a tape that is not named itself.
fn push_ids_within(select: &mut QueryBuilder<Database>, filter: &Filter, resolved: &Resolved, tape: i64) {
    if filter.ids.is_empty() || resolved.ids.iter().any(|id| matches!(id, Id::Tape(named) if *named == tape)) {
        return;
    }
    let mut of = select.push(" AND (").separated(" OR ");
    for id in &resolved.ids {
        match id {
            Id::Operation { source, seq, .. } => {
                of.push("(f.source = ").push_bind_unseparated(*source);
                of.push_unseparated(" AND f.operation = ").push_bind_unseparated(*seq).push_unseparated(")");
            }
            Id::Frame { source, seq, .. } => {
                of.push("(f.source = ").push_bind_unseparated(*source);
                of.push_unseparated(" AND f.seq = ").push_bind_unseparated(*seq).push_unseparated(")");
            }
            Id::Tape(_) => {
                of.push("1 = 0");
            }
        }
    }
    select.push(")");
}

/// The cheapest way to what is wanted.
async fn branches(connection: &mut Connection, wanted: &Wanted<'_>) -> Result<Vec<Branch>, sqlx::Error> {
    let Wanted { filter, resolved, what, .. } = wanted;
    if !filter.ids.is_empty() {
        return Ok(resolved.ids.iter().copied().map(Branch::Of).collect());
    }
    let ended = if *what == What::Calls { Ended::Only } else { Ended::OrNot };
    let mut ways = ways(filter, resolved, ended);
    let mut branches = match ways.len() {
        0 => vec![Branch::All],
        1 => ways.swap_remove(0),
        _ => fewest(connection, filter, resolved, ways).await?.map_or_else(Vec::new, |(branches, _)| branches),
    };
    let ended_only =
        branches.iter().any(|branch| matches!(branch, Branch::Called(..) | Branch::Failed(_) | Branch::All));
    if *what == What::Calls && ended_only && filter.outcomes.is_empty() && filter.latency == 0 {
        branches.push(Branch::Open);
    }
    Ok(branches)
}

fn push_branch(select: &mut QueryBuilder<Database>, branch: &Branch, wanted: &Wanted<'_>) {
    branch.push(select, wanted.resolved.fleet);
    if wanted.what == What::Calls && wanted.filter.outcomes.is_empty() {
        match branch {
            Branch::Open | Branch::Called(..) => {}
            Branch::All => {
                select.push(" AND f.outcome IS NOT NULL");
            }
            _ => {
                select.push(
                    " AND (f.outcome IS NOT NULL OR EXISTS (SELECT 1 FROM open_calls o
                      WHERE o.source = f.source AND o.seq = f.seq AND o.answered = 0))",
                );
            }
        }
    }
    if let Some(Position { at, source, seq }) = wanted.before {
        select.push(" AND f.at <= ").push_bind(at).push(" AND (f.at, f.source, f.seq) < (").push_bind(at);
        select.push(", ").push_bind(source).push(", ").push_bind(signed(seq)).push(")");
    }
    push_conditions(select, wanted.filter, wanted.resolved);
}

/// What a filter says of a frame `f`, beside ids.
pub(super) fn push_conditions(select: &mut QueryBuilder<Database>, filter: &Filter, resolved: &Resolved) {
    push_time(select, filter);
    for (column, word) in resolved.columns() {
        select.push(" AND f.").push(column).push(" = ").push_bind(word);
    }
    if let Some(node) = resolved.node {
        select.push(" AND f.source IN (SELECT number FROM sources WHERE node = ").push_bind(node).push(")");
    }
    if !filter.session.is_empty() {
        select.push(" AND f.session = ").push_bind(filter.session.clone());
    }
    if let Some(trace) = filter.trace {
        select.push(" AND f.trace = ").push_bind(trace.to_vec());
    }
    if let Some(names) = &resolved.names {
        push_in(select, "name", names.iter().copied());
    }
    if !filter.outcomes.is_empty() {
        push_in(select, "outcome", filter.outcomes.iter().map(|outcome| i64::from(*outcome)));
    }
    if filter.latency > 0 {
        select.push(" AND f.latency >= ").push_bind(signed(filter.latency));
    }
    if filter.size > 0 {
        select.push(" AND f.size >= ").push_bind(signed(filter.size));
    }
}

fn push_in(select: &mut QueryBuilder<Database>, column: &str, values: impl Iterator<Item = i64>) {
    let mut listed = select.push(" AND f.").push(column).push(" IN (").separated(", ");
    for value in values {
        listed.push_bind(value);
    }
    select.push(")");
}
