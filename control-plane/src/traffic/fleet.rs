//! The cells of a fleet, which make its windows.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use shadowcat_proto::admin::v1::traffic_request::Window;
use shadowcat_proto::fleet::v1::TrafficSeries;
use tokio::time::Instant;

use super::length;
use super::node::{Call, Counted, Said};
use super::sums::Part;
use super::tally::Tally;
use crate::fleet::live::cut;

/// How long what came is put into one cell: by so much the shortest window may be too long.
const CELL: Duration = Duration::from_secs(2);

/// Nodes of a fleet that are remembered: as many as a fleet is meant to have, and more. What further ones say is not counted.
const NODES_MAX: usize = 4_096;

/// Kinds of calls that are remembered of all nodes together, with some 400 bytes each: those of a thousand nodes that have 250. The calls
/// of those beyond are not counted.
const REMEMBERED_MAX: usize = 250_000;

/// Kinds of calls that a cell tells apart; the calls of all others are counted together there.
const CELL_KINDS_MAX: usize = 4_096;

/// What came within [`CELL`].
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    pub(super) kinds: HashMap<(Arc<Call>, Arc<str>), Tally>,
    /// What came from each node, and within which time.
    pub(super) nodes: HashMap<Arc<str>, (Tally, Duration)>,
}

/// One fleet.
#[derive(Debug)]
pub(super) struct FleetTraffic {
    /// Since when cells are numbered.
    began: Instant,
    /// By number, the oldest first. Those that are being added up are shared.
    cells: VecDeque<(u64, Arc<Cell>)>,
    nodes: BTreeMap<Arc<str>, Counted>,
    /// Kinds that nodes remember: of each there is one, whoever has it.
    calls: HashSet<Arc<Call>>,
    upstreams: HashSet<Arc<str>>,
    /// The cell in which it was tidied up last.
    tidied: u64,
}

impl FleetTraffic {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            cells: VecDeque::new(),
            nodes: BTreeMap::new(),
            calls: HashSet::new(),
            upstreams: HashSet::new(),
            tidied: 0,
        }
    }

    /// A boot of a node says what it has counted so far.
    pub(super) fn note(&mut self, (node, instance): (&str, &str), series: Vec<TrafficSeries>, now: Instant) {
        self.tidy(now);
        if self.nodes.len() >= NODES_MAX && !self.nodes.contains_key(node) {
            return;
        }
        let said: Vec<Said> = series.into_iter().map(|series| self.said(series)).collect();
        let room = REMEMBERED_MAX.saturating_sub(self.remembered());
        let (name, mut counted) =
            self.nodes.remove_entry(node).unwrap_or_else(|| (node.into(), Counted::new(instance)));
        if counted.instance != instance {
            counted = Counted::new(instance);
        }
        let came = counted.next(said, now, room);
        self.nodes.insert(Arc::clone(&name), counted);
        let Some(came) = came else { return };
        let cell = Arc::make_mut(self.cell(now));
        let (of_node, within) = cell.nodes.entry(name).or_default();
        *within += came.within;
        for Said { call, upstream, tally } in came.calls {
            of_node.add(&tally);
            let room = cell.kinds.len() < CELL_KINDS_MAX;
            let kind = (call, upstream);
            let kind = if room || cell.kinds.contains_key(&kind) { kind } else { (Arc::default(), "".into()) };
            cell.kinds.entry(kind).or_default().add(&tally);
        }
    }

    /// Kinds of calls that are remembered of all nodes.
    pub(super) fn remembered(&self) -> usize {
        self.nodes.values().map(Counted::kinds).sum()
    }

    /// What a window of this length is made from.
    pub(super) fn part(&mut self, length: Duration, now: Instant) -> Part {
        self.tidy(now);
        let from = self.number(now).saturating_sub(cells(length));
        let cells = self.cells.iter().filter(|(number, _)| *number >= from).map(|(_, cell)| Arc::clone(cell)).collect();
        Part::new(cells, self.nodes.iter(), now)
    }

    /// What a node said of a kind, under the names that there are once.
    fn said(&mut self, series: TrafficSeries) -> Said {
        let TrafficSeries { route, upstream, method, tool, calls, errors, latency } = series;
        let call = Call { route: cut(&route).into(), method: cut(&method).into(), tool: cut(&tool).into() };
        let call = if let Some(known) = self.calls.get(&call) {
            Arc::clone(known)
        } else {
            let call = Arc::new(call);
            self.calls.insert(Arc::clone(&call));
            call
        };
        let upstream = cut(&upstream);
        let upstream = if let Some(known) = self.upstreams.get(upstream.as_str()) {
            Arc::clone(known)
        } else {
            let upstream: Arc<str> = upstream.into();
            self.upstreams.insert(Arc::clone(&upstream));
            upstream
        };
        Said { call, upstream, tally: Tally::told(calls, errors, latency) }
    }

    fn number(&self, now: Instant) -> u64 {
        now.duration_since(self.began).as_secs() / CELL.as_secs()
    }

    /// The cell of now.
    fn cell(&mut self, now: Instant) -> &mut Arc<Cell> {
        let number = self.number(now);
        if self.cells.back().is_none_or(|(last, _)| *last < number) {
            self.cells.push_back((number, Arc::default()));
        }
        let (_, cell) = self.cells.back_mut().expect("it was just seen to");
        cell
    }

    /// Forgets what no window reaches any more: cells, nodes that have not spoken since, and names that nothing has.
    fn tidy(&mut self, now: Instant) {
        let number = self.number(now);
        if number == self.tidied {
            return;
        }
        self.tidied = number;
        let longest = length(Window::FiveMinutes);
        let from = number.saturating_sub(cells(longest));
        while self.cells.pop_front_if(|(number, _)| *number < from).is_some() {}
        self.nodes.retain(|_, counted| counted.silent(now) <= longest);
        self.calls.retain(|call| Arc::strong_count(call) > 1);
        self.upstreams.retain(|upstream| Arc::strong_count(upstream) > 1);
    }
}

/// How many cells before the one of now belong to a window.
const fn cells(length: Duration) -> u64 {
    length.as_secs() / CELL.as_secs()
}
