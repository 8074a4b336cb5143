//! Requests by route, method, tool and outcome.

use std::collections::HashSet;
use std::iter::Sum;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use dashmap::DashMap;
use metrics::{Counter, Gauge, GaugeFn, Histogram};

use super::recorder::{Registry, label};
use super::traffic::{Kind, Kinds, TrafficTotals};

/// Distinct tools a route keeps apart in metrics; further ones are counted as [`OTHER`]. A series costs about 2 KiB.
const TOOLS_MAX: usize = 256;

/// Of these, tools that a server has confirmed by an error alone. Some say `isError` to names that they do not know, too, so a client can
/// make up so many names, and no more.
const TOOLS_FAILING_MAX: usize = 32;

/// Bytes of a tool's name that gets a label, twice what servers use; longer ones are counted as [`OTHER`]. Labels are kept for good, and
/// told to the control plane in one message.
pub(crate) const TOOL_BYTES_MAX: usize = 128;

/// Distinct names of routes, and of upstreams, that are kept apart in one boot; further ones are counted as [`OTHER`]. As many routes as a
/// version may have: only names that change with every version come to more.
const NAMES_MAX: usize = 10_000;

/// The label of what is not kept apart: a method no version of MCP knows, or a tool that no server has answered for yet. Names
/// come from clients, so none becomes a series before a server has confirmed it.
const OTHER: &str = "other";

/// Methods that get a label of their own: every request and notification of the versions this gateway knows, and the HTTP methods
/// for what carries no message or was refused before it was read.
const METHODS: &[&str] = &[
    "GET",
    "POST",
    "DELETE",
    "initialize",
    "ping",
    "server/discover",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "subscriptions/listen",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "logging/setLevel",
    "tasks/get",
    "tasks/cancel",
    "tasks/result",
    "tasks/list",
    "tasks/update",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/roots/list_changed",
    "notifications/tasks/status",
];

/// Names that have labels of their own. What is once kept apart stays so: its counters must not fall back to zero.
#[derive(Debug, Default)]
pub(crate) struct Names(HashSet<Arc<str>>);

impl Names {
    /// What `name` is called in metrics.
    pub(crate) fn label(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return Arc::clone(known);
        }
        if self.0.len() >= NAMES_MAX {
            return OTHER.into();
        }
        let name: Arc<str> = name.into();
        self.0.insert(Arc::clone(&name));
        name
    }
}

/// How a call ended, as the label `outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The server answered with a result.
    Ok,
    /// The server answered with a result that says `isError`.
    ToolError,
    /// The server answered with a JSON-RPC error or an HTTP error status.
    ServerError,
    /// The gateway refused what the client sent.
    Refused,
    /// The gateway could not get an answer.
    Failed,
    /// The client left before the answer was complete.
    Abandoned,
}

impl Outcome {
    const ALL: [Self; 6] = [Self::Ok, Self::ToolError, Self::ServerError, Self::Refused, Self::Failed, Self::Abandoned];

    /// The value of the label.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ToolError => "tool_error",
            Self::ServerError => "server_error",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }
}

/// The handles of one (route, method, tool).
#[derive(Debug)]
pub(crate) struct CallSeries {
    outcomes: [Counter; Outcome::ALL.len()],
    latency: Histogram,
    traffic: Kind,
}

impl CallSeries {
    fn new(route: &RouteCalls, method: &'static str, tool: &str) -> Arc<Self> {
        let registry = &route.registry;
        let labels =
            || vec![label("route", Arc::clone(&route.label)), label("method", method), label("tool", tool.to_owned())];
        let outcomes = Outcome::ALL.map(|outcome| {
            let mut labels = labels();
            labels.push(label("outcome", outcome.label()));
            registry.counter("shadowcat_requests_total", "MCP messages from clients, by how they ended.", labels)
        });
        let help = "From the request's head to the answer's last byte.";
        let latency = registry.latency("shadowcat_request_duration_seconds", help, labels());
        Arc::new(Self { outcomes, latency, traffic: Kind::of(method, &route.kinds) })
    }

    fn record(&self, outcome: Outcome, began: Instant) {
        let elapsed = began.elapsed();
        self.outcomes[outcome as usize].increment(1);
        self.latency.record(elapsed.as_secs_f64());
        self.traffic.record(outcome, elapsed);
    }
}

/// A route's calls.
#[derive(Debug)]
pub(crate) struct RouteCalls {
    registry: Registry,
    kinds: Arc<Kinds>,
    pub(crate) route: Arc<str>,
    /// What it is called in metrics.
    label: Arc<str>,
    methods: DashMap<&'static str, Arc<CallSeries>>,
    tools: DashMap<Box<str>, Arc<CallSeries>>,
    /// Of the tools, those that answered with an error when they were first called.
    tools_failing: AtomicUsize,
    /// Streams open to clients.
    pub(crate) streams: Gauge,
    /// The value of `streams`: metrics can be written, not read.
    open: Arc<Readable>,
    /// Calls that have ended.
    ended: AtomicU64,
    /// Of these, those without an answer through no fault of their client.
    failed: AtomicU64,
    /// Sessions in the store, as of the last time somebody looked.
    pub(crate) sessions: Gauge,
}

/// What a node tells its control plane of its calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) ended: u64,
    pub(crate) failed: u64,
    pub(crate) streams: u64,
}

impl Sum for Totals {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            ended: sum.ended + one.ended,
            failed: sum.failed + one.failed,
            streams: sum.streams + one.streams,
        })
    }
}

/// A gauge of whole things whose value can be read.
#[derive(Debug)]
struct Readable {
    shown: Gauge,
    count: AtomicU64,
}

impl GaugeFn for Readable {
    fn increment(&self, by: f64) {
        self.count.fetch_add(by as u64, Ordering::Relaxed);
        self.shown.increment(by);
    }

