//! Whether an answer is the one that was asked for: every byte of every message is compared.
//!
//! What a proxy may add to an event stream (ids, comments, events without data) is passed over; a message it changed
//! is an error.

use anyhow::{Context as _, bail, ensure};

use super::connection::Media;
use crate::exchange::{Call, write_answer, write_progress};

/// Checks the answer to the call with this id; `scratch` holds what is expected.
pub(super) fn check(call: Call, id: u64, media: &Media, body: &[u8], scratch: &mut String) -> anyhow::Result<()> {
    match (call, media) {
        (Call::Json, Media::Json) => {
            expect_answer(scratch, id);
            ensure!(body == scratch.as_bytes(), "tools/call: not the answer that was due");
            Ok(())
        }
        (Call::Sse { events }, Media::EventStream) => check_events(events, id, body, scratch),
        (_, media) => bail!("tools/call: answered with {media:?}"),
    }
}

fn check_events(events: u32, id: u64, body: &[u8], scratch: &mut String) -> anyhow::Result<()> {
    let mut messages = body.split(|byte| *byte == b'\n').filter_map(message);
    for progress in 1..=events {
        let message = messages.next().with_context(|| format!("tools/call: {} of {events} events", progress - 1))?;
        scratch.clear();
        write_progress(scratch, id, progress);
        ensure!(message == scratch.as_bytes(), "tools/call: not the event that was due");
    }
    expect_answer(scratch, id);
    ensure!(messages.next() == Some(scratch.as_bytes()), "tools/call: not the answer that was due after the events");
    ensure!(messages.next().is_none(), "tools/call: more after the answer");
    Ok(())
}

fn expect_answer(scratch: &mut String, id: u64) {
    scratch.clear();
    write_answer(scratch, id);
}

/// The message a line of an event stream carries. The upstream never spreads one over several lines.
fn message(line: &[u8]) -> Option<&[u8]> {
    let data = line.strip_suffix(b"\r").unwrap_or(line).strip_prefix(b"data:")?;
    let data = data.strip_prefix(b" ").unwrap_or(data);
    (!data.is_empty()).then_some(data)
}
