//! Frames that a filter fits.
//!
//! A search is made of branches, each of which one index answers in the order of time: a tape, a trace, a tool with one outcome. The
//! database takes the first of each and merges them, so that the cost does not grow with what is kept.

use sqlx::QueryBuilder;

use super::super::super::codes::{self, FAILURES_FROM};
use super::super::super::{Filter, FoundFrame, Position, What};
use super::super::{Database, way};
use super::frame::{Found, NUMBERS, OF_WORDS, WORDS};
use super::resolve::{Id, Resolved};
use super::{Connection, signed};

/// Branches of one search. Tools and outcomes that make more of them are looked for in the order of time.
const BRANCHES_MAX: usize = 64;

/// The index of frames by tape.
pub(super) const OF_TAPES: &str = "frames_of_tapes";

/// One way to frames.
enum Branch {
    /// Of a tape, or of an operation in it.
    Of(Id),
    Trace([u8; 16]),
    Session(String),
    /// Calls of this tool that ended so.
    Called(i64, i16),
    /// Calls that ended so, which is not well.
    Failed(i16),
    /// Requests without an answer.
    Open,
    /// All, in the order of time.
    All,
}

impl Branch {
    /// The index that answers it; `None` for the table's own order.
    const fn index(&self) -> Option<&'static str> {
        match self {
            Self::Of(Id::Tape(_) | Id::Operation { .. }) => Some(OF_TAPES),
            Self::Trace(_) => Some("frames_of_traces"),
            Self::Session(_) => Some("frames_of_sessions"),
            Self::Called(..) => Some("frames_of_calls"),
            Self::Failed(_) => Some("frames_of_failures"),
            Self::Of(Id::Frame { .. }) | Self::Open | Self::All => None,
        }
    }
}

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
    let Some(resolved) = Resolved::of(connection, filter).await? else { return Ok(Vec::new()) };
    let wanted = Wanted { filter, resolved: &resolved, what, before, limit: i64::from(limit) };
    let branches = branches(&wanted);
    if branches.is_empty() {
        return Ok(Vec::new());
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
    let found = select.build_query_as::<Found>().persistent(false).fetch_all(connection).await?;
    Ok(found.into_iter().map(|found| found.0).collect())
}

