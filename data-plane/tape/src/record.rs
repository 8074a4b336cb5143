//! A record: one line of a segment or a tape.
//!
//! A line is a JSON object in UTF-8 and ends with `\n`. Its last member is `c`, the CRC-32C (RFC 3720, appendix B.4) of the line up
//! to and without `,"c":`, as eight hexadecimal digits; the member before it, where there is one, is the message itself, byte for byte
//! as it was after redaction. Members that are absent are unknown, or mean nothing for this kind of record. Readers ignore members
//! and kinds that they do not know, unless a `head` calls them critical.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::borrow;

/// The major version of the format that this build writes. A reader refuses a higher one.
pub const FORMAT_MAJOR: u32 = 1;

/// The minor version of the format that this build writes. A reader takes a higher one and ignores what it does not know.
pub const FORMAT_MINOR: u32 = 0;

/// Text of a record: borrowed from the line it was read from, where that is possible.
pub type Text<'a> = Cow<'a, str>;

/// One record. Which members a kind has is said at [`Kind`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Record<'a> {
    /// What it tells.
    pub k: Kind,
    /// Its place in the order of everything that its instance recorded: dense, from 1. What is not there was lost.
    pub seq: u64,
    /// Microseconds since the instance's clock began (`head.clock`), by a clock that only goes forward.
    pub t: u64,
    /// Which way the message went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<Direction>,
    /// Where the message was seen. A message that passes unchanged has one record, [`Stage::Rx`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// In a [`Stage::Tx`] record of a message that was changed: the `seq` of the record of what was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    /// The tape it belongs to: a session's by the beginning of the session's id, else the client connection's.
    #[serde(borrow, default, deserialize_with = "borrow::text", skip_serializing_if = "Option::is_none")]
    pub tape: Option<Text<'a>>,
    /// The client's connection, numbered within the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conn: Option<u64>,
    /// The HTTP exchange, numbered within the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xchg: Option<u64>,
    /// The logical operation: `seq` of the record that opened it. Absent in that record, and in one that stands alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<u64>,
    /// How `op` was inferred; absent where the exchange tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op_link: Option<OpLink>,
    /// The JSON-RPC id as JSON text: `1` is not `"1"`.
    #[serde(borrow, default, deserialize_with = "borrow::raw", skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a RawValue>,
    /// The method; in an answer, that of its request.
    #[serde(borrow, default, deserialize_with = "borrow::text", skip_serializing_if = "Option::is_none")]
    pub m: Option<Text<'a>>,
    /// The tool, prompt, resource or task that it is about, as the client names it; in an answer, that of its request.
    #[serde(borrow, default, deserialize_with = "borrow::text", skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<'a>>,
    /// `seq` of the request that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub re: Option<u64>,
    /// Microseconds from that request to this answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lat: Option<u64>,
    /// How a call ended: in its answer, or in the `life` record of a call that ends without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out: Option<Outcome>,
    /// The code of a JSON-RPC error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// The route.
    #[serde(borrow, default, deserialize_with = "borrow::text", skip_serializing_if = "Option::is_none")]
    pub route: Option<Text<'a>>,
    /// The recording that asked for it, whose retention it has.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<Text<'a>>,
    /// The upstream.
    #[serde(borrow, default, deserialize_with = "borrow::text", skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Text<'a>>,
    /// The upstream's endpoint: its URL without credentials, or its command's name.
    #[serde(borrow, default, deserialize_with = "borrow::text", skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Text<'a>>,
    /// The beginning of the session's id, as logs show it. Nobody can speak for a session with it.
    #[serde(borrow, default, deserialize_with = "borrow::text", skip_serializing_if = "Option::is_none")]
    pub session: Option<Text<'a>>,
    /// Who calls, plain or as a tag, as the recording says; absent for anonymous callers.
    #[serde(borrow, default, deserialize_with = "borrow::text", skip_serializing_if = "Option::is_none")]
    pub principal: Option<Text<'a>>,
    /// The number of the configuration's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The protocol version in force for this message, as in `2025-11-25`.
    #[serde(borrow, default, deserialize_with = "borrow::text", skip_serializing_if = "Option::is_none")]
    pub era: Option<Text<'a>>,
    /// The trace id of the W3C trace context: 32 hexadecimal digits.
    #[serde(borrow, default, deserialize_with = "borrow::text", skip_serializing_if = "Option::is_none")]
    pub tp: Option<Text<'a>>,
    /// What HTTP said beside the message.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Http<'a>>,
    /// What was blotted out of the body.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub red: Vec<Redacted<'a>>,
    /// Bytes of the message as it was received, before anything was blotted out or left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sz: Option<u64>,
    /// In a `head`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Head<'a>>,
    /// In a `clock` record: nanoseconds since 1970 (UTC) at `t`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<u64>,
    /// In a `gap` record.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap<'a>>,
    /// In a `life` record: what happened, as in `call_abandoned`, `listen_opened`, `listen_closed`, `spawned`, `exited`.
    #[serde(borrow, default, deserialize_with = "borrow::text", skip_serializing_if = "Option::is_none")]
    pub life: Option<Text<'a>>,
    /// What is no message: a line of a child's stderr, what a `raw` record holds if it is text, the detail of a `life` record.
    #[serde(borrow, default, deserialize_with = "borrow::text", skip_serializing_if = "Option::is_none")]
    pub text: Option<Text<'a>>,
    /// The message is kept apart, because it is larger than [`BLOB_BYTES_MIN`].
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<BlobRef<'a>>,
    /// The message in base64 (RFC 4648, section 4), where it is not UTF-8 JSON on one line.
    #[serde(borrow, default, deserialize_with = "borrow::text", skip_serializing_if = "Option::is_none")]
    pub b64: Option<Text<'a>>,
    /// The message.
    #[serde(borrow, default, deserialize_with = "borrow::raw", skip_serializing_if = "Option::is_none")]
    pub body: Option<&'a RawValue>,
}

