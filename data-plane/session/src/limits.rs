//! How much a store holds, and what happens beyond it.

use std::time::Duration;

/// Events one stream's log holds. Beyond it the oldest fall out and a reader who missed them is told of a `gap`; counted by
/// `log_events_dropped`. A chatty tool reports progress ten times a second; this is a quarter of an hour of it.
pub const MAX_STREAM_EVENTS: usize = 10_000;

/// Bytes one stream's log holds; beyond it as for [`MAX_STREAM_EVENTS`]. The largest message the gateway accepts is as large.
pub const MAX_STREAM_BYTES: usize = 4 * 1024 * 1024;

/// What the books charge for an event beside its bytes: the record itself and its share of a log's structure.
pub const EVENT_OVERHEAD: usize = 96;

/// Ended streams kept per session; beyond it the one that ended first is forgotten and can no longer be resumed. A client
/// resumes what it was reading when its connection broke, which is what its calls in flight were.
pub const MAX_ENDED_STREAMS: usize = 16;

/// Bytes of ended streams kept per session in memory; beyond it as for [`MAX_ENDED_STREAMS`]. One that is larger alone is
/// kept until the next one ends.
pub const MAX_ENDED_BYTES: usize = 1024 * 1024;

/// Bytes of all event logs in memory. Beyond it ended streams are forgotten, those that ended first before others; when none
/// is left, the stream that grows loses its oldest events. A budget for a gateway that idles below 25 MB.
pub const MAX_LOG_BYTES: usize = 64 * 1024 * 1024;

/// How long an ended stream can be resumed. Clients that reconnect do so within seconds; a laptop lid closed for a coffee is
/// included.
pub const ENDED_STREAM_KEPT: Duration = Duration::from_secs(300);

/// How long a stream that is still written, but has nothing to say, stays in Redis after its last event; then its log is
/// forgotten and it can no longer be resumed. Also how long a dead node leaves its streams behind.
pub const QUIET_STREAM_KEPT: Duration = Duration::from_secs(3_600);

/// Sessions on one page of a list; a larger limit is cut to it.
pub const MAX_PAGE: usize = 1_000;

/// How long [`wait`](crate::SessionStore::wait) waits at most. It is also how late a tail learns that its writer has died.
pub const WAIT: Duration = Duration::from_secs(1);

/// Sessions one principal holds unless [`StoreOptions`](crate::StoreOptions) says otherwise: a tenth of what a route holds
/// by default, so that one caller cannot lock out the others. The anonymous principal stands for many callers and is bounded
/// by the route's cap alone.
pub const DEFAULT_MAX_PER_PRINCIPAL: u32 = 1_000;

/// How long cached sessions go on while Redis is away, unless [`StoreOptions`](crate::StoreOptions) says otherwise. It covers
/// a fail-over or a restart many times over; a session deleted elsewhere meanwhile lives on here for as long, so not longer.
pub const DEFAULT_OUTAGE_GRACE: Duration = Duration::from_secs(300);

/// How long an operation on Redis takes at most, answered or not. A call that needs it waits for it.
pub const OPERATION_TIMEOUT: Duration = Duration::from_millis(250);
