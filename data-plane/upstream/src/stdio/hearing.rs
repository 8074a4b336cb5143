//! What a child says: messages on stdout, and text for people on stderr.
//!
//! Invariant: no word of a child reaches a log or an error uncleaned; the observer alone is told what was really there.

use std::sync::{Mutex, PoisonError};

use shadowcat_mcp::{Envelope, Id, Limits, Malformed};
use tokio::process::{ChildStderr, ChildStdout};

use super::child::Inbox;
use super::context::Context;
use super::lines::{LineError, Lines, Overlong};
use super::observer::ChildEvent;
use super::stdin::Stdin;
use super::tail::Tail;
use crate::{Stage, UpstreamError, Why};

/// Longest message of a child: what the official SDKs accept of a peer.
const MESSAGE_BYTES_MAX: usize = shadowcat_mcp::DEFAULT_SIZE;

/// Bytes of a line of stderr that are taken in one piece: a secret that lay in two pieces would be none in either. Loggers cut their
/// own lines below 16 KiB.
const STDERR_LINE_BYTES_MAX: usize = 64 * 1024;

/// Delivers what the child writes until it stops writing.
pub(super) async fn read_messages<I: Inbox>(
    stdout: Option<ChildStdout>,
    inbox: &I,
    stdin: &Stdin,
    context: &Context,
) -> Result<(), LineError> {
    let Some(stdout) = stdout else { return Ok(()) };
    let mut lines = Lines::new(stdout, MESSAGE_BYTES_MAX, Overlong::Refuse);
    while let Some(line) = lines.next().await? {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let seen = context.settings.watch.observer.is_some().then(|| line.clone());
        match Envelope::read(line, Limits::default()) {
            Ok(message) => inbox.deliver(message, stdin).await,
            Err(malformed) => {
                context.metrics.skipped_lines.increment(1);
                if let Some(line) = &seen {
                    context.tell(stdin.number, ChildEvent::Stray(line));
                }
                let reason = context.settings.watch.clean(&malformed.to_string());
                tracing::warn!(upstream = %context.name, "skipped a line on stdout that is no MCP message: {reason}");
                if let Some(id) = malformed.id().and_then(Id::from_json) {
                    inbox.reject(id, &malformed);
                }
            }
        }
    }
    Ok(())
}

/// Keeps and logs what the child with this number writes for people. Not being able to read it harms nobody.
pub(super) async fn read_stderr(child: u64, stderr: Option<ChildStderr>, tail: &Mutex<Tail>, context: &Context) {
    let Some(stderr) = stderr else { return };
    let mut lines = Lines::new(stderr, STDERR_LINE_BYTES_MAX, Overlong::Split);
    let mut clean = context.settings.watch.lines();
    while let Ok(Some(line)) = lines.next().await {
        context.tell(child, ChildEvent::Stderr(&line));
        let cleaned = clean(&String::from_utf8_lossy(&line));
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        let line = tail.push(&cleaned);
        tracing::debug!(upstream = %context.name, "stderr: {line}");
    }
}

/// The failure of a call whose answer could not be read.
pub(super) fn not_a_message(context: &Context, stage: Stage, malformed: &Malformed) -> UpstreamError {
    let reason = context.settings.watch.clean(&malformed.to_string());
    let detail = format!("the server process broke the protocol: {reason}");
    UpstreamError::sent(&context.name, stage, Why::BrokeProtocol, detail)
}