/// A message above this many bytes is kept apart, once for each content: an index is built from records without touching it.
pub const BLOB_BYTES_MIN: usize = 64 * 1024;

/// What a record tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The first record of every segment: who recorded it, and when its clock began.
    Head,
    /// A JSON-RPC message.
    #[default]
    Msg,
    /// An HTTP exchange without a message: a GET, a DELETE, an answer without a body.
    Http,
    /// What is no JSON-RPC message and came where one was due.
    Raw,
    /// A line of a child's stderr.
    Stderr,
    /// Something began or ended.
    Life,
    /// What a rule decided.
    Rule,
    /// Something is missing, and how much.
    Gap,
    /// A remark of a person.
    Mark,
    /// The wall clock at this moment.
    Clock,
    /// The instance stopped in order: nothing follows.
    End,
    /// A kind of a later minor version.
    #[serde(other)]
    Unknown,
}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the client to the server.
    C2s,
    /// From the server to the client.
    S2c,
    /// Neither: said or done by the gateway for itself.
    Local,
}

/// Where a message was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// As it was received.
    Rx,
    /// As it was sent on, or said by the gateway itself.
    Tx,
}

/// How a record was linked to its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpLink {
    /// By a JSON-RPC id, or a progress token.
    Id,
    /// By an equal `requestState`.
    State,
    /// By method, name and the full set of answered questions, with one candidate only.
    Keys,
    /// By a task's id.
    Task,
    /// More than one operation would fit, so none was chosen.
    None,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With a result.
    Ok,
    /// With a JSON-RPC error of the server; `code` says which.
    RpcError,
    /// With a result that says `isError`.
    ToolError,
    /// With questions that the client answers by a retry.
    InputRequired,
    /// With a task that goes on.
    Task,
    /// It was cancelled, or its client left.
    Cancelled,
    /// With an HTTP error without a JSON-RPC answer.
    HttpError,
    /// The gateway refused it; `code` says why.
    Refused,
    /// The gateway could not get an answer; `code` says why.
    Failed,
    /// No answer came in time.
    Timeout,
    /// The answer was none.
    Invalid,
    /// Without an answer, as notifications do.
    None,
    /// An answer went by that was not kept, so nobody has read how it ended; or an outcome of a later minor version.
    #[serde(other)]
    Unknown,
}

