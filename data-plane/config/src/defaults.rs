//! What a setting is when nobody says otherwise, and how far it may be moved: the tuning manual, one reason each.

use std::time::Duration;

use crate::duration::Bounds;

/// A session that lies unused: half an hour outlives a person's break, and what an abandoned client left is free again
/// the same hour.
pub const DEFAULT_SESSION_IDLE_TIMEOUT: Duration = Duration::from_mins(30);

pub(crate) const SESSION_IDLE_TIMEOUT: Bounds =
    Bounds { min: Duration::from_secs(1), max: Duration::from_hours(168), default: DEFAULT_SESSION_IDLE_TIMEOUT };

/// Sessions of one route: at some 2 KiB each, 20 MiB when full.
pub const DEFAULT_MAX_SESSIONS: u32 = 10_000;

/// Beyond a million sessions, a route belongs on more than one fleet.
pub(crate) const MAX_SESSIONS: u32 = 1_000_000;

/// To the first byte of an answer: what the official MCP clients wait before they give up themselves.
pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_mins(1);

pub(crate) const REQUEST_TIMEOUT: Bounds = to_a_day(DEFAULT_REQUEST_TIMEOUT);

/// Between two pieces of a streamed answer: long enough for a tool that thinks, short enough that a dead one is
/// noticed.
pub const DEFAULT_STREAM_IDLE_TIMEOUT: Duration = Duration::from_mins(5);

pub(crate) const STREAM_IDLE_TIMEOUT: Bounds = to_a_day(DEFAULT_STREAM_IDLE_TIMEOUT);

/// Connections to one upstream: a thousand clients that each hold a stream of their own fit four times.
pub const DEFAULT_MAX_CONNECTIONS: u32 = 4096;

/// One local address has no more ports towards one upstream.
pub(crate) const MAX_CONNECTIONS: u32 = 65_535;

/// An unused connection: what hyper's own pool does, and below the minutes after which firewalls forget one silently.
pub const DEFAULT_CONNECTION_IDLE_TIMEOUT: Duration = Duration::from_secs(90);

pub(crate) const CONNECTION_IDLE_TIMEOUT: Bounds =
    Bounds { min: Duration::from_secs(1), max: Duration::from_hours(1), default: DEFAULT_CONNECTION_IDLE_TIMEOUT };

/// To connect, TLS included: one lost SYN, sent again after a second (RFC 6298), is survived.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) const CONNECT_TIMEOUT: Bounds =
    Bounds { min: Duration::from_millis(10), max: Duration::from_mins(1), default: DEFAULT_CONNECT_TIMEOUT };

/// From the request to the first byte of an upstream's answer: as long as a client waits by default, so that a slow
/// tool is the client's to give up.
pub const DEFAULT_FIRST_BYTE_TIMEOUT: Duration = DEFAULT_REQUEST_TIMEOUT;

pub(crate) const FIRST_BYTE_TIMEOUT: Bounds = to_a_day(DEFAULT_FIRST_BYTE_TIMEOUT);

/// An unused child: long enough that a person who thinks keeps it warm.
pub const DEFAULT_CHILD_IDLE_TIMEOUT: Duration = Duration::from_mins(5);

pub(crate) const CHILD_IDLE_TIMEOUT: Bounds =
    Bounds { min: Duration::from_secs(1), max: Duration::from_hours(168), default: DEFAULT_CHILD_IDLE_TIMEOUT };

/// What is recorded is forgotten after a week: long enough to look into last Friday's incident on Monday.
pub const DEFAULT_RETENTION: Duration = Duration::from_hours(168);

/// Beyond ten years nobody means it.
pub(crate) const RETENTION: Bounds =
    Bounds { min: Duration::from_mins(1), max: Duration::from_hours(87_600), default: DEFAULT_RETENTION };

/// The longest message that is kept whole, in bytes: the longest that the gateway takes.
pub const DEFAULT_MAX_MESSAGE: u64 = MAX_MESSAGE_SIZE;

/// No message is longer.
pub(crate) const MAX_MESSAGE_SIZE: u64 = 4 * 1024 * 1024;

/// Recorded traffic that waits on a node's disk, in bytes: at 700 bytes a call and ten to one in compression, some seven million
/// calls.
pub const DEFAULT_SPOOL_SIZE: u64 = 512 * 1024 * 1024;

/// A segment has 1 MiB before it is compressed, and the longest message 4 MiB beside it.
pub(crate) const MIN_SPOOL_SIZE: u64 = 8 * 1024 * 1024;

/// Recorded traffic that waited longer is of little use to anybody, and its node has a control plane that was gone for a day.
pub const DEFAULT_SPOOL_AGE: Duration = Duration::from_hours(24);

pub(crate) const SPOOL_AGE: Bounds =
    Bounds { min: Duration::from_secs(10), max: Duration::from_hours(87_600), default: DEFAULT_SPOOL_AGE };

/// What nothing acts on yet has no bounds of its own: ten years stand for "any", and the default is never used.
pub(crate) const ANY_DURATION: Bounds =
    Bounds { min: Duration::ZERO, max: Duration::from_hours(87_600), default: Duration::ZERO };

/// Waits for work: below 10 ms a scheduler's hiccup would count as a failure, and no call is worth a second day.
const fn to_a_day(default: Duration) -> Bounds {
    Bounds { min: Duration::from_millis(10), max: Duration::from_hours(24), default }
}
