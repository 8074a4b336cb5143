//! Recorded traffic that never changes.

use pbjson_types::Timestamp;
use shadowcat_proto::admin::v1 as admin;
use shadowcat_proto::admin::v1::{read_tapes_response, search_tapes_response};

use crate::answers::{NOW, ago};

/// The instance that recorded everything here.
pub(crate) const INSTANCE: &str = "3f9a21c0d4e5f60718293a4b5c6d7e8f";

/// The tape that everything here is on.
pub(crate) const TAPE: &str = "kX3vQ9aZ";

/// What would clear the screen, name the window, and turn the line around.
pub(crate) const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;gotcha\u{7}\u{9b}1m\u{202e}drow\u{2069}\u{e0041}\nspoof";

/// A frame of the index, some microseconds after the first.
pub(crate) fn frame(sequence: u64, microseconds: u64) -> admin::Frame {
    let nanos = i32::try_from(microseconds % 1_000_000 * 1000).expect("below a second");
    let seconds = NOW - 300 + i64::try_from(microseconds / 1_000_000).expect("small");
    admin::Frame {
        id: format!("3f9a21c0-{sequence}"),
        tape: TAPE.to_owned(),
        at: Some(Timestamp { seconds, nanos }),
        node: "edge-1".to_owned(),
        instance: INSTANCE.to_owned(),
        sequence,
        kind: "msg".to_owned(),
        direction: "c2s".to_owned(),
        route: "workbench".to_owned(),
        upstream: "everything".to_owned(),
        endpoint: "http://10.0.0.1:3001/mcp".to_owned(),
        session: "kX3vQ9aZ".to_owned(),
        principal: "alice".to_owned(),
        era: "2025-11-25".to_owned(),
        config_version: 12,
        ..admin::Frame::default()
    }
}

/// The frame that ends a call.
pub(crate) fn ended(sequence: u64, name: &str, outcome: &str) -> admin::Frame {
    admin::Frame {
        direction: "s2c".to_owned(),
        method: "tools/call".to_owned(),
        name: name.to_owned(),
        outcome: outcome.to_owned(),
        code: if outcome == "rpc_error" { -32602 } else { 0 },
        latency_us: Some(12_345 * sequence),
        size: 412 * sequence,
        operation: format!("3f9a21c0-{}", sequence - 1),
        ..frame(sequence, 1_000_000 * sequence)
    }
}

/// Three calls, the latest first.
pub(crate) fn calls() -> Vec<admin::Frame> {
    vec![ended(8, "search", "tool_error"), ended(6, "read_text_file", "rpc_error"), ended(4, "search", "ok")]
}

pub(crate) fn found(frame: admin::Frame) -> admin::SearchTapesResponse {
    admin::SearchTapesResponse { kind: Some(search_tapes_response::Kind::Found(frame)) }
}

pub(crate) fn searching(frames: u64) -> admin::SearchTapesResponse {
    let progress = admin::SearchProgress { frames, segments: 3, segments_left: 9 };
    admin::SearchTapesResponse { kind: Some(search_tapes_response::Kind::Progress(progress)) }
}

pub(crate) fn search_end(next: &str, remark: &str) -> admin::SearchTapesResponse {
    let end = admin::SearchEnd {
        next: next.to_owned(),
        remark: remark.to_owned(),
        progress: Some(admin::SearchProgress { frames: 1842, segments: 12, segments_left: 0 }),
        unjudged: 0,
    };
    admin::SearchTapesResponse { kind: Some(search_tapes_response::Kind::End(end)) }
}

pub(crate) fn tapes() -> admin::ListTapesResponse {
    let tape = |id: &str, held: bool| admin::Tape {
        id: id.to_owned(),
        first: ago(3900),
        last: ago(300),
        frames: 1842,
        calls: 620,
        errors: 3,
        bytes: 3 << 20,
        route: "workbench".to_owned(),
        session: "kX3vQ9aZ".to_owned(),
        principal: "alice".to_owned(),
        nodes: vec!["edge-1".to_owned(), "edge-2".to_owned()],
        held,
    };
    let bare = admin::Tape { id: "c-17".to_owned(), last: ago(7200), frames: 1, ..admin::Tape::default() };
    admin::ListTapesResponse { tapes: vec![tape(TAPE, true), tape("Zp0qW8bY", false), bare], next: "c2".to_owned() }
}