    fn decrement(&self, by: f64) {
        self.count.fetch_sub(by as u64, Ordering::Relaxed);
        self.shown.decrement(by);
    }

    fn set(&self, value: f64) {
        self.count.store(value as u64, Ordering::Relaxed);
        self.shown.set(value);
    }
}

impl RouteCalls {
    /// Counts the calls of `route`, in metrics as those of `shown_as`.
    pub(crate) fn new(registry: &Registry, kinds: &Arc<Kinds>, route: &Arc<str>, shown_as: Arc<str>) -> Arc<Self> {
        let labels = vec![label("route", Arc::clone(&shown_as))];
        let shown = registry.gauge("shadowcat_streams", "Event streams open to clients.", labels.clone());
        let open = Arc::new(Readable { shown, count: AtomicU64::new(0) });
        Arc::new(Self {
            registry: registry.clone(),
            kinds: Arc::clone(kinds),
            route: Arc::clone(route),
            label: shown_as,
            methods: DashMap::new(),
            tools: DashMap::new(),
            tools_failing: AtomicUsize::new(0),
            streams: Gauge::from_arc(Arc::clone(&open)),
            open,
            ended: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            sessions: registry.gauge(
                "shadowcat_sessions",
                "Sessions of a route, on all replicas that share them.",
                labels,
            ),
        })
    }

    fn of_method(&self, method: &str) -> Arc<CallSeries> {
        if let Some(series) = self.methods.get(method) {
            return Arc::clone(&series);
        }
        let known = METHODS.iter().find(|known| **known == method).copied().unwrap_or(OTHER);
        let series = self.methods.entry(known);
        Arc::clone(&series.or_insert_with(|| CallSeries::new(self, known, "")))
    }

    fn of_tool(&self, tool: &str, outcome: Outcome) -> Arc<CallSeries> {
        if let Some(series) = self.tools.get(tool) {
            return Arc::clone(&series);
        }
        let has_room = tool.len() <= TOOL_BYTES_MAX && self.tools.len() < TOOLS_MAX;
        let name = if has_room && self.confirms(outcome) { tool } else { OTHER };
        let series = self.tools.entry(name.into());
        Arc::clone(&series.or_insert_with(|| CallSeries::new(self, "tools/call", name)))
    }

    /// Whether an answer shows that there is a tool of a name that was not called before.
    fn confirms(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Ok => true,
            Outcome::ToolError => {
                let room = |failing: usize| (failing < TOOLS_FAILING_MAX).then_some(failing + 1);
                self.tools_failing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok()
            }
            Outcome::ServerError | Outcome::Refused | Outcome::Failed | Outcome::Abandoned => false,
        }
    }

    /// Counts a finished call.
    pub(crate) fn record(&self, method: &str, tool: Option<&str>, outcome: Outcome, began: Instant) {
        let series = match tool {
            Some(tool) => self.of_tool(tool, outcome),
            None => self.of_method(method),
        };
        series.record(outcome, began);
        self.ended.fetch_add(1, Ordering::Relaxed);
        if outcome == Outcome::Failed {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What calls of each kind came to since the start: method, tool or nothing, and how many.
    pub(crate) fn traffic(&self) -> Vec<(String, String, TrafficTotals)> {
        let methods =
            self.methods.iter().map(|entry| ((*entry.key()).to_owned(), String::new(), entry.traffic.totals()));
        let tools =
            self.tools.iter().map(|entry| ("tools/call".to_owned(), entry.key().to_string(), entry.traffic.totals()));
        methods.chain(tools).filter_map(|(method, tool, totals)| Some((method, tool, totals?))).collect()
    }

    /// What this route has seen since the start.
    pub(crate) fn totals(&self) -> Totals {
        let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
        Totals { ended: read(&self.ended), failed: read(&self.failed), streams: read(&self.open.count) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_tool_has_a_label_once_a_server_has_answered_for_it_and_if_its_name_is_no_essay() {
        let (kinds, route) = (Arc::default(), "r".into());
        let calls = RouteCalls::new(&Registry::new(), &kinds, &route, Arc::clone(&route));
        let essay = "a".repeat(TOOL_BYTES_MAX + 1);
        for (tool, outcome) in [("add", Outcome::Ok), ("guess", Outcome::ServerError), (&*essay, Outcome::Ok)] {
            calls.record("tools/call", Some(tool), outcome, Instant::now());
        }
        let mut told: Vec<_> = calls.traffic().into_iter().map(|(_, tool, totals)| (tool, totals.calls)).collect();
        told.sort();
        assert_eq!(told, [("add".to_owned(), 1), (OTHER.to_owned(), 2)]);
    }

    #[test]
    fn a_tool_that_only_fails_has_a_label_and_names_that_are_made_up_leave_room_for_others() {
        let (kinds, route) = (Arc::default(), "r".into());
        let calls = RouteCalls::new(&Registry::new(), &kinds, &route, Arc::clone(&route));
        let record = |tool: &str, outcome| calls.record("tools/call", Some(tool), outcome, Instant::now());
        record("broken", Outcome::ToolError);
        record("broken", Outcome::ToolError);
        for number in 0..TOOLS_MAX {
            record(&format!("made-up-{number}"), Outcome::ToolError);
        }
        record("add", Outcome::Ok);
        let told: HashMap<_, _> = calls.traffic().into_iter().map(|(_, tool, totals)| (tool, totals.calls)).collect();
        let rest = (TOOLS_MAX - (TOOLS_FAILING_MAX - 1)) as u64;
        assert_eq!((told["broken"], told["add"], told[OTHER]), (2, 1, rest));
        assert_eq!(told.len(), TOOLS_FAILING_MAX + 2);
    }
}