/// The frames of a tape, in the order of their recording.
pub(super) async fn of_tape(
    connection: &mut Connection,
    filter: &Filter,
    tape: i64,
    after: (i64, u64),
    limit: u32,
) -> Result<Vec<FoundFrame>, sqlx::Error> {
    let Some(resolved) = Resolved::of(connection, filter).await? else { return Ok(Vec::new()) };
    let mut select = QueryBuilder::<Database>::new(WORDS);
    select
        .push("SELECT ")
        .push(NUMBERS)
        .push(" FROM frames f")
        .push(way(Some(OF_TAPES)))
        .push(" WHERE f.tape = ")
        .push_bind(tape);
    select.push(" AND (f.source, f.seq) > (").push_bind(after.0).push(", ").push_bind(signed(after.1)).push(")");
    push_conditions(&mut select, filter, &resolved);
    if !filter.ids.is_empty() && !resolved.ids.iter().any(|id| matches!(id, Id::Tape(named) if *named == tape)) {
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
    select.push(" ORDER BY f.source, f.seq LIMIT ").push_bind(i64::from(limit));
    select.push(OF_WORDS).push(" ORDER BY g.source, g.seq");
    let found = select.build_query_as::<Found>().persistent(false).fetch_all(connection).await?;
    Ok(found.into_iter().map(|found| found.0).collect())
}

/// The cheapest way to what is wanted.
fn branches(wanted: &Wanted<'_>) -> Vec<Branch> {
    let Wanted { filter, resolved, what, .. } = wanted;
    if !filter.ids.is_empty() {
        return resolved.ids.iter().copied().map(Branch::Of).collect();
    }
    if let Some(trace) = filter.trace {
        return vec![Branch::Trace(trace)];
    }
    if !filter.session.is_empty() {
        return vec![Branch::Session(filter.session.clone())];
    }
    if *what == What::Frames && filter.outcomes.is_empty() {
        return vec![Branch::All];
    }
    let outcomes: Vec<i16> =
        if filter.outcomes.is_empty() { codes::outcomes().collect() } else { filter.outcomes.clone() };
    let mut ways: Vec<Branch> = match &resolved.names {
        Some(names) if names.len() * outcomes.len() <= BRANCHES_MAX => {
            names.iter().flat_map(|name| outcomes.iter().map(|outcome| Branch::Called(*name, *outcome))).collect()
        }
        _ if outcomes.iter().all(|outcome| *outcome >= FAILURES_FROM) => {
            outcomes.into_iter().map(Branch::Failed).collect()
        }
        _ => vec![Branch::All],
    };
    if *what == What::Calls && filter.outcomes.is_empty() && filter.latency == 0 {
        ways.push(Branch::Open);
    }
    ways
}

fn push_branch(select: &mut QueryBuilder<Database>, branch: &Branch, wanted: &Wanted<'_>) {
    let fleet = wanted.resolved.fleet;
    let mut calls = wanted.what == What::Calls && wanted.filter.outcomes.is_empty();
    if let Branch::Open = branch {
        // In this order for SQLite, which would else look for an open call to every frame.
        select.push("open_calls o CROSS JOIN frames f WHERE f.fleet = o.fleet AND f.at = o.at AND f.source = o.source");
        select.push(" AND f.seq = o.seq AND o.answered = 0 AND o.fleet = ").push_bind(fleet);
        calls = false;
    } else {
        select.push("frames f").push(way(branch.index())).push(" WHERE f.fleet = ").push_bind(fleet);
    }
    match branch {
        Branch::Of(Id::Tape(tape)) => {
            select.push(" AND f.tape = ").push_bind(*tape);
        }
        Branch::Of(Id::Operation { tape, source, seq }) => {
            // What belongs to an operation is of one tape, and behind what opened it.
            select.push(" AND f.tape = ").push_bind(*tape).push(" AND f.source = ").push_bind(*source);
            select.push(" AND f.seq >= ").push_bind(*seq).push(" AND f.operation = ").push_bind(*seq);
        }
        Branch::Of(Id::Frame { at, source, seq }) => {
            select.push(" AND f.at = ").push_bind(*at).push(" AND f.source = ").push_bind(*source);
            select.push(" AND f.seq = ").push_bind(*seq);
        }
        Branch::Trace(trace) => {
            select.push(" AND f.trace = ").push_bind(trace.to_vec());
        }
        Branch::Session(session) => {
            select.push(" AND f.session = ").push_bind(session.clone());
        }
        Branch::Called(name, outcome) => {
            select.push(" AND f.outcome IS NOT NULL AND f.name = ").push_bind(*name);
            select.push(" AND f.outcome = ").push_bind(*outcome);
            calls = false;
        }
        Branch::Failed(outcome) => {
            // Word for word as the index has it: SQLite looks no further.
            select.push(" AND f.outcome >= 4 AND f.outcome = ").push_bind(*outcome);
        }
        Branch::Open => {}
        Branch::All if calls => {
            select.push(" AND f.outcome IS NOT NULL");
            calls = false;
        }
        Branch::All => {}
    }
    if calls {
        select.push(
            " AND (f.outcome IS NOT NULL
              OR EXISTS (SELECT 1 FROM open_calls o WHERE o.source = f.source AND o.seq = f.seq AND o.answered = 0))",
        );
    }
    if let Some(Position { at, source, seq }) = wanted.before {
        select.push(" AND f.at <= ").push_bind(at).push(" AND (f.at, f.source, f.seq) < (").push_bind(at);
        select.push(", ").push_bind(source).push(", ").push_bind(signed(seq)).push(")");
    }
    push_conditions(select, wanted.filter, wanted.resolved);
}

/// What a filter says of a frame `f`, beside ids.
pub(super) fn push_conditions(select: &mut QueryBuilder<Database>, filter: &Filter, resolved: &Resolved) {
    if let Some(since) = filter.since {
        select.push(" AND f.at >= ").push_bind(since);
    }
    if let Some(until) = filter.until {
        select.push(" AND f.at < ").push_bind(until);
    }
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
