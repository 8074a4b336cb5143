//! Recorded text and JSON in lines: cut with a word on how much is left out, and without a character that drives the terminal.

use crate::output::{count, escaped};

/// Lines of one text: the beginning of an error or a file, which tells what it is, and still several calls on one screen.
const TEXT_LINES: usize = 12;

/// Lines of one JSON value: enough for the arguments of most calls.
const JSON_LINES: usize = 4;

/// Columns that a line has at least, however narrow the terminal.
const WIDTH_MIN: usize = 20;

/// Text as lines of at most `width` characters; breaks of its own are kept.
pub(super) fn paragraph(text: &str, width: usize) -> Vec<String> {
    wrap(text, width, TEXT_LINES)
}

/// JSON, on one line if that is wide enough, with a space after each colon and comma.
pub(super) fn json(raw: &str, width: usize) -> Vec<String> {
    let width = width.max(WIDTH_MIN);
    let (shown, read) = respaced(raw, width * JSON_LINES);
    let mut lines: Vec<String> = Vec::new();
    let mut rest = shown.as_str();
    while !rest.is_empty() {
        let end = rest.char_indices().nth(width).map_or(rest.len(), |(end, _)| end);
        lines.push(rest[..end].to_owned());
        rest = &rest[end..];
    }
    leave_out(&mut lines, raw.len() - read);
    lines
}

/// The beginning of `raw` in up to `limit` characters, and how many of its bytes that is. What is in strings stays as it is, but for
/// characters that have to be escaped; numbers keep their digits.
fn respaced(raw: &str, limit: usize) -> (String, usize) {
    let mut shown = String::new();
    let mut characters = 0;
    let (mut quoted, mut escape) = (false, false);
    for (at, character) in raw.char_indices() {
        if characters >= limit {
            return (shown, at);
        }
        let before = shown.len();
        if quoted {
            escaped(character, &mut shown);
            quoted = character != '"' || escape;
            escape = character == '\\' && !escape;
        } else if !character.is_ascii_whitespace() {
            escaped(character, &mut shown);
            quoted = character == '"';
            if matches!(character, ':' | ',') {
                shown.push(' ');
            }
        }
        characters += shown[before..].chars().count();
    }
    (shown, raw.len())
}

fn wrap(text: &str, width: usize, most: usize) -> Vec<String> {
    let width = width.max(WIDTH_MIN);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut column = 0;
    for (at, character) in text.char_indices() {
        let breaks = character == '\n';
        if breaks || column >= width {
            // Between words if there are any, but for the last line, whose rest is counted.
            let word = if breaks || lines.len() + 1 >= most { None } else { line.rfind(' ') };
            let rest = word.map_or_else(String::new, |space| line.split_off(space).split_off(1));
            column = rest.chars().count();
            lines.push(std::mem::replace(&mut line, rest));
            if lines.len() == most {
                leave_out(&mut lines, text.len() - at - usize::from(breaks));
                return lines;
            }
        }
        let before = line.len();
        match character {
            '\n' | '\r' => {}
            '\t' => line.push(' '),
            other => escaped(other, &mut line),
        }
        column += line[before..].chars().count();
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

fn leave_out(lines: &mut Vec<String>, bytes: usize) {
    if bytes > 0 {
        lines.push(format!("… {} left out", count(bytes as u64, "byte")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_spaced_and_otherwise_verbatim() {
        assert_eq!(
            json(r#"{"b":1.0,"a" : [1,2], "s":"x:y,\"z\" \\"}"#, 80),
            [r#"{"b": 1.0, "a": [1, 2], "s": "x:y,\"z\" \\"}"#]
        );
        assert_eq!(json("{\"a\":\"\u{9b}\u{202e}\"}", 80), [r#"{"a": "\u009b\u202e"}"#]);
    }

    #[test]
    fn long_json_is_cut_with_the_number_of_bytes_left_out() {
        let raw = format!("\"{}\"", "ä".repeat(1 << 20));
        let lines = json(&raw, 40);
        assert_eq!((lines.len(), lines[0].chars().count()), (5, 40));
        assert_eq!(lines[4], format!("… {} bytes left out", raw.len() - 1 - 159 * 2));
    }

    #[test]
    fn text_keeps_its_lines_and_cannot_fake_others() {
        assert_eq!(paragraph("one\r\ntwo\n\nthree", 80), ["one", "two", "", "three"]);
        assert_eq!(paragraph("a\u{1b}[2J\tb", 80), ["a\\u001b[2J b"]);
        assert_eq!(paragraph("a paragraph is broken between words", 20), ["a paragraph is", "broken between words"]);
        assert_eq!(paragraph(&"x".repeat(50), 20), ["x".repeat(20), "x".repeat(20), "x".repeat(10)]);
        assert_eq!(paragraph(&"y\n".repeat(20), 80)[12], "… 16 bytes left out");
        assert_eq!(paragraph(&"y\n".repeat(12), 80).len(), 12);
    }
}
