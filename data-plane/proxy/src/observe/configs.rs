//! Which configuration runs, how it came, and how far behind it may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use tokio::sync::watch;
use tokio::time::Instant;

use super::recorder::Registry;

/// The handles of what is said of configurations; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct ConfigMetrics {
    age: Gauge,
    version: Gauge,
    connected: Gauge,
    live: Arc<Live>,
    mismatches: Counter,
    prepare: Histogram,
    apply: Histogram,
    link: Arc<watch::Sender<Link>>,
    unkept: Gauge,
    is_kept: Arc<AtomicBool>,
}

/// Whether somebody could tell of a newer configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// The configuration comes from a file of this machine, or from the program.
    Local,
    /// The control plane is heard.
    Up,
    /// It is not, since then.
    Down(Instant),
}

#[derive(Debug)]
struct Live {
    count: AtomicU32,
    shown: Gauge,
}

/// A configuration that is alive; dropped with it.
#[derive(Debug)]
pub(crate) struct LiveVersion(Arc<Live>);

impl Drop for LiveVersion {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
        self.0.shown.decrement(1.0);
    }
}

impl ConfigMetrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let gauge = |name, help| registry.gauge(name, help, vec![]);
        let live = gauge(
            "shadowcat_config_versions_live",
            "Configurations in memory: the running one, and those calls still use.",
        );
        Self {
            age: gauge(
                "shadowcat_config_age_seconds",
                "How long no control plane could tell of a newer configuration.",
            ),
            version: gauge("shadowcat_config_version", "Number of the running version; 0 if a file or nothing runs."),
            connected: gauge("shadowcat_control_plane_connected", "1 while the line to the control plane is open."),
            live: Arc::new(Live { count: AtomicU32::new(0), shown: live }),
            mismatches: registry.counter(
                "shadowcat_config_digest_mismatch_total",
                "Versions refused because their bytes are not those that were announced.",
                vec![],
            ),
            prepare: registry.latency(
                "shadowcat_config_prepare_duration_seconds",
                "From a configuration's arrival until it is ready to be put to use.",
                vec![],
            ),
            apply: registry.latency(
                "shadowcat_config_apply_duration_seconds",
                "From the word to put a configuration to use until every new call gets it.",
                vec![],
            ),
            link: Arc::new(watch::Sender::new(Link::Local)),
            unkept: gauge(
                "shadowcat_config_unkept",
                "1 while what runs could not be written to this machine's disk: a start without a control plane has an older one.",
            ),
            is_kept: Arc::new(AtomicBool::new(true)),
        }
    }

    pub(crate) fn live_version(&self) -> LiveVersion {
        self.live.count.fetch_add(1, Ordering::Relaxed);
        self.live.shown.increment(1.0);
        LiveVersion(Arc::clone(&self.live))
    }

    /// How many configurations are alive.
    pub(crate) fn versions_live(&self) -> u32 {
        self.live.count.load(Ordering::Relaxed)
    }

    pub(crate) fn mismatched(&self) {
        self.mismatches.increment(1);
    }

    pub(crate) fn prepared(&self, took: Duration) {
        self.prepare.record(took.as_secs_f64());
    }

    /// A configuration was put to use; `number` is absent unless it is a version.
    pub(crate) fn applied(&self, number: Option<u64>, took: Duration) {
        self.apply.record(took.as_secs_f64());
        self.version.set(number.unwrap_or(0) as f64);
    }

    /// The disk has taken what runs.
    pub(crate) fn kept(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
        self.unkept.set(0.0);
    }

    /// It has not.
    pub(crate) fn not_kept(&self) {
        self.is_kept.store(false, Ordering::Relaxed);
        self.unkept.set(1.0);
    }

    /// Whether the next start has what runs now.
    pub(crate) fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::Relaxed)
    }

    /// The line to the control plane has opened.
    pub(crate) fn connected(&self) {
        self.link.send_replace(Link::Up);
        self.upkeep();
    }

    /// The line is not open; says so again without effect.
    pub(crate) fn disconnected(&self) {
        self.link.send_if_modified(|link| {
            let was = *link;
            if !matches!(was, Link::Down(_)) {
                *link = Link::Down(Instant::now());
            }
            *link != was
        });
        self.upkeep();
    }

    /// Sets what changes by itself.
    pub(crate) fn upkeep(&self) {
        let link = *self.link.borrow();
        let age = if let Link::Down(since) = link { since.elapsed() } else { Duration::ZERO };
        self.age.set(age.as_secs_f64());
        self.connected.set(if link == Link::Up { 1.0 } else { 0.0 });
    }

    /// Whether the line to the control plane is open; none if there is no line.
    pub(crate) fn is_connected(&self) -> Option<bool> {
        let link = *self.link.borrow();
        (link != Link::Local).then_some(link == Link::Up)
    }
}
