//! Event logs in Redis: per stream a hash (its head) and a Redis stream (its events, under the ids `<seq>-0`).
//!
//! Every change of a stream changes its head, so that a reader who watches the head misses nothing. A live stream whose
//! writer's lease ran out reads as an orphan.

use bytes::Bytes;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::keys::{self, StreamKey};
use super::{Shared, scripts};
use crate::clock::millis;
use crate::limits::{
    ENDED_STREAM_KEPT, EVENT_OVERHEAD, MAX_ENDED_STREAMS, MAX_STREAM_BYTES, MAX_STREAM_EVENTS, QUIET_STREAM_KEPT, WAIT,
};
use crate::{Event, StoreError, StreamHead, StreamPage, StreamState};

/// Heads that wait for their stream's first append: a stream each, many more than a node has open. Beyond it a head is
/// written at once, which costs the stream a round trip more.
const MAX_UNOPENED: usize = 16_384;

/// What `read.lua` answers: writer, request id, state, last seq, upstream's last id, events.
type Read = (String, String, String, u64, Option<Bytes>, Vec<Entry>);

/// An entry of a Redis stream: its id, and name and value of its two fields.
type Entry = (String, (String, Bytes, String, Bytes));

/// Where a stream stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    pub(super) last: u64,
    state: StreamState,
}

impl Shared {
    /// Holds the head back until the first append.
    pub(super) async fn open_stream(&self, key: StreamKey, head: StreamHead) -> Result<(), StoreError> {
        self.link.up()?;
        let room = self.unopened.len() < MAX_UNOPENED;
        self.unopened.insert(key, head);
        if room { Ok(()) } else { self.append(key, &[]).await }
    }

    pub(super) async fn append(&self, key: StreamKey, events: &[Event]) -> Result<(), StoreError> {
        let dense = events.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq);
        if !dense {
            return Err(StoreError::Conflict);
        }
        let head = self.unopened.remove(&key).map(|(_, head)| head);
        let mut append = scripts::APPEND.call([&*key.head()]);
        append.arg(key.session.to_string()).arg(key.stream.to_string());
        append.arg(head.as_ref().map_or(&*self.options.instance, |head| &head.writer));
        append.arg(if head.is_some() { "open" } else { "" });
        append.arg(head.as_ref().and_then(|head| head.request_id.as_deref()).unwrap_or_default());
        append.arg(millis(QUIET_STREAM_KEPT)).arg(MAX_STREAM_EVENTS).arg(MAX_STREAM_BYTES).arg(EVENT_OVERHEAD);
        for event in events {
            append.arg(event.seq).arg(event.upstream_id.as_deref().unwrap_or_default()).arg(&*event.lines);
        }
        let dropped = self.changed_stream(&key, self.link.ask(&append).await?)?;
        self.options.metrics.log_events_dropped.increment(dropped);
        self.note_use(&key).await;
        Ok(())
    }

    pub(super) async fn end_stream(&self, key: StreamKey, state: StreamState) -> Result<(), StoreError> {
        if self.unopened.remove(&key).is_some() {
            return Ok(());
        }
        let mut end = scripts::END.call([&*key.head()]);
        end.arg(key.session.to_string()).arg(key.stream.to_string()).arg(&*self.options.instance);
        end.arg(name(state)).arg(millis(ENDED_STREAM_KEPT)).arg(MAX_ENDED_STREAMS);
        let forgotten = self.changed_stream(&key, self.link.ask(&end).await?)?;
        self.options.metrics.log_streams_forgotten.increment(forgotten);
        Ok(())
    }

    /// Wakes this node's own readers, to whom Redis does not announce what the node itself changed.
    fn changed_stream(&self, key: &StreamKey, answer: i64) -> Result<u64, StoreError> {
        self.waiters.wake(key);
        u64::try_from(answer).map_err(|_| StoreError::Conflict)
    }

    /// A call that takes long is not idle. The session is read again only if its copy is not valid (any more).
    async fn note_use(&self, key: &StreamKey) {
        if let Err(error) = self.get(&key.session).await {
            tracing::debug!(session = %key.session, %error, "use not noted");
        }
    }

    pub(super) async fn read(&self, key: StreamKey, after: u64, max: usize) -> Result<Option<StreamPage>, StoreError> {
        let next = after.saturating_add(1);
        let mut read = scripts::READ.call([&*key.head()]);
        read.arg(key.session.to_string()).arg(key.stream.to_string()).arg(next).arg(max.max(1));
        let found: Option<Read> = self.link.ask(&read).await?;
        match found {
            Some(found) => page(found, next).map(Some),
            None => Ok(self.unopened.get(&key).map(|head| empty(head.clone()))),
        }
    }

    pub(super) async fn wait(&self, key: StreamKey, after: u64) {
        let until = Instant::now() + WAIT;
        // Listening begins before looking, so that nothing is missed in between.
        let listening = self.waiters.listen(key);
        let changed = listening.changed.notified();
        match self.position(key).await {
            Ok(Some(position)) if position.may_still_grow_after(after) => drop(timeout_at(until, changed).await),
            Ok(_) => {}
            // A reader that asks again at once would only hear again that Redis is away.
            Err(_) => sleep_until(until).await,
        }
    }

    /// Where a stream stands; from here on Redis tells of its changes.
    pub(super) async fn position(&self, key: StreamKey) -> Result<Option<Position>, StoreError> {
        let mut read = redis::cmd("HMGET");
        read.arg(key.head()).arg("last").arg("state");
        let (last, state): (Option<u64>, Option<String>) = self.link.ask(&read).await?;
        match (last, state) {
            (Some(last), Some(state)) => Ok(Some(Position { last, state: state_named(&state)? })),
            _ => Ok(self.unopened.contains_key(&key).then_some(Position { last: 0, state: StreamState::Live })),
        }
    }

    pub(super) async fn delete_stream(&self, key: StreamKey) -> Result<(), StoreError> {
        self.unopened.remove(&key);
        let mut delete = redis::pipe();
        delete.cmd("DEL").arg(key.head()).arg(key.events()).ignore();
        delete.cmd("ZREM").arg(keys::streams(&key.session)).arg(key.stream.to_string()).ignore();
        self.link.ask::<()>(&delete).await?;
        self.waiters.wake(&key);
        Ok(())
    }
}

