//! Values that a header cannot carry as they are (2026-07-28, "Streamable HTTP", value encoding).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What stands before and behind the base64 of such a value. Case matters.
const MARKS: (&str, &str) = ("=?base64?", "?=");

/// The text that `value` is the encoding of; `None` for a value that says what it is, or whose base64 is none of UTF-8.
#[must_use]
pub fn decoded(value: &str) -> Option<String> {
    let inside = value.trim().strip_prefix(MARKS.0)?.strip_suffix(MARKS.1)?;
    String::from_utf8(STANDARD.decode(inside).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_between_both_marks_is_read_and_nothing_else() {
        assert_eq!(decoded("=?base64?U8OjbyBQYXVsbw==?=").as_deref(), Some("São Paulo"));
        assert_eq!(decoded(" =?base64?IA==?=\t").as_deref(), Some(" "), "white space around a value is none of it");
        for literal in
            ["São Paulo", "=?base64?U8Ojbw==", "=?BASE64?U8Ojbw==?=", "=?base64?U8Ojbw?=", "=?base64?/w==?=", ""]
        {
            assert_eq!(decoded(literal), None, "{literal}");
        }
    }
}
