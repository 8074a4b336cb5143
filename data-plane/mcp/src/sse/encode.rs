//! Writing events and comments of our own.

use bytes::{BufMut, BytesMut};
use memchr::memchr2;

/// Appends one event. `event` and `id` must hold no line end; each line of `data` (CR, LF or CRLF) becomes a `data`
/// line, so a reader sees line feeds. Empty data is one empty line of it, as in a priming event (2025-11-25, "Transports").
pub fn encode(out: &mut BytesMut, event: Option<&str>, id: Option<&[u8]>, retry: Option<u64>, data: &[u8]) {
    // The id comes first, where it can be cut off without copying the rest.
    if let Some(id) = id {
        field(out, b"id", id);
    }
    if let Some(event) = event {
        field(out, b"event", event.as_bytes());
    }
    if let Some(retry) = retry {
        field(out, b"retry", retry.to_string().as_bytes());
    }
    let mut rest = data;
    while let Some(end) = memchr2(b'\n', b'\r', rest) {
        field(out, b"data", &rest[..end]);
        let pair = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + 1 + usize::from(pair)..];
    }
    field(out, b"data", rest);
    out.put_u8(b'\n');
}

/// Appends a comment and its blank line: a sign of life that no reader sees. `text` must hold no line end.
pub fn comment(out: &mut BytesMut, text: &str) {
    field(out, b"", text.as_bytes());
    out.put_u8(b'\n');
}

fn field(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    debug_assert!(memchr2(b'\n', b'\r', value).is_none(), "a field is one line");
    out.reserve(name.len() + value.len() + 3);
    out.put_slice(name);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_u8(b'\n');
}
