//! The registry of this gateway's metrics. It is never installed as the process-global recorder: `shadowcat up` and the tests run
//! several planes in one process.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics::{KeyName, SharedString, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use shadowcat_session::StoreMetrics;
use shadowcat_upstream::UpstreamMetrics;

/// Upper bounds of latency buckets in seconds: from what a cached answer costs to what a client waits for.
const LATENCY_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0];

/// Histograms keep raw samples until they are folded into buckets; once a second bounds that to a second of traffic.
pub(crate) const UPKEEP_EVERY: Duration = Duration::from_secs(1);

const METADATA: Metadata<'static> = Metadata::new("shadowcat", Level::INFO, None);

/// Makes handles; a handle is looked up once and kept.
#[derive(Clone)]
pub(crate) struct Registry {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
}

impl Registry {
    pub(crate) fn new() -> Self {
        let builder = PrometheusBuilder::new();
        let recorder = builder
            .set_buckets_for_metric(Matcher::Suffix("duration_seconds".to_owned()), &LATENCY_BUCKETS)
            .expect("the bucket list is not empty")
            .build_recorder();
        let handle = recorder.handle();
        Self { recorder: Arc::new(recorder), handle }
    }

    /// A counter; its name ends in `_total`.
    pub(crate) fn counter(&self, name: &'static str, help: &'static str, labels: Vec<Label>) -> Counter {
        self.recorder.describe_counter(KeyName::from_const_str(name), None, SharedString::const_str(help));
        self.recorder.register_counter(&Key::from_parts(name, labels), &METADATA)
    }

    /// A gauge.
    pub(crate) fn gauge(&self, name: &'static str, help: &'static str, labels: Vec<Label>) -> Gauge {
        self.recorder.describe_gauge(KeyName::from_const_str(name), None, SharedString::const_str(help));
        self.recorder.register_gauge(&Key::from_parts(name, labels), &METADATA)
    }

    /// A latency histogram; its name ends in `_duration_seconds`.
    pub(crate) fn latency(&self, name: &'static str, help: &'static str, labels: Vec<Label>) -> Histogram {
        let unit = Some(Unit::Seconds);
        self.recorder.describe_histogram(KeyName::from_const_str(name), unit, SharedString::const_str(help));
        self.recorder.register_histogram(&Key::from_parts(name, labels), &METADATA)
    }

    /// The text exposition format of Prometheus.
    pub(crate) fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds samples into buckets; to be called every [`UPKEEP_EVERY`].
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

/// One label.
pub(crate) fn label(name: &'static str, value: impl Into<SharedString>) -> Label {
    Label::new(name, value.into())
}

/// The handles of one upstream.
pub(crate) fn upstream_metrics(registry: &Registry, upstream: &str) -> UpstreamMetrics {
    let labels = || vec![label("upstream", upstream.to_owned())];
    let gauge = |name, help| registry.gauge(name, help, labels());
    let counter = |name, help| registry.counter(name, help, labels());
    UpstreamMetrics {
        in_flight: gauge("shadowcat_upstream_in_flight", "Exchanges under way; on HTTP/1.1, connections in use."),
        queue_wait: registry.latency(
            "shadowcat_upstream_queue_duration_seconds",
            "Waits for a free connection or child.",
            labels(),
        ),
        overloaded: counter("shadowcat_upstream_overloaded_total", "Exchanges refused because everything was in use."),
        children: gauge("shadowcat_upstream_children", "Child processes alive."),
        spawns: counter("shadowcat_upstream_spawns_total", "Child processes started."),
        exits: counter("shadowcat_upstream_exits_total", "Child processes that ended unasked."),
        sessions: gauge("shadowcat_upstream_sessions", "Sessions held by child processes."),
        dropped_messages: counter(
            "shadowcat_upstream_dropped_messages_total",
            "Messages of a server that nobody took.",
        ),
        skipped_lines: counter("shadowcat_upstream_skipped_lines_total", "Lines of a child that were no messages."),
    }
}

/// The handles of the session store.
pub(crate) fn store_metrics(registry: &Registry) -> StoreMetrics {
    let counter = |name, help| registry.counter(name, help, vec![]);
    StoreMetrics {
        sessions_expired: counter("shadowcat_sessions_expired_total", "Sessions that ended because nobody used them."),
        log_events_dropped: counter("shadowcat_event_log_dropped_total", "Events that fell out of a log at its bound."),
        log_streams_forgotten: counter("shadowcat_event_log_forgotten_total", "Ended streams forgotten at a bound."),
        log_bytes: registry.gauge("shadowcat_event_log_bytes", "Bytes of event logs in memory.", vec![]),
        invalidations: counter("shadowcat_session_invalidations_total", "Cached sessions that changed elsewhere."),
        cache_refusals: counter("shadowcat_session_cache_refusals_total", "Sessions not cached: the cache is full."),
        touches_deferred: counter("shadowcat_session_touches_deferred_total", "Uses noted later: the queue was full."),
        redis_errors: counter("shadowcat_redis_errors_total", "Redis operations that failed or took over 250 ms."),
        redis_reconnects: counter("shadowcat_redis_reconnects_total", "Links made to Redis after the first."),
        leases_lost: counter("shadowcat_node_leases_lost_total", "Times this node's lease ran out."),
    }
}
