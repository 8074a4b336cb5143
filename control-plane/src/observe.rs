//! What the control plane says of itself: metrics and logs.
//!
//! The registry is never installed as the process-global recorder: `shadowcat up` and the tests run several planes in one
//! process.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Key, KeyName, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

const METADATA: Metadata<'static> = Metadata::new("shadowcat", Level::INFO, None);

/// Every metric of a control plane: name, kind, help. Labels are names of fleets, which operators choose.
const COUNTERS: [(&str, &str); 14] = [
    (CONNECTIONS_REFUSED, "Connections closed at once because of a cap."),
    (CONNECTIONS_FAILED, "Connections that ended before HTTP/2 began: too slow, no TLS, plain text from elsewhere."),
    (SNAPSHOTS_SENT, "Versions that were begun to be sent to a node."),
    (VERSIONS_REFUSED, "Versions that a node would not have."),
    (DENIED, "Calls and joins that were not allowed."),
    (STREAMS, "Streams that nodes opened."),
    (SEGMENTS, "Segments of tapes that were stored."),
    (SEGMENTS_REPEATED, "Segments that were offered again after they were stored, and dropped."),
    (SEGMENTS_REFUSED, "Segments that were refused; their nodes offer them again some times, and give them up then."),
    (SEGMENTS_UNREAD, "Segments of which nothing is found and whose bytes are kept, by reason: not_indexed, twin."),
    (FRAMES, "Frames of stored segments."),
    (SEGMENT_BYTES, "Bytes of stored segments, as they are stored."),
    (SEGMENTS_DELETED, "Segments that were deleted, by reason: age, size, order."),
    (
        DELETED_BYTES,
        "Bytes of segments that were deleted, as they were stored; rewritten: those that went from segments that stay.",
    ),
];
const GAUGES: [(&str, &str); 4] = [
    (CONNECTIONS, "Connections open on the gRPC port."),
    (NODES, "Nodes connected to this replica."),
    (VERSION, "The number of a fleet's current version."),
    (SEGMENTS_UNDER_WAY, "Segments that came and are not yet stored."),
];

const CONNECTIONS: &str = "shadowcat_control_plane_connections";
const CONNECTIONS_REFUSED: &str = "shadowcat_control_plane_connections_refused_total";
const CONNECTIONS_FAILED: &str = "shadowcat_control_plane_connections_failed_total";
const SNAPSHOTS_SENT: &str = "shadowcat_fleet_snapshots_sent_total";
const VERSIONS_REFUSED: &str = "shadowcat_fleet_versions_refused_total";
const STREAMS: &str = "shadowcat_fleet_streams_total";
const NODES: &str = "shadowcat_fleet_nodes_connected";
const VERSION: &str = "shadowcat_fleet_version";
const DENIED: &str = "shadowcat_control_plane_denied_total";

const SEGMENTS: &str = "shadowcat_tapes_segments_total";
const SEGMENTS_REPEATED: &str = "shadowcat_tapes_segments_repeated_total";
const SEGMENTS_REFUSED: &str = "shadowcat_tapes_segments_refused_total";
const SEGMENTS_UNREAD: &str = "shadowcat_tapes_segments_unread_total";
const FRAMES: &str = "shadowcat_tapes_frames_total";
const SEGMENT_BYTES: &str = "shadowcat_tapes_stored_bytes_total";
const SEGMENTS_DELETED: &str = "shadowcat_tapes_segments_deleted_total";
const DELETED_BYTES: &str = "shadowcat_tapes_deleted_bytes_total";
const SEGMENTS_UNDER_WAY: &str = "shadowcat_tapes_segments_under_way";
const INGEST_SECONDS: &str = "shadowcat_tapes_ingest_seconds";

/// Bounds of [`INGEST_SECONDS`]: from a commit to a disk of flash, to a database that was away.
const INGEST_BUCKETS: [f64; 8] = [0.005, 0.02, 0.05, 0.2, 0.5, 2.0, 10.0, 60.0];

