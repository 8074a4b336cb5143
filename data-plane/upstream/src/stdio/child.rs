//! A child process, from its start to the moment when nothing of it is left.
//!
//! One task supervises a child and owns it: it reads stdout into the child's [`Inbox`] and stderr into a [`Tail`], waits
//! for the process, and ends what outlives it. Everybody else holds a [`Child`], which can be written to and stopped.
//! Dropping the `Child` stops the process in order; the task, and with it the child's slot, ends when the process has.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use shadowcat_mcp::{Envelope, Id, Malformed};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::command::command;
use super::context::Context;
use super::death::{Cause, Death};
use super::group::ProcessGroup;
use super::hearing::{read_messages, read_stderr};
use super::lines::LineError;
use super::observer::{ChildEvent, ExitReason, next_child};
use super::stdin::{Stdin, WriteError};
use super::tail::Tail;
use crate::slots::Slot;
use crate::{Stage, UpstreamError, Why};

/// What a child gets between the end of its stdin and TERM, and between TERM and KILL (2025-11-25, "Lifecycle",
/// shutdown, names the steps and no times). Two seconds let a runtime flush; both together stay below what
/// orchestrators give the gateway.
const GRACE: Duration = Duration::from_secs(2);

/// How long the pipes of a child that has ended are still read. They end with the last process that holds them, so this
/// is for a descendant that left the group.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where the messages of a child go.
pub(super) trait Inbox: Send + Sync + 'static {
    /// Takes a message. While this is pending no further one is read: the child is held back.
    fn deliver(&self, message: Envelope, child: &Stdin) -> impl Future<Output = ()> + Send;

    /// Notes that what came under this id was no message. If a call waits for it, it waits in vain.
    fn reject(&self, id: Id<'_>, malformed: &Malformed);

    /// Nothing more will come.
    fn end(&self, death: Death);
}

/// A running child. Dropping it stops the process.
pub(super) struct Child {
    stdin: Arc<Stdin>,
    stop: CancellationToken,
}

impl Child {
    /// Starts a child; what it writes goes to `inbox`.
    ///
    /// Starting happens on the calling thread: `posix_spawn` copies no memory and returns within a fraction of a millisecond.
    pub(super) fn start<I: Inbox>(context: &Arc<Context>, inbox: Arc<I>, slot: Slot) -> Result<Self, UpstreamError> {
        let refuse = |detail: String| {
            context.note_failure(&detail);
            UpstreamError::unsent(&context.name, Stage::Spawn, Why::Unreachable, detail)
        };
        let mut command =
            command(&context.settings, &context.reaper).ok_or_else(|| refuse("has an empty command".to_owned()))?;
        let mut process = command.spawn().map_err(|error| refuse(cannot_start(context, &error)))?;
        let leader = process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let leader = leader.ok_or_else(|| refuse("has a server process that ended at once".to_owned()))?;
        let group = ProcessGroup::of(leader, context.reaper.clone());
        context.metrics.spawns.increment(1);
        let (number, pid) = (next_child(), leader.as_raw_nonzero().get());
        context.tell(number, ChildEvent::Spawned { pid, command: &context.settings.command });
        tracing::debug!(upstream = %context.name, child = number, pid, "server process started");

        let stop = context.stop.child_token();
        let leaving = stop.child_token();
        let stdin = Arc::new(Stdin::new(number, process.stdin.take(), leaving.clone()));
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let life = Life {
            context: Arc::clone(context),
            process,
            group,
            stdin: Arc::clone(&stdin),
            inbox,
            stop: stop.clone(),
            leaving,
        };
        context.tasks.spawn(async move {
            life.supervise(stdout, stderr).await;
            drop(slot);
        });
        Ok(Self { stdin, stop })
    }

    /// Writes a message.
    pub(super) async fn send(&self, message: bytes::Bytes) -> Result<(), WriteError> {
        self.stdin.send(message).await
    }

    /// Its number, as observers know it.
    pub(super) fn number(&self) -> u64 {
        self.stdin.number
    }

