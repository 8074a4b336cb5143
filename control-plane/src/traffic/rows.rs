//! What operators are shown of a window.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use shadowcat_proto::admin::v1::traffic_request::{GroupBy, Order};
use shadowcat_proto::admin::v1::{TrafficResponse, TrafficRow};

use super::sums::{KindSum, NodeSum, Sums};
use super::tally::Tally;

/// The names of a row; those that it is not grouped by are empty.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Names<'a> {
    route: &'a str,
    upstream: &'a str,
    method: &'a str,
    tool: &'a str,
    node: &'a str,
}

/// What a node came to at all replicas: it may have gone from one to another within the window.
#[derive(Debug, Default)]
struct OfNode {
    tally: Tally,
    told: Duration,
    silent: Option<Duration>,
}

/// A window of a fleet.
pub(crate) struct Overview<'a> {
    sums: &'a [Sums],
    nodes: BTreeMap<&'a str, OfNode>,
    total: Tally,
    per_second: f64,
}

impl<'a> Overview<'a> {
    /// What these replicas saw.
    pub(crate) fn new(sums: &'a [Sums]) -> Self {
        let (mut nodes, mut total) = (BTreeMap::<&str, OfNode>::new(), Tally::default());
        for NodeSum { node, tally, told_us, silent_us } in sums.iter().flat_map(|sums| &sums.nodes) {
            let of_node = nodes.entry(node).or_default();
            of_node.tally.add(tally);
            of_node.told += Duration::from_micros(*told_us);
            let silent = Duration::from_micros(*silent_us);
            // Who is silent at one replica may speak at another.
            of_node.silent = Some(of_node.silent.map_or(silent, |known| known.min(silent)));
            total.add(tally);
        }
        let per_second = nodes.values().map(OfNode::per_second).sum();
        Self { sums, nodes, total, per_second }
    }

    /// All calls.
    pub(crate) fn total(&self) -> TrafficRow {
        row(&Names::default(), &self.total, self.per_second)
    }

    /// Rows of calls, the most first, and at most so many.
    pub(crate) fn rows(&self, group_by: GroupBy, order: Order, limit: usize) -> TrafficResponse {
        let mut rows = match group_by {
            GroupBy::Node => self.by_node(),
            GroupBy::Route | GroupBy::Upstream | GroupBy::Tool => self.by_kind(group_by),
        };
        let most = |row: &TrafficRow| match order {
            Order::Calls => row.calls,
            Order::Errors => row.errors,
            Order::P99 => row.p99_us.unwrap_or(0),
        };
        // Rows come by name, and those that are alike stay so.
        rows.sort_by_key(|row| Reverse((most(row), row.calls)));
        let left_out = rows.len().saturating_sub(limit);
        rows.truncate(limit);
        TrafficResponse { total: Some(self.total()), rows, left_out: count(left_out), nodes: count(self.nodes.len()) }
    }

    fn by_node(&self) -> Vec<TrafficRow> {
        let nodes = self
            .nodes
            .iter()
            .map(|(node, of_node)| row(&Names { node, ..Names::default() }, &of_node.tally, of_node.per_second()));
        nodes.collect()
    }

    fn by_kind(&self, group_by: GroupBy) -> Vec<TrafficRow> {
        let mut groups = BTreeMap::<Names<'_>, Tally>::new();
        for kind in self.sums.iter().flat_map(|sums| &sums.kinds) {
            groups.entry(names(kind, group_by)).or_default().add(&kind.tally);
        }
        // Each kind had the same time as all together: nodes tell of all their calls at once.
        let each = if self.total.calls == 0 { 0.0 } else { self.per_second / self.total.calls as f64 };
        let shown = groups.iter().filter(|(_, tally)| tally.calls > 0);
        shown.map(|(names, tally)| row(names, tally, each * tally.calls as f64)).collect()
    }
}

impl OfNode {
    fn per_second(&self) -> f64 {
        let time = self.told + self.silent.unwrap_or_default();
        if time.is_zero() { 0.0 } else { self.tally.calls as f64 / time.as_secs_f64() }
    }
}

fn names(kind: &KindSum, group_by: GroupBy) -> Names<'_> {
    let KindSum { route, upstream, method, tool, .. } = kind;
    match group_by {
        GroupBy::Route => Names { route, ..Names::default() },
        GroupBy::Upstream => Names { upstream, ..Names::default() },
        GroupBy::Tool => Names { method, tool, ..Names::default() },
        GroupBy::Node => Names::default(),
    }
}

fn row(names: &Names<'_>, tally: &Tally, calls_per_second: f64) -> TrafficRow {
    let Names { route, upstream, method, tool, node } = *names;
    // Counters are read one after the other, while calls end.
    let errors = tally.errors.min(tally.calls);
    TrafficRow {
        route: route.to_owned(),
        upstream: upstream.to_owned(),
        method: method.to_owned(),
        tool: tool.to_owned(),
        node: node.to_owned(),
        calls: tally.calls,
        errors,
        calls_per_second,
        error_share: if tally.calls == 0 { 0.0 } else { errors as f64 / tally.calls as f64 },
        p50_us: tally.percentile(50),
        p90_us: tally.percentile(90),
        p99_us: tally.percentile(99),
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
