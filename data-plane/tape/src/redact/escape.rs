//! JSON strings (RFC 8259, section 7): their text, and where each part of it stands in the raw string.
//!
//! A secret is found in the text and replaced in the raw string, so that everything around it keeps its own escapes.
//! Nothing is refused here: what is no valid escape stands for itself, and half a surrogate pair for U+FFFD.

use std::borrow::Cow;
use std::ops::Range;

/// One character of text, or one byte of a longer one, as the raw string has it.
struct Unit {
    /// Bytes that it takes up in the raw string.
    raw: usize,
    text: [u8; 4],
    length: usize,
}

/// The text of a raw string.
pub(super) fn unescape(raw: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(b'\\', raw) else { return Cow::Borrowed(raw) };
    let mut text = Vec::with_capacity(raw.len());
    text.extend_from_slice(&raw[..first]);
    let mut at = first;
    while at < raw.len() {
        let plain = memchr::memchr(b'\\', &raw[at..]).unwrap_or(raw.len() - at);
        text.extend_from_slice(&raw[at..at + plain]);
        at += plain;
        if at < raw.len() {
            let unit = unit(raw, at);
            text.extend_from_slice(&unit.text[..unit.length]);
            at += unit.raw;
        }
    }
    Cow::Owned(text)
}

/// Turns places in a string's text into places in the raw string. Asked in ascending order, it reads the string once.
pub(super) struct Places<'a> {
    raw: &'a [u8],
    at: usize,
    text_at: usize,
}

impl<'a> Places<'a> {
    pub(super) fn new(raw: &'a [u8]) -> Self {
        Self { raw, at: 0, text_at: 0 }
    }

    /// Where this part of the text stands.
    pub(super) fn raw_range(&mut self, text: &Range<usize>) -> Range<usize> {
        let start = self.raw_place(text.start);
        start..self.raw_place(text.end)
    }

    fn raw_place(&mut self, text: usize) -> usize {
        while self.text_at < text && self.at < self.raw.len() {
            let unit = unit(self.raw, self.at);
            self.at += unit.raw;
            self.text_at += unit.length;
        }
        self.at
    }
}

/// Puts in the escapes that a replacement needs inside a string. Only its own quotes do: tags hold neither quotes nor
/// backslashes, but a tag that replaces a number in JSON inside a string comes with quotes, escaped once for each level.
pub(super) fn escape(replacement: &str) -> String {
    replacement.replace('\\', r"\\").replace('"', r#"\""#)
}

fn unit(raw: &[u8], at: usize) -> Unit {
    let itself = |byte: u8, length| Unit { raw: length, text: [byte, 0, 0, 0], length: 1 };
    match raw[at..] {
        [b'\\', b'u', ..] => unicode(raw, at).unwrap_or(itself(b'\\', 1)),
        [b'\\', letter @ (b'"' | b'\\' | b'/'), ..] => itself(letter, 2),
        [b'\\', b'b', ..] => itself(8, 2),
        [b'\\', b'f', ..] => itself(12, 2),
        [b'\\', b'n', ..] => itself(b'\n', 2),
        [b'\\', b'r', ..] => itself(b'\r', 2),
        [b'\\', b't', ..] => itself(b'\t', 2),
        [byte, ..] => itself(byte, 1),
        [] => itself(0, 1),
    }
}

/// The character of the `\u` escape at `at`; `None` if it has too few digits.
fn unicode(raw: &[u8], at: usize) -> Option<Unit> {
    let first = code_unit(raw, at)?;
    let pair = code_unit(raw, at + ESCAPE_BYTES).and_then(|second| char::decode_utf16([first, second]).next()?.ok());
    let (character, length) = match (char::from_u32(first.into()), pair) {
        (Some(character), _) => (character, ESCAPE_BYTES),
        (None, Some(character)) => (character, 2 * ESCAPE_BYTES),
        (None, None) => (char::REPLACEMENT_CHARACTER, ESCAPE_BYTES),
    };
    let mut text = [0; 4];
    let bytes = character.encode_utf8(&mut text).len();
    Some(Unit { raw: length, text, length: bytes })
}

/// Bytes of a backslash, a `u` and four digits.
const ESCAPE_BYTES: usize = 6;

fn code_unit(raw: &[u8], at: usize) -> Option<u16> {
    let digits = raw.get(at..at + ESCAPE_BYTES)?.strip_prefix(b"\\u")?;
    let digit = |value: u16, digit: &u8| Some(value << 4 | char::from(*digit).to_digit(16)? as u16);
    digits.iter().try_fold(0, digit)
}