    /// Begins to stop the process; whoever waits for an answer of it gets its [`Death`].
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn cannot_start(context: &Context, error: &io::Error) -> String {
    let program = context.settings.watch.clean(context.settings.command.first().map_or("", String::as_str));
    match error.kind() {
        io::ErrorKind::NotFound => format!("cannot start `{program}`: there is no such program on the gateway's PATH"),
        io::ErrorKind::PermissionDenied => format!("cannot start `{program}`: the gateway may not execute it"),
        _ => format!("cannot start `{program}`: {error}"),
    }
}

/// What the supervising task owns.
struct Life<I> {
    context: Arc<Context>,
    process: tokio::process::Child,
    group: ProcessGroup,
    stdin: Arc<Stdin>,
    inbox: Arc<I>,
    /// Cancelled when the gateway has no use for the child any more.
    stop: CancellationToken,
    /// Cancelled when the child is to end, for that or any other reason.
    leaving: CancellationToken,
}

impl<I: Inbox> Life<I> {
    async fn supervise(self, stdout: Option<ChildStdout>, stderr: Option<ChildStderr>) {
        let Self { context, mut process, group, stdin, inbox, stop, leaving } = self;
        let tail = Mutex::new(Tail::default());
        let mut reading = pin!(read_messages(stdout, &*inbox, &stdin, &context));
        let mut hearing = pin!(read_stderr(stdin.number, stderr, &tail, &context));
        let mut ending = pin!(end(&mut process, &group, &stdin, &context, &leaving));

        let (mut read, mut heard) = (None, false);
        let status = loop {
            tokio::select! {
                status = &mut ending => break status,
                // Without stdout there is no conversation left: the child is told to go.
                last = &mut reading, if read.is_none() => {
                    read = Some(last);
                    leaving.cancel();
                }
                () = &mut hearing, if !heard => heard = true,
            }
        };
        let asked = stop.is_cancelled();
        let last_words = async {
            if read.is_none() {
                read = Some(reading.await);
            }
            if !heard {
                hearing.await;
            }
        };
        // An answer written just before the end still counts.
        let (_, ()) = tokio::join!(timeout(LAST_WORDS, last_words), group.end(GRACE));

        let known = status.as_ref().ok().copied();
        let (cause, why) = match (read, status) {
            (Some(Err(LineError::TooLong(cap))), _) => (Cause::LineTooLong(cap), ExitReason::LineTooLong),
            _ if asked => (Cause::Stopped, ExitReason::Stopped),
            (_, Ok(status)) => (Cause::Exited(status), ExitReason::Itself),
            (_, Err(error)) => (Cause::Lost(error.to_string()), ExitReason::Itself),
        };
        context.tell(stdin.number, ChildEvent::Exited { status: known, why });
        let last_words = tail.lock().unwrap_or_else(PoisonError::into_inner).text();
        announce(&context, &Death { cause, last_words }, &*inbox);
    }
}

fn announce<I: Inbox>(context: &Context, death: &Death, inbox: &I) {
    match death.cause {
        Cause::Stopped => tracing::debug!(upstream = %context.name, "server process stopped"),
        _ => {
            context.metrics.exits.increment(1);
            let detail = death.to_string();
            context.note_failure(&detail);
            tracing::warn!(upstream = %context.name, "{detail}");
        }
    }
    inbox.end(death.clone());
}

/// Waits for the process, and ends it in order once `leaving` is cancelled: end of input, TERM, KILL.
async fn end(
    process: &mut tokio::process::Child,
    group: &ProcessGroup,
    stdin: &Stdin,
    context: &Context,
    leaving: &CancellationToken,
) -> io::Result<ExitStatus> {
    tokio::select! {
        status = process.wait() => return status,
        () = leaving.cancelled() => {}
    }
    stdin.close().await;
    for (signal, name) in [(Signal::TERM, "TERM"), (Signal::KILL, "KILL")] {
        if let Ok(status) = timeout(GRACE, process.wait()).await {
            return status;
        }
        context.tell(stdin.number, ChildEvent::Signalled(name));
        group.signal(signal);
    }
    process.wait().await
}
