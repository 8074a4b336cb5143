//! What bytes of text mean to whoever looks for secrets.
//!
//! All of it works on bytes: a body that is not UTF-8 is searched like any other. Whatever is found begins and ends at
//! ASCII bytes or at the text's ends, so it never cuts a character of valid UTF-8.

/// Letters, digits, `_` and `-`: the alphabet of base64url and of most keys.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// What a name in text is made of.
pub(super) fn is_name(byte: u8) -> bool {
    is_word(byte) || byte == b'.'
}

/// The alphabets of base64 and base64url, padding included.
pub(super) fn is_base64(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'+' | b'/' | b'=')
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

pub(super) fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

/// Whether something may begin at `at`: no letter or digit stands before it. The `n` of an escape `\n` is none, in raw
/// JSON as in text that quotes some.
pub(super) fn begins(text: &[u8], at: usize) -> bool {
    match text[..at] {
        [.., b'\\', b'b' | b'f' | b'n' | b'r' | b't'] => true,
        [.., before] => !before.is_ascii_alphanumeric(),
        [] => true,
    }
}

/// Where the run of such bytes that begins at `at` ends.
pub(super) fn end_of(text: &[u8], at: usize, is: impl Fn(u8) -> bool) -> usize {
    at + text[at..].iter().take_while(|byte| is(**byte)).count()
}

/// As [`end_of`], but not more than `most` bytes on.
pub(super) fn end_of_within(text: &[u8], at: usize, most: usize, is: impl Fn(u8) -> bool) -> usize {
    at + text[at..].iter().take(most).take_while(|byte| is(**byte)).count()
}

/// Whether `text` begins with `word`, whatever its case.
pub(super) fn starts_with_word(text: &[u8], word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}

/// The text without such bytes at its ends.
pub(super) fn trim(text: &[u8], is: impl Fn(u8) -> bool) -> &[u8] {
    let start = end_of(text, 0, &is);
    let tail = text[start..].iter().rev().take_while(|byte| is(**byte)).count();
    &text[start..text.len() - tail]
}
