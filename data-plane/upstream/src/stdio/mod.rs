//! Servers that are child processes, made to look like Streamable HTTP servers.
//!
//! ```text
//! Call ─▶ StdioUpstream ─▶ PerSession: session id ─▶ Conversation ─▶ Child: stdin ─▶ process
//!                      └─▶ Shared:     one Multiplex for all ───────▶        │          │
//! Response ◀─ Sink (head, then events) ◀── Inbox: Exclusive or Switch ◀── stdout ◀──────┘
//! ```
//!
//! The adapter mints session ids, answers JSON or a stream (`reply`), takes notifications with 202, knows GET as the stream
//! of what the server says unasked, and ends a session's child on DELETE or when it was unused for long. A session lives
//! in this process alone. A client that goes away in the middle of a call does not disturb the child: it works on, and
//! what it says about the call is dropped and counted.
//!
//! Every child is supervised by one task (`child`), lives in a process group of its own (`group`), and is in the care of
//! the [`reaper`](crate::reaper) in case this process is killed.

mod child;
mod command;
mod context;
mod conversation;
mod death;
mod exchange;
mod exclusive;
mod group;
mod hearing;
mod lines;
mod nursery;
mod observer;
mod per_session;
mod reply;
mod session_id;
mod settings;
mod shared;
mod stdin;
mod tail;

use std::sync::{Arc, Once};
use std::time::Duration;

use async_trait::async_trait;
use http::Response;
use tokio::time::{sleep, timeout};
use tokio_util::sync::DropGuard;

pub use self::observer::{ChildEvent, ChildObserver, CleanLines, Cleaner, ExitReason, Passed, Watch};
pub use self::settings::{Sharing, StdioSettings};

use self::context::Context;
use self::per_session::PerSession;
use self::shared::Shared;
use crate::reaper::Reaper;
use crate::{Call, Upstream, UpstreamBody, UpstreamError, UpstreamMetrics, UpstreamStatus};

/// How long a shutdown waits for children: the whole of their orderly end, and a second for the machine.
const SHUTDOWN: Duration = Duration::from_secs(7);

/// How often idle children are looked for, at most and at least.
const SWEEP: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(15));

const INITIALIZE: &str = "initialize";
const PROGRESS: &str = "notifications/progress";

/// A server that is started as a child process when it is first called. Dropping it stops the children.
pub struct StdioUpstream {
    context: Arc<Context>,
    sharing: Arc<Mode>,
    sweeper: Once,
    _stop: DropGuard,
}

enum Mode {
    PerSession(PerSession),
    Shared(Shared),
}

impl StdioUpstream {
    /// An upstream without children yet. `reaper` takes care of them if this process is killed.
    #[must_use]
    pub fn new(settings: StdioSettings, reaper: Reaper, metrics: UpstreamMetrics) -> Self {
        let context = Context::new(settings, reaper, metrics);
        let sharing = match context.settings.sharing {
            Sharing::PerSession => Mode::PerSession(PerSession::new(Arc::clone(&context))),
            Sharing::Shared => Mode::Shared(Shared::new(Arc::clone(&context))),
        };
        let stop = context.stop.clone().drop_guard();
        Self { context, sharing: Arc::new(sharing), sweeper: Once::new(), _stop: stop }
    }

    /// Starts, with the first call, the task that stops what has been idle too long.
    fn sweep_from_now_on(&self) {
        self.sweeper.call_once(|| {
            let (context, sharing) = (Arc::clone(&self.context), Arc::downgrade(&self.sharing));
            let pause = (context.settings.stop_when_idle_for / 4).clamp(SWEEP.0, SWEEP.1);
            self.context.tasks.spawn(async move {
                while context.stop.run_until_cancelled(sleep(pause)).await.is_some() {
                    match sharing.upgrade().as_deref() {
                        Some(Mode::PerSession(sessions)) => sessions.sweep(),
                        Some(Mode::Shared(shared)) => shared.sweep(),
                        None => return,
                    }
                }
            });
        });
    }
}

#[async_trait]
impl Upstream for StdioUpstream {
    fn name(&self) -> &str {
        &self.context.name
    }

    async fn call(&self, call: Call) -> Result<Response<UpstreamBody>, UpstreamError> {
        self.sweep_from_now_on();
        match &*self.sharing {
            Mode::PerSession(sessions) => sessions.call(call).await,
            Mode::Shared(shared) => shared.call(call).await,
        }
    }

    fn status(&self) -> UpstreamStatus {
        self.context.status()
    }

    /// Stops every child in order and waits until nothing is left of them, at most seven seconds.
    async fn shutdown(&self) {
        self.context.slots.close();
        self.context.stop.cancel();
        match &*self.sharing {
            Mode::PerSession(sessions) => sessions.clear(),
            Mode::Shared(shared) => shared.clear(),
        }
        self.context.tasks.close();
        if timeout(SHUTDOWN, self.context.tasks.wait()).await.is_err() {
            tracing::warn!(upstream = %self.context.name, children = self.context.slots.in_use(), "server processes did not end in time");
        }
    }
}
