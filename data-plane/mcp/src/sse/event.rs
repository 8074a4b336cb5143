//! One event: its lines as they came, and what they say.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use memchr::{memchr, memchr2};

use super::decoder::is_line_end;

/// An event as it came, blank line included. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    lines: Bytes,
    /// The value of `data`.
    data: Found,
    /// The value of the last `id` that counts.
    id: Option<Range<usize>>,
    /// The whole line of `id`, whether it counts or not.
    id_line: Found,
    event: Option<Range<usize>>,
    retry: Option<u64>,
    has_fields: bool,
}

/// Where something stands that mostly stands once. The rare rest is looked up again when it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Nowhere,
    Once(Range<usize>),
    Often,
}

impl Found {
    fn add(&mut self, range: Range<usize>) {
        *self = match self {
            Self::Nowhere => Self::Once(range),
            Self::Once(_) | Self::Often => Self::Often,
        };
    }
}

/// A line: the whole of it with its end, and its parts. A comment has an empty name.
struct Line {
    whole: Range<usize>,
    name: Range<usize>,
    value: Range<usize>,
}

impl Event {
    /// Reads the lines of an event (HTML, section 9.2.6).
    pub(super) fn read(lines: Bytes) -> Self {
        let mut event = Self {
            lines,
            data: Found::Nowhere,
            id: None,
            id_line: Found::Nowhere,
            event: None,
            retry: None,
            has_fields: false,
        };
        let bytes = event.lines.clone();
        for line in lines_of(&bytes) {
            event.hear(&bytes, line);
        }
        event
    }

    fn hear(&mut self, bytes: &[u8], line: Line) {
        let value = &bytes[line.value.clone()];
        self.has_fields |= !line.name.is_empty();
        match &bytes[line.name] {
            b"data" => self.data.add(line.value),
            b"id" => {
                self.id_line.add(line.whole);
                // An id with a NUL is none.
                if memchr(0, value).is_none() {
                    self.id = Some(line.value);
                }
            }
            b"event" => self.event = Some(line.value),
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                self.retry = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()).or(self.retry);
            }
            _ => {}
        }
    }

    /// The data: a slice where it is one line, else the lines joined by line feeds; `None` without a `data` field.
    #[must_use]
    pub fn data(&self) -> Option<Bytes> {
        match &self.data {
            Found::Nowhere => None,
            Found::Once(range) => Some(self.lines.slice(range.clone())),
            Found::Often => {
                let values = lines_of(&self.lines).filter(|line| &self.lines[line.name.clone()] == b"data");
                let values: Vec<&[u8]> = values.map(|line| &self.lines[line.value]).collect();
                Some(values.join(&b'\n').into())
            }
        }
    }

    /// The id. Empty text is an id too: it makes a client forget the one before.
    #[must_use]
    pub fn id(&self) -> Option<Bytes> {
        self.id.clone().map(|range| self.lines.slice(range))
    }

    /// The type, without which an event is a `message`.
    #[must_use]
    pub fn event(&self) -> Option<&[u8]> {
        self.event.clone().map(|range| &self.lines[range])
    }

    /// The pause before reconnecting, in milliseconds.
    #[must_use]
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// Whether it holds comments and nothing else: a sign of life that no reader sees.
    #[must_use]
    pub fn is_comment_only(&self) -> bool {
        !self.has_fields
    }

    /// Its lines as they came, blank line included.
    #[must_use]
    pub fn lines(&self) -> &Bytes {
        &self.lines
    }

    /// Its lines without those that carry an id, blank line included: a slice where the id stands first.
    #[must_use]
    pub fn lines_without_id(&self) -> Bytes {
        match &self.id_line {
            Found::Nowhere => self.lines.clone(),
            Found::Once(id) if id.start == 0 => self.lines.slice(id.end..),
            Found::Once(_) | Found::Often => {
                let mut out = BytesMut::with_capacity(self.lines.len());
                self.write_without_id(&mut out);
                out.freeze()
            }
        }
    }

    /// Writes it with another id, which must hold neither line end nor NUL, and all its other lines as they came.
    pub fn write_with_id(&self, id: &[u8], out: &mut BytesMut) {
        debug_assert!(!id.iter().any(|byte| is_line_end(*byte) || *byte == 0), "an id is one line");
        out.reserve(b"id: \n".len() + id.len() + self.lines.len());
        out.put_slice(b"id: ");
        out.put_slice(id);
        out.put_u8(b'\n');
        self.write_without_id(out);
    }

    /// Writes it without its id.
    pub fn write_without_id(&self, out: &mut BytesMut) {
        let lines = &self.lines;
        match &self.id_line {
            Found::Nowhere => out.put_slice(lines),
            Found::Once(id) => {
                out.put_slice(&lines[..id.start]);
                put_next_line(out, &lines[id.end..]);
            }
            Found::Often => {
                let mut end = 0;
                for line in lines_of(lines) {
                    end = line.whole.end;
                    if &lines[line.name] != b"id" {
                        put_next_line(out, &lines[line.whole]);
                    }
                }
                put_next_line(out, &lines[end..]);
            }
        }
    }
}

/// Appends what follows a line. Where a removed line leaves a carriage return before a line feed, the two would become
/// one line end, so the line feed is doubled.
fn put_next_line(out: &mut BytesMut, next: &[u8]) {
    if out.ends_with(b"\r") && next.starts_with(b"\n") {
        out.put_u8(b'\n');
    }
    out.put_slice(next);
}

/// The lines of an event; the blank one at its end is none.
fn lines_of(bytes: &[u8]) -> impl Iterator<Item = Line> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let end = start + memchr2(b'\n', b'\r', &bytes[start..])?;
        if end == start {
            return None;
        }
        let pair = bytes[end..].starts_with(b"\r\n");
        let whole = start..end + 1 + usize::from(pair);
        start = whole.end;
        Some(parts(bytes, whole, end))
    })
}

/// Splits a line at its colon. Without one, all of it is the name; one space behind the colon belongs to neither.
fn parts(bytes: &[u8], whole: Range<usize>, end: usize) -> Line {
    let text = &bytes[whole.start..end];
    let Some(colon) = memchr(b':', text) else {
        return Line { name: whole.start..end, value: end..end, whole };
    };
    let colon = whole.start + colon;
    let space = bytes[colon + 1..end].starts_with(b" ");
    Line { name: whole.start..colon, value: colon + 1 + usize::from(space)..end, whole }
}
