//! Ways to frames: each is answered by one index, in the order of time.
//!
//! Which one finds the fewest frames nobody can tell from a question alone: a caller may have made ten calls, or all of them. So where
//! there are several, each is looked at for a moment, in its index alone.

use sqlx::QueryBuilder;

use super::super::super::Filter;
use super::super::super::codes::{self, FAILURES_FROM};
use super::super::{Database, way};
use super::Connection;
use super::resolve::{Id, Resolved};

/// Branches of one search. Tools and outcomes that make more of them are looked for in the order of time.
const BRANCHES_MAX: usize = 64;

/// Entries of an index that are looked at to choose it: a millisecond. Ways that have more are all the same.
pub(super) const LOOKED_AT: i64 = 10_000;

/// One way to frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Branch {
    /// Of a tape, or of an operation in it.
    Of(Id),
    Trace([u8; 16]),
    Session(String),
    Principal(i64),
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
    pub(super) const fn index(&self) -> Option<&'static str> {
        match self {
            Self::Of(Id::Tape(_) | Id::Operation { .. }) => Some("frames_of_tapes"),
            Self::Trace(_) => Some("frames_of_traces"),
            Self::Session(_) => Some("frames_of_sessions"),
            Self::Principal(_) => Some("frames_of_principals"),
            Self::Called(..) => Some("frames_of_calls"),
            Self::Failed(_) => Some("frames_of_failures"),
            Self::Of(Id::Frame { .. }) | Self::Open | Self::All => None,
        }
    }

    /// What finds its frames `f`, with the fleet.
    pub(super) fn push(&self, select: &mut QueryBuilder<Database>, fleet: i64) {
        if let Self::Open = self {
            // In this order for SQLite, which would else look for an open call to every frame.
            select.push("open_calls o CROSS JOIN frames f WHERE f.fleet = o.fleet AND f.at = o.at");
            select.push(" AND f.source = o.source AND f.seq = o.seq AND o.answered = 0 AND o.fleet = ");
            select.push_bind(fleet);
            return;
        }
        select.push("frames f").push(way(self.index())).push(" WHERE f.fleet = ").push_bind(fleet);
        match self {
            Self::Of(Id::Tape(tape)) => {
                select.push(" AND f.tape = ").push_bind(*tape);
            }
            Self::Of(Id::Operation { tape, source, seq }) => {
                // What belongs to an operation is of one tape, and behind what opened it.
                select.push(" AND f.tape = ").push_bind(*tape).push(" AND f.source = ").push_bind(*source);
                select.push(" AND f.seq >= ").push_bind(*seq).push(" AND f.operation = ").push_bind(*seq);
            }
            Self::Of(Id::Frame { at, source, seq }) => {
                select.push(" AND f.at = ").push_bind(*at).push(" AND f.source = ").push_bind(*source);
                select.push(" AND f.seq = ").push_bind(*seq);
            }
            Self::Trace(trace) => {
                select.push(" AND f.trace = ").push_bind(trace.to_vec());
            }
            Self::Session(session) => {
                select.push(" AND f.session = ").push_bind(session.clone());
            }
            Self::Principal(principal) => {
                select.push(" AND f.principal = ").push_bind(*principal);
            }
            Self::Called(name, outcome) => {
                select.push(" AND f.outcome IS NOT NULL AND f.name = ").push_bind(*name);
                select.push(" AND f.outcome = ").push_bind(*outcome);
            }
            Self::Failed(outcome) => {
                // Word for word as the index has it: SQLite looks no further.
                select.push(" AND f.outcome >= 4 AND f.outcome = ").push_bind(*outcome);
            }
            Self::Open | Self::All => {}
        }
    }
}

/// Ways that a filter opens to the frames that fit it, beside ids: each finds all of them. `ended` says that only ends of calls are
/// wanted, whatever the filter says of outcomes.
pub(super) fn ways(filter: &Filter, resolved: &Resolved, ended: Ended) -> Vec<Vec<Branch>> {
    if let Some(trace) = filter.trace {
        return vec![vec![Branch::Trace(trace)]];
    }
    let mut ways = Vec::new();
    if !filter.session.is_empty() {
        ways.push(vec![Branch::Session(filter.session.clone())]);
    }
    if let Some(principal) = resolved.principal {
        ways.push(vec![Branch::Principal(principal)]);
    }
    let all = filter.outcomes.is_empty();
    if all && ended == Ended::OrNot {
        return ways;
    }
    let outcomes: Vec<i16> = if all { codes::outcomes().collect() } else { filter.outcomes.clone() };
    match &resolved.names {
        Some(names) if names.len() * outcomes.len() <= BRANCHES_MAX => {
            ways.push(
                names.iter().flat_map(|name| outcomes.iter().map(|outcome| Branch::Called(*name, *outcome))).collect(),
            );
        }
        _ if outcomes.iter().all(|outcome| *outcome >= FAILURES_FROM) => {
            ways.push(outcomes.into_iter().map(Branch::Failed).collect());
        }
        _ => {}
    }
    ways
}

/// Which frames are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Those that end a call.
    Only,
    OrNot,
}

/// The way with the fewest frames, and their number up to [`LOOKED_AT`]; `None` without a way.
pub(super) async fn fewest(
    connection: &mut Connection,
    filter: &Filter,
    resolved: &Resolved,
    ways: Vec<Vec<Branch>>,
) -> Result<Option<(Vec<Branch>, i64)>, sqlx::Error> {
    let mut best: Option<(Vec<Branch>, i64)> = None;
    for way in ways {
        let most = best.as_ref().map_or(LOOKED_AT, |(_, number)| *number);
        let mut number = 0;
        for branch in &way {
            if number < most {
                number += look(connection, filter, resolved.fleet, (branch, most - number)).await?;
            }
        }
        if best.is_none() || number < most {
            best = Some((way, number));
        }
    }
    Ok(best)
}

/// How many frames a branch has in the time that is asked for, up to a number.
async fn look(
    connection: &mut Connection,
    filter: &Filter,
    fleet: i64,
    (branch, most): (&Branch, i64),
) -> Result<i64, sqlx::Error> {
    let mut select = QueryBuilder::<Database>::new("SELECT count(*) FROM (SELECT 1 FROM ");
    branch.push(&mut select, fleet);
    push_time(&mut select, filter);
    select.push(" LIMIT ").push_bind(most).push(") l");
    let (number,): (i64,) = select.build_query_as().persistent(false).fetch_one(connection).await?;
    Ok(number)
}

/// The time that a filter says.
pub(super) fn push_time(select: &mut QueryBuilder<Database>, filter: &Filter) {
    if let Some(since) = filter.since {
        select.push(" AND f.at >= ").push_bind(since);
    }
    if let Some(until) = filter.until {
        select.push(" AND f.at < ").push_bind(until);
    }
}