/// Counts what happens. Cheap to clone. Nothing here is on the way of a call of an MCP client, so handles are looked up when
/// they are used.
#[derive(Clone)]
pub(crate) struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let buckets = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(INGEST_SECONDS.to_owned()), &INGEST_BUCKETS)
            .expect("there are buckets");
        let recorder = buckets.build_recorder();
        let help = SharedString::const_str("From a segment's last byte to its commit, in seconds.");
        recorder.describe_histogram(KeyName::from_const_str(INGEST_SECONDS), None, help);
        for (name, help) in COUNTERS {
            recorder.describe_counter(KeyName::from_const_str(name), None, SharedString::const_str(help));
        }
        for (name, help) in GAUGES {
            recorder.describe_gauge(KeyName::from_const_str(name), None, SharedString::const_str(help));
        }
        let handle = recorder.handle();
        Self { recorder: Arc::new(recorder), handle }
    }

    /// The text exposition format of Prometheus.
    pub(crate) fn render(&self) -> String {
        self.handle.render()
    }

    /// Connections open, and those refused, for [`Caps`](shadowcat_net::Caps).
    pub(crate) fn connections(&self) -> (Gauge, Counter) {
        (self.gauge(CONNECTIONS, vec![]), self.counter(CONNECTIONS_REFUSED, vec![]))
    }

    pub(crate) fn connection_failed(&self) {
        self.counter(CONNECTIONS_FAILED, vec![]).increment(1);
    }

    pub(crate) fn node_connected(&self, fleet: &str) {
        self.counter(STREAMS, of(fleet)).increment(1);
        self.gauge(NODES, of(fleet)).increment(1.0);
    }

    pub(crate) fn node_gone(&self, fleet: &str) {
        self.gauge(NODES, of(fleet)).decrement(1.0);
    }

    pub(crate) fn snapshot_sent(&self, fleet: &str) {
        self.counter(SNAPSHOTS_SENT, of(fleet)).increment(1);
    }

    pub(crate) fn version_refused(&self, fleet: &str) {
        self.counter(VERSIONS_REFUSED, of(fleet)).increment(1);
    }

    pub(crate) fn version(&self, fleet: &str, number: u64) {
        // A version's number stays far below 2⁵³, up to which a gauge is exact.
        #[allow(clippy::cast_precision_loss, reason = "see above")]
        self.gauge(VERSION, of(fleet)).set(number as f64);
    }

    pub(crate) fn denied(&self) {
        self.counter(DENIED, vec![]).increment(1);
    }

    pub(crate) fn segment_stored(&self, fleet: &str, frames: u64, bytes: u64, took: Duration) {
        self.counter(SEGMENTS, of(fleet)).increment(1);
        self.counter(FRAMES, of(fleet)).increment(frames);
        self.counter(SEGMENT_BYTES, of(fleet)).increment(bytes);
        self.recorder.register_histogram(&Key::from_parts(INGEST_SECONDS, of(fleet)), &METADATA).record(took);
    }

    pub(crate) fn segment_repeated(&self, fleet: &str) {
        self.counter(SEGMENTS_REPEATED, of(fleet)).increment(1);
    }

    pub(crate) fn segment_refused(&self, fleet: &str) {
        self.counter(SEGMENTS_REFUSED, of(fleet)).increment(1);
    }

    pub(crate) fn segment_unread(&self, fleet: &str, reason: &'static str) {
        self.counter(SEGMENTS_UNREAD, of_reason(fleet, reason)).increment(1);
    }

    pub(crate) fn segment_deleted(&self, fleet: &str, reason: &'static str, bytes: u64) {
        self.counter(SEGMENTS_DELETED, of_reason(fleet, reason)).increment(1);
        self.counter(DELETED_BYTES, of_reason(fleet, reason)).increment(bytes);
    }

    pub(crate) fn segment_rewritten(&self, fleet: &str, bytes: u64) {
        self.counter(DELETED_BYTES, of_reason(fleet, "rewritten")).increment(bytes);
    }

    /// Counts a segment as under way for as long as what is returned lives.
    pub(crate) fn segment_under_way(&self) -> UnderWay {
        let gauge = self.gauge(SEGMENTS_UNDER_WAY, vec![]);
        gauge.increment(1.0);
        UnderWay(gauge)
    }

    fn counter(&self, name: &'static str, labels: Vec<Label>) -> Counter {
        self.recorder.register_counter(&Key::from_parts(name, labels), &METADATA)
    }

    fn gauge(&self, name: &'static str, labels: Vec<Label>) -> Gauge {
        self.recorder.register_gauge(&Key::from_parts(name, labels), &METADATA)
    }
}

/// Something that is under way; see [`Metrics::segment_under_way`].
pub(crate) struct UnderWay(Gauge);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn of(fleet: &str) -> Vec<Label> {
    vec![Label::new("fleet", fleet.to_owned())]
}

fn of_reason(fleet: &str, reason: &'static str) -> Vec<Label> {
    vec![Label::new("fleet", fleet.to_owned()), Label::from_static_parts("reason", reason)]
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line for a person.
    Text,
    /// One JSON object a line.
    Json,
}

/// Installs the process's subscriber. `filter` is a `RUST_LOG`-style directive list such as
/// `info,shadowcat_control_plane=debug`.
///
/// # Errors
/// When `filter` is not such a list.
pub fn init_logging(filter: &str, format: LogFormat) -> Result<(), ParseError> {
    let filter = EnvFilter::builder().parse(filter)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
