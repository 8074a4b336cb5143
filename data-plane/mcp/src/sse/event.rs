//! One event: its lines as they came, and what they say.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use memchr::{memchr, memchr2};

use super::decoder::is_line_end;

/// An event as it came, blank line included. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    lines: Bytes,
    data: Data,
    id: Option<Range<usize>>,
    event: Option<Range<usize>>,
    retry: Option<u64>,
    /// Where the lines that carry an id stand, if there are any: from the first one's start to the last one's end.
    id_lines: Option<Range<usize>>,
    has_fields: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Data {
    None,
    Line(Range<usize>),
    Lines,
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
            data: Data::None,
            id: None,
            event: None,
            retry: None,
            id_lines: None,
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
            b"data" => {
                self.data = match self.data {
                    Data::None => Data::Line(line.value),
                    Data::Line(_) | Data::Lines => Data::Lines,
                }
            }
            b"id" => {
                let first = self
                    .id_lines
                    .as_ref()
                    .map_or(line.whole.start, |lines| lines.start);
                self.id_lines = Some(first..line.whole.end);
                // An id with a NUL is none.
                if memchr(0, value).is_none() {
                    self.id = Some(line.value);
                }
            }
            b"event" => self.event = Some(line.value),
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                self.retry = std::str::from_utf8(value)
                    .ok()
                    .and_then(|digits| digits.parse().ok())
                    .or(self.retry);
            }
            _ => {}
        }
    }

    /// The data: a slice where it is one line, else the lines joined by line feeds; `None` without a `data` field.
    #[must_use]
    pub fn data(&self) -> Option<Bytes> {
        match &self.data {
            Data::None => None,
            Data::Line(range) => Some(self.lines.slice(range.clone())),
            Data::Lines => {
                let values =
                    lines_of(&self.lines).filter(|line| &self.lines[line.name.clone()] == b"data");
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

    /// Its lines without those that carry an id, blank line included: a slice where they stand first or last.
    #[must_use]
    pub fn lines_without_id(&self) -> Bytes {
        match &self.id_lines {
            None => self.lines.clone(),
            Some(ids) if ids.start == 0 && !self.has_other_lines(ids) => {
                self.lines.slice(ids.end..)
            }
            Some(_) => {
                let mut out = BytesMut::with_capacity(self.lines.len());
                self.write_without_id(&mut out);
                out.freeze()
            }
        }
    }

    /// Writes it with another id, which must hold neither line end nor NUL, and all its other lines as they came.
    pub fn write_with_id(&self, id: &[u8], out: &mut BytesMut) {
        debug_assert!(
            !id.iter().any(|byte| is_line_end(*byte) || *byte == 0),
            "an id is one line"
        );
        out.reserve(b"id: \n".len() + id.len() + self.lines.len());
        out.put_slice(b"id: ");
        out.put_slice(id);
        out.put_u8(b'\n');
        self.write_without_id(out);
    }

    /// Writes it without its id.
    pub fn write_without_id(&self, out: &mut BytesMut) {
        let Some(ids) = &self.id_lines else {
            out.put_slice(&self.lines);
            return;
        };
        out.put_slice(&self.lines[..ids.start]);
        for line in lines_of(&self.lines[ids.clone()]) {
            let at = ids.start;
            if &self.lines[at + line.name.start..at + line.name.end] != b"id" {
                out.put_slice(&self.lines[at + line.whole.start..at + line.whole.end]);
            }
        }
        out.put_slice(&self.lines[ids.end..]);
    }

    /// Whether lines without an id stand between those with one.
    fn has_other_lines(&self, ids: &Range<usize>) -> bool {
        let between = &self.lines[ids.clone()];
        lines_of(between).any(|line| &between[line.name] != b"id")
    }
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
        return Line {
            name: whole.start..end,
            value: end..end,
            whole,
        };
    };
    let colon = whole.start + colon;
    let space = bytes[colon + 1..end].starts_with(b" ");
    Line {
        name: whole.start..colon,
        value: colon + 1 + usize::from(space)..end,
        whole,
    }
}
