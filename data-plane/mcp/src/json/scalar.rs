//! Strings, numbers and literals (RFC 8259, sections 3, 6 and 7).

use super::scanner::{RawString, Scanner, span};
use crate::Reason;

impl Scanner<'_> {
    /// Reads a string, a number or a literal.
    pub(super) fn scalar(&mut self) -> Result<(), Reason> {
        match self.byte() {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => Err(self.fault("expected a value")),
        }
    }

    /// Reads a string, from its opening quote to behind its closing one.
    pub(super) fn string(&mut self) -> Result<RawString, Reason> {
        let start = self.at + 1;
        self.at = start;
        let mut escaped = false;
        loop {
            self.at = end_of_plain(self.text.as_bytes(), self.at);
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(_) => {
                    return Err(self.fault("a control character in a string must be escaped"));
                }
                None => return Err(self.fault("a string is not closed")),
            }
            escaped = true;
        }
        let inside = span(start, self.at);
        self.at += 1;
        Ok(RawString { span: inside, escaped })
    }

    /// Reads an escape. Halves of surrogate pairs pass: the grammar allows them and real servers cut strings in the
    /// middle of a pair; only what the gateway itself reads must be whole (see `text::unescape`).
    fn escape(&mut self) -> Result<(), Reason> {
        let rest = &self.text.as_bytes()[self.at + 1..];
        let length = match rest {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [b'u', a, b, c, d, ..] if [a, b, c, d].into_iter().all(u8::is_ascii_hexdigit) => 6,
            _ => return Err(self.fault("a string holds an escape that JSON does not know")),
        };
        self.at += length;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Reason> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Reads one digit or more.
    fn digits(&mut self) -> Result<(), Reason> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        if self.at == start { Err(self.fault("expected a digit")) } else { Ok(()) }
    }

    fn literal(&mut self, word: &str) -> Result<(), Reason> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.fault("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }
}

/// Where a string's plain part ends: at a quote, a backslash, a control character or the end of the text.
///
/// Eight bytes at a time, because large messages are mostly the insides of strings. In each byte of `word`, the
/// subtraction borrows into the top bit exactly if the byte is small enough; a borrow from below can only disturb bytes
/// above the first hit, and the first hit is all that is asked for.
fn end_of_plain(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = u64::from_ne_bytes([0x80; 8]);
    let zero_byte = |word: u64| word.wrapping_sub(ONES) & !word;
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = zero_byte(word ^ (ONES * b'"' as u64));
        let backslash = zero_byte(word ^ (ONES * b'\\' as u64));
        let hits = (control | quote | backslash) & TOPS;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += chunk.len();
    }
    let plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
    at + bytes[at..].iter().take_while(|byte| plain(byte)).count()
}