impl Outcome {
    /// Every outcome that this build knows.
    pub const ALL: [Self; 12] = [
        Self::Ok,
        Self::RpcError,
        Self::ToolError,
        Self::InputRequired,
        Self::Task,
        Self::Cancelled,
        Self::HttpError,
        Self::Refused,
        Self::Failed,
        Self::Timeout,
        Self::Invalid,
        Self::None,
    ];

    /// Its name, in records, filters and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::RpcError => "rpc_error",
            Self::ToolError => "tool_error",
            Self::InputRequired => "input_required",
            Self::Task => "task",
            Self::Cancelled => "cancelled",
            Self::HttpError => "http_error",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Invalid => "invalid",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }

    /// The outcome of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }
}

/// What HTTP said beside a message. `Authorization` and `Cookie` are never among the headers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Http<'a> {
    /// Of the request.
    #[serde(borrow, default, deserialize_with = "borrow::text", skip_serializing_if = "Option::is_none")]
    pub method: Option<Text<'a>>,
    /// Of the request, without the query.
    #[serde(borrow, default, deserialize_with = "borrow::text", skip_serializing_if = "Option::is_none")]
    pub path: Option<Text<'a>>,
    /// Of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Those that are kept, by lower-case name.
    #[serde(borrow, default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<Text<'a>, Text<'a>>,
    /// The event's id and name, where the message came in a stream.
    #[serde(borrow, default, deserialize_with = "borrow::text", skip_serializing_if = "Option::is_none")]
    pub sse: Option<Text<'a>>,
}

/// Something that was blotted out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redacted<'a> {
    /// Where in the body, as a JSON Pointer (RFC 6901); empty for what is no JSON.
    #[serde(borrow)]
    pub ptr: Text<'a>,
    /// What said so: `key`, `path`, or the name of the pattern, as in `jwt`.
    #[serde(borrow)]
    pub rule: Text<'a>,
    /// What stands there instead; equal secrets have equal tags.
    #[serde(borrow)]
    pub tag: Text<'a>,
    /// Bytes of what stood there.
    pub len: u64,
}

/// Who recorded a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head<'a> {
    /// The format's version: major, minor.
    pub format: (u32, u32),
    /// This boot of the node: 32 hexadecimal digits.
    #[serde(borrow)]
    pub instance: Text<'a>,
    /// The segment's number: dense from 1 within an instance.
    pub segment: u64,
    /// The node's name; empty for one that is no member of a fleet.
    #[serde(borrow)]
    pub node: Text<'a>,
    /// Program and version, as in `shadowcat 0.1.0`.
    #[serde(borrow)]
    pub created_by: Text<'a>,
    /// Nanoseconds since 1970 (UTC) at `t` = 0, as this instance's clock had it when the segment was opened.
    pub clock: u64,
    /// Which key made the tags: the first eight hexadecimal digits of its BLAKE3. Tags of different keys cannot be compared.
    #[serde(borrow)]
    pub redaction_key: Text<'a>,
    /// Kinds and members that a reader must know.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub critical: Vec<Text<'a>>,
}

/// What is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap<'a> {
    /// Why, as in `queue_full`, `spool_full`, `spool_old`, `refused`, `unreadable`, `disk_failed`, `crash`, `corrupt`.
    #[serde(borrow)]
    pub why: Text<'a>,
    /// How many frames, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<u64>,
    /// How many bytes could not be read, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The instance that they are missing of, if it is not this one.
    #[serde(borrow, default, deserialize_with = "borrow::text", skip_serializing_if = "Option::is_none")]
    pub instance: Option<Text<'a>>,
    /// The segments that were dropped: first and last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<(u64, u64)>,
}

/// A message that is kept apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRef<'a> {
    /// BLAKE3 of its bytes, in hexadecimal.
    #[serde(borrow)]
    pub hash: Text<'a>,
    /// How many bytes it has.
    pub bytes: u64,
}