impl Position {
    /// False once a reader who has read up to `after` has something to read or nothing to wait for.
    fn may_still_grow_after(self, after: u64) -> bool {
        self.last <= after && matches!(self.state, StreamState::Live | StreamState::Paused)
    }
}

/// What this node alone knows yet.
fn empty(head: StreamHead) -> StreamPage {
    StreamPage { head, events: Vec::new(), state: StreamState::Live, gap: false, upstream_event_id: None }
}

fn page((writer, request, state, last, upstream, entries): Read, next: u64) -> Result<StreamPage, StoreError> {
    let events = entries.into_iter().map(event).collect::<Result<Vec<_>, _>>()?;
    // What is asked for and neither here nor still to come has fallen out.
    let first = events.first().map_or(last + 1, |event| event.seq);
    Ok(StreamPage {
        head: StreamHead { request_id: (!request.is_empty()).then(|| request.into()), writer: writer.into() },
        events,
        state: state_named(&state)?,
        gap: next < first,
        upstream_event_id: upstream,
    })
}

fn event((id, (_, upstream, _, lines)): Entry) -> Result<Event, StoreError> {
    let seq = id.strip_suffix("-0").and_then(|seq| seq.parse().ok());
    let seq = seq.ok_or_else(|| StoreError::Unavailable(format!("event {id} was not written by a gateway")))?;
    Ok(Event { seq, upstream_id: (!upstream.is_empty()).then_some(upstream), lines })
}

fn name(state: StreamState) -> &'static str {
    match state {
        StreamState::Live => "live",
        StreamState::Orphaned => "orphaned",
        StreamState::Paused => "paused",
        StreamState::Complete => "complete",
    }
}

fn state_named(name: &str) -> Result<StreamState, StoreError> {
    match name {
        "live" => Ok(StreamState::Live),
        "orphaned" => Ok(StreamState::Orphaned),
        "paused" => Ok(StreamState::Paused),
        "complete" => Ok(StreamState::Complete),
        other => Err(StoreError::Unavailable(format!("no stream state is called {other}"))),
    }
}
