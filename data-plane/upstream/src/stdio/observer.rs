//! Who is told what happens to children, and what cleans their words before a person reads them.
//!
//! This crate knows no recorder and no secrets: whoever builds the upstream supplies an observer and a cleaner, or neither. An
//! observer sees everything as it was; a cleaner stands before every log line and every error that holds words of a child or its
//! command. Not here: what an observer keeps, and what counts as a secret.

use std::fmt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// Children that this process has started so far. Their numbers outlast upstreams: one that a new configuration replaces has a
/// successor of the same name, and their children must not be taken for each other.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// The number of the next child: dense from 1 within this process.
pub(super) fn next_child() -> u64 {
    STARTED.fetch_add(1, Ordering::Relaxed) + 1
}

/// Is told what happens to the children of an upstream.
pub trait ChildObserver: Send + Sync + 'static {
    /// Takes an event of the child with this number (dense from 1 within the process). Called on the task that saw it, in order for
    /// each of a child's pipes: must not block.
    fn saw(&self, child: u64, event: ChildEvent<'_>);
}

/// What happens to a child. Bytes are as they came or went: nobody has looked for secrets in them.
#[derive(Debug, Clone, Copy)]
pub enum ChildEvent<'a> {
    /// It was started.
    Spawned {
        /// Its process.
        pid: i32,
        /// The program and its arguments.
        command: &'a [String],
    },
    /// It belongs from now on to the session that this exchange (as [`Call::exchange`](crate::Call::exchange) names it) has opened.
    Session {
        /// The exchange of the `initialize`.
        exchange: u64,
    },
    /// A line of its stderr, without the line's end; a piece of one that is longer than 64 KiB.
    Stderr(&'a Bytes),
    /// A line of its stdout that is no message, without the line's end.
    Stray(&'a Bytes),
    /// A message as it is about to be written to a child that many clients share: under an id of the gateway's.
    Sent(Passed<'a>),
    /// A message of such a child as it came.
    Received(Passed<'a>),
    /// The gateway has sent it a signal, because the end of its input did not end it.
    Signalled(&'static str),
    /// It has ended, and so has what it said.
    Exited {
        /// Code or signal; absent where nobody can say.
        status: Option<ExitStatus>,
        /// Who wanted it.
        why: ExitReason,
    },
}

/// A message that differs from what the client has sent or will see.
#[derive(Debug, Clone, Copy)]
pub struct Passed<'a> {
    /// The exchange it belongs to, as the call named it; absent for what belongs to none, and where the call named none.
    pub exchange: Option<u64>,
    /// The message, without a line end.
    pub message: &'a Bytes,
}

/// Who wanted a child to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// Nobody: it ended by itself.
    Itself,
    /// The gateway had no use for it any more.
    Stopped,
    /// The gateway, because it wrote a line that is longer than any message.
    LineTooLong,
}

/// Cleans the lines of one stream in their order.
pub type CleanLines = Box<dyn FnMut(&str) -> String + Send>;

/// Makes what cleans a stream. Each stream has its own, because a secret may span lines.
pub type Cleaner = Arc<dyn Fn() -> CleanLines + Send + Sync>;

/// What an upstream tells of its children, and how.
#[derive(Clone, Default)]
pub struct Watch {
    /// Is told what happens to children; by default nobody is.
    pub observer: Option<Arc<dyn ChildObserver>>,
    /// Stands before logs and errors; by default they get a child's words as they are.
    pub cleaner: Option<Cleaner>,
}

impl Watch {
    /// Tells of an event, if anybody wants to know.
    pub(super) fn tell(&self, child: u64, event: ChildEvent<'_>) {
        if let Some(observer) = &self.observer {
            observer.saw(child, event);
        }
    }

    /// What cleans one stream.
    pub(super) fn lines(&self) -> CleanLines {
        self.cleaner.as_ref().map_or_else(|| Box::new(str::to_owned) as CleanLines, |cleaner| cleaner())
    }

    /// A text that stands alone, cleaned. In a field of a log line it costs nothing where the line is not wanted.
    pub(super) fn clean(&self, text: &str) -> String {
        self.lines()(text)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (observed, cleaned) = (self.observer.is_some(), self.cleaner.is_some());
        f.debug_struct("Watch").field("observed", &observed).field("cleaned", &cleaned).finish()
    }
}
