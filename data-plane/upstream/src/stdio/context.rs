//! What everything of one stdio upstream has in common.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use shadowcat_mcp::Envelope;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::observer::ChildEvent;
use super::settings::StdioSettings;
use crate::reaper::Reaper;
use crate::slots::Slots;
use crate::{UpstreamMetrics, UpstreamStatus};

/// Settings, bounds, counters and tasks of one upstream.
pub(super) struct Context {
    pub(super) name: Arc<str>,
    pub(super) settings: StdioSettings,
    pub(super) metrics: UpstreamMetrics,
    pub(super) reaper: Reaper,
    /// One for each child.
    pub(super) slots: Arc<Slots>,
    /// Every task of the upstream.
    pub(super) tasks: TaskTracker,
    /// Ends every child and task.
    pub(super) stop: CancellationToken,
    in_flight: AtomicUsize,
    reachable: AtomicBool,
    last_error: Mutex<Option<String>>,
}

impl Context {
    pub(super) fn new(settings: StdioSettings, reaper: Reaper, metrics: UpstreamMetrics) -> Arc<Self> {
        let name: Arc<str> = settings.name.as_str().into();
        let slots =
            Slots::new(Arc::clone(&name), "children", settings.max_children, metrics.children.clone(), &metrics);
        Arc::new(Self {
            name,
            settings,
            metrics,
            reaper,
            slots,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            in_flight: AtomicUsize::new(0),
            reachable: AtomicBool::new(true),
            last_error: Mutex::new(None),
        })
    }

    /// A method as logs may show it: its name is a peer's word.
    pub(super) fn method_of(&self, message: &Envelope) -> String {
        self.settings.watch.clean(message.method().unwrap_or_default())
    }

    /// Tells of a child, if anybody wants to know.
    pub(super) fn tell(&self, child: u64, event: ChildEvent<'_>) {
        self.settings.watch.tell(child, event);
    }

    /// Notes that a server failed.
    pub(super) fn note_failure(&self, detail: &str) {
        self.reachable.store(false, Ordering::Relaxed);
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(detail.to_owned());
    }

    /// Notes that a server answered.
    pub(super) fn note_success(&self) {
        if !self.reachable.load(Ordering::Relaxed) {
            self.reachable.store(true, Ordering::Relaxed);
        }
    }

    /// Counts messages of a server that nobody took.
    pub(super) fn note_dropped(&self, messages: usize) {
        self.metrics.dropped_messages.increment(messages as u64);
    }

    /// Counts sessions that ended.
    pub(super) fn count_ended(&self, sessions: usize) {
        self.metrics.sessions.decrement(u32::try_from(sessions).map_or(f64::MAX, f64::from));
    }

    pub(super) fn status(&self) -> UpstreamStatus {
        UpstreamStatus {
            reachable: self.reachable.load(Ordering::Relaxed),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            children: self.slots.in_use(),
        }
    }
}

/// One call under way, counted until dropped.
pub(super) struct Ticket(Arc<Context>);

impl Ticket {
    pub(super) fn new(context: &Arc<Context>) -> Self {
        context.in_flight.fetch_add(1, Ordering::Relaxed);
        context.metrics.in_flight.increment(1.0);
        Self(Arc::clone(context))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.in_flight.decrement(1.0);
    }
}