pub(crate) fn stats() -> admin::TapeStatsResponse {
    use admin::tape_stats_response::{Gap, Source};
    let source = |node: &str, instance: &str| Source {
        node: node.to_owned(),
        instance: instance.to_owned(),
        frames: 90_210,
        segments: 44,
        first: ago(86_400),
        last: ago(300),
        gaps: Vec::new(),
        complete: false,
    };
    let gap = |after: u64, before: u64, frames: Option<u64>, why: &str, detail: &str| Gap {
        after,
        before,
        frames,
        why: why.to_owned(),
        detail: detail.to_owned(),
    };
    let crashed = Source {
        gaps: vec![
            gap(1200, 1213, Some(12), "queue_full", ""),
            gap(90_222, 0, None, "crash", "up to 2 s before the crash may be missing"),
        ],
        ..source("edge-2", &"ab".repeat(16))
    };
    admin::TapeStatsResponse {
        tapes: 17,
        frames: 180_420,
        segments: 88,
        stored_bytes: 40 << 20,
        plain_bytes: 210 << 20,
        blobs: 9,
        blob_bytes: 5 << 20,
        first: ago(86_400),
        last: ago(300),
        repeated: 2,
        sources: vec![
            Source { complete: true, ..source("edge-1", INSTANCE) },
            crashed,
            source("edge-3", &"cd".repeat(16)),
        ],
    }
}

/// A record of a frame: its members beside those that every record has, as JSON.
pub(crate) fn recorded(frame: admin::Frame, members: &str) -> admin::TapeRecord {
    let (kind, sequence, direction) = (&frame.kind, frame.sequence, &frame.direction);
    let line = format!("{{\"k\":\"{kind}\",\"seq\":{sequence},\"t\":{sequence},\"dir\":\"{direction}\"{members}}}");
    let c = crc32c::crc32c(&line.as_bytes()[..line.len() - 1]);
    let line = format!("{},\"c\":\"{c:08x}\"}}", &line[..line.len() - 1]);
    admin::TapeRecord { frame: Some(frame), line: line.into_bytes() }
}

/// A message of an operation.
pub(crate) fn message(sequence: u64, direction: &str, method: &str, operation: u64) -> admin::Frame {
    admin::Frame {
        direction: direction.to_owned(),
        method: method.to_owned(),
        operation: format!("3f9a21c0-{operation}"),
        size: 80 + sequence,
        ..frame(sequence, 250_000 * sequence)
    }
}

/// A record that is no message.
pub(crate) fn event(sequence: u64, kind: &str, members: &str) -> admin::TapeRecord {
    let direction = "local".to_owned();
    recorded(admin::Frame { kind: kind.to_owned(), direction, ..frame(sequence, 250_000 * sequence) }, members)
}

/// An answer.
pub(crate) fn answer(frame: admin::Frame, outcome: &str, latency: u64) -> admin::Frame {
    admin::Frame { outcome: outcome.to_owned(), latency_us: Some(latency), ..frame }
}

pub(crate) fn read(record: admin::TapeRecord) -> admin::ReadTapesResponse {
    admin::ReadTapesResponse { kind: Some(read_tapes_response::Kind::Record(record)) }
}

pub(crate) fn read_end(remark: &str, damage: &[&str]) -> admin::ReadTapesResponse {
    let damage = damage.iter().map(|text| (*text).to_owned()).collect();
    let end = admin::ReadEnd { records: 4, remark: remark.to_owned(), damage, unjudged: 0 };
    admin::ReadTapesResponse { kind: Some(read_tapes_response::Kind::End(end)) }
}
