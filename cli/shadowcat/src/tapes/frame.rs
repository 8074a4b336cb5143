//! A record as the index of a control plane would have it: what conversations are made of.

use pbjson_types::Timestamp;
use serde::Serialize;
use serde_json::Value;
use shadowcat_proto::admin::v1::Frame;
use shadowcat_tape::record::{Outcome, Record};
use shadowcat_tape::segment::Line;
use shadowcatctl_cli::view::Recorded;

use super::Origin;

/// Digits of an instance that the ids of its frames begin with.
const INSTANCE_DIGITS: usize = 8;

const SECOND_NANOSECONDS: u64 = 1_000_000_000;
const MICROSECOND_NANOSECONDS: u64 = 1_000;

/// A record with what an index would say of it.
pub(crate) fn recorded(line: &Line<'_>, origin: &Origin) -> Recorded {
    let line_bytes = line.bytes.strip_suffix(b"\n").unwrap_or(line.bytes);
    Recorded { frame: frame(&line.record, origin), line: line_bytes.to_vec() }
}

fn frame(record: &Record<'_>, origin: &Origin) -> Frame {
    let text = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().unwrap_or_default().to_owned();
    let id = |seq: u64| format!("{}-{seq}", origin.instance.chars().take(INSTANCE_DIGITS).collect::<String>());
    Frame {
        id: id(record.seq),
        tape: text(&record.tape),
        at: at(record.t, origin).map(timestamp),
        node: origin.node.clone(),
        instance: origin.instance.clone(),
        sequence: record.seq,
        kind: name(&record.k),
        direction: record.dir.as_ref().map(name).unwrap_or_default(),
        method: text(&record.m),
        name: text(&record.name),
        outcome: record.out.map(|outcome| outcome.as_str().to_owned()).unwrap_or_default(),
        code: record.code.unwrap_or(0),
        latency_us: record.lat,
        size: record.sz.unwrap_or(0),
        route: text(&record.route),
        upstream: text(&record.upstream),
        endpoint: text(&record.endpoint),
        session: text(&record.session),
        principal: text(&record.principal),
        trace: text(&record.tp),
        era: text(&record.era),
        config_version: record.version.unwrap_or(0),
        operation: record.op.map(id).unwrap_or_default(),
    }
}

/// Nanoseconds since 1970 at which a record was made; `None` if its recorder did not say when it began.
pub(super) fn at(t: u64, origin: &Origin) -> Option<u64> {
    (origin.clock > 0).then(|| origin.clock.saturating_add(t.saturating_mul(MICROSECOND_NANOSECONDS)))
}

/// The same as others write it.
pub(super) fn timestamp(nanoseconds: u64) -> Timestamp {
    let seconds = i64::try_from(nanoseconds / SECOND_NANOSECONDS).unwrap_or(i64::MAX);
    Timestamp { seconds, nanos: i32::try_from(nanoseconds % SECOND_NANOSECONDS).unwrap_or(0) }
}

/// Whether operators mean an outcome by `error`: it did not end well.
pub(super) const fn is_error(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Ok | Outcome::None | Outcome::Task | Outcome::InputRequired)
}

/// The name that a kind or a direction has in a record.
fn name(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name,
        _ => String::new(),
    }
}
