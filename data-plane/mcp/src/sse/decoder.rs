//! Finding where events end.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr2;

use super::Event;

/// The byte order mark that may open a stream and means nothing (HTML, section 9.2.5).
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Cuts a stream into events, however it is cut into chunks.
///
/// Give each chunk to [`push`](Self::push), then take events from [`next`](Self::next) until it has none. An event that
/// lies in one chunk is a slice of it; one that spans several is copied once. What is kept between chunks is the
/// unfinished event and nothing else, never more than the cap.
///
/// A blank line that ends in a carriage return ends its event at once, without waiting whether a line feed belongs to
/// it; blank lines between events are dropped, and that line feed with them.
///
/// ```
/// let mut decoder = shadowcat_mcp::sse::Decoder::new(1024);
/// decoder.push("id: 7\r\ndata: {".into());
/// assert_eq!(decoder.next()?, None);
/// decoder.push("}\r\n\r\n".into());
/// let event = decoder.next()?.expect("its blank line has come");
/// assert_eq!(event.data().as_deref(), Some(&b"{}"[..]));
/// # Ok::<(), shadowcat_mcp::sse::TooLong>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    /// What is unread of the newest chunk.
    chunk: Bytes,
    /// The unfinished event, from the chunks before it. Its last byte tells what state the reading is in.
    carry: BytesMut,
    /// Whether the place for a byte order mark is behind us.
    started: bool,
    max_event: usize,
}

/// An event longer than the cap. The stream cannot be read on: where the event ends is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event has more than {max_event} bytes")]
pub struct TooLong {
    /// The cap.
    pub max_event: usize,
}

impl Decoder {
    /// A decoder that refuses events of more than `max_event` bytes, line ends and field names included.
    #[must_use]
    pub fn new(max_event: usize) -> Self {
        Self { chunk: Bytes::new(), carry: BytesMut::new(), started: false, max_event }
    }

    /// Takes a chunk. Costs a copy of what [`next`](Self::next) was not asked for.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            let unread = std::mem::take(&mut self.chunk);
            self.chunk = [unread, chunk].concat().into();
        }
    }

    /// The next complete event; `None` when the next chunk is needed.
    ///
    /// # Errors
    /// [`TooLong`], from then on each time.
    #[expect(clippy::should_implement_trait, reason = "an iterator that goes on after `None` would mislead")]
    pub fn next(&mut self) -> Result<Option<Event>, TooLong> {
        if !self.started && !self.start() {
            return Ok(None);
        }
        if self.carry.is_empty() {
            let blank = self.chunk.iter().take_while(|byte| is_line_end(**byte)).count();
            self.chunk.advance(blank);
        }
        let end = end_of_event(self.carry.last().copied(), &self.chunk);
        let length = self.carry.len() + end.unwrap_or(self.chunk.len());
        if length > self.max_event {
            return Err(TooLong { max_event: self.max_event });
        }
        Ok(match end {
            None => {
                self.carry.extend_from_slice(&self.chunk);
                self.chunk = Bytes::new();
                None
            }
            Some(end) if self.carry.is_empty() => Some(Event::read(self.chunk.split_to(end))),
            Some(end) => {
                self.carry.extend_from_slice(&self.chunk.split_to(end));
                Some(Event::read(std::mem::take(&mut self.carry).freeze()))
            }
        })
    }

    /// Ends the stream. An event without its blank line is discarded (HTML, section 9.2.6); the number of its bytes says
    /// whether the stream was cut.
    #[must_use]
    pub fn finish(self) -> usize {
        self.carry.len() + self.chunk.len()
    }

    /// Skips the byte order mark; false while it cannot be told yet whether there is one.
    fn start(&mut self) -> bool {
        if !self.carry.is_empty() {
            self.chunk = [&self.carry[..], &self.chunk[..]].concat().into();
            self.carry.clear();
        }
        if self.chunk.len() < BOM.len() && BOM.starts_with(&self.chunk) {
            self.carry.extend_from_slice(&self.chunk);
            self.chunk = Bytes::new();
            return false;
        }
        if self.chunk.starts_with(BOM) {
            self.chunk.advance(BOM.len());
        }
        self.started = true;
        true
    }
}

/// Where the event ends of which `bytes` continue, behind its blank line. `before` is the event's last byte so far;
/// without one, `bytes` start with no line end.
fn end_of_event(before: Option<u8>, bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut last = before;
    loop {
        match (last, bytes.get(at)) {
            (Some(b'\r'), Some(b'\n')) => {
                at += 1;
                last = Some(b'\n');
                continue;
            }
            (Some(b'\n'), Some(b'\n')) => return Some(at + 1),
            (Some(b'\r' | b'\n'), Some(b'\r')) => {
                let pair = bytes.get(at + 1) == Some(&b'\n');
                return Some(at + 1 + usize::from(pair));
            }
            _ => {}
        }
        at += memchr2(b'\n', b'\r', &bytes[at..])? + 1;
        last = Some(bytes[at - 1]);
    }
}

pub(super) fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}
