//! One connection's life: open a session, call until told to stop, close.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{Barrier, Semaphore};

use super::Plan;
use super::outcome::{Outcome, Record};
use super::pace::Schedule;
use super::session::Session;

/// Sessions that are opened at the same time; more would measure listen backlogs.
const OPENING_AT_ONCE: usize = 64;

/// Before a lost session is opened anew, so that a server that refuses is not also flooded.
const REOPEN_AFTER: Duration = Duration::from_millis(100);

/// What a run is at.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// Calls are made and do not count; errors do.
    WarmUp,
    /// Calls count.
    Measured,
    /// No call is begun.
    Over,
}

/// What the workers of a run share.
pub(super) struct Shared {
    plan: Plan,
    phase: AtomicU8,
    /// When calls began to count.
    measured: OnceLock<Instant>,
    record: Mutex<Record>,
    opening: Semaphore,
    /// Passed once every worker has tried to open its session.
    pub(super) opened: Barrier,
}

impl Shared {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            phase: AtomicU8::new(Phase::WarmUp as u8),
            measured: OnceLock::new(),
            record: Mutex::default(),
            opening: Semaphore::new(OPENING_AT_ONCE),
            opened: Barrier::new(plan.connections + 1),
            plan,
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        if phase == Phase::Measured {
            self.measured.get_or_init(Instant::now);
        }
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub(super) fn note_error(&self, reason: String) {
        self.record().error(reason);
    }

    /// What the run came to, if the measured part of it took `elapsed`.
    pub(super) fn outcome(&self, elapsed: Duration) -> Outcome {
        self.record().outcome(elapsed)
    }

    fn note_call(&self, took: Duration) {
        if self.is(Phase::Measured) {
            let at = self.measured.get().map_or(Duration::ZERO, Instant::elapsed);
            self.record().call(took, at);
        }
    }

    fn is(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Relaxed) == phase as u8
    }

    /// Never contended: all workers run on one thread, and none holds this across an await.
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("recording does not panic")
    }

    async fn open(&self) -> Option<Session> {
        let _permit = self.opening.acquire().await.ok()?;
        Session::open(self.plan.target).await.map_err(|error| self.note_error(format!("{error:#}"))).ok()
    }
}

/// Works until the run is over.
pub(super) async fn work(shared: Arc<Shared>, index: usize) {
    let mut session = shared.open().await;
    shared.opened.wait().await;
    let mut schedule = Schedule::new(shared.plan.pace, index, shared.plan.connections);
    while !shared.is(Phase::Over) {
        let Some(open) = &mut session else {
            tokio::time::sleep(REOPEN_AFTER).await;
            session = shared.open().await;
            continue;
        };
        let start: Instant = schedule.next().await;
        match open.call(shared.plan.call).await {
            Ok(()) => shared.note_call(start.elapsed()),
            Err(error) => {
                shared.note_error(format!("{error:#}"));
                session = None;
            }
        }
    }
    if let Some(session) = session
        && let Err(error) = session.close().await
    {
        shared.note_error(format!("{error:#}"));
    }
}
