//! A text as a YAML scalar that means this text to every reader: plain where nothing could be mistaken, as lines where
//! it has several, quoted else.

use std::fmt::Write;

/// Words that some reader of YAML takes for something else than text (YAML 1.1, and 1.2's core schema).
const WORDS: [&str; 10] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "inf"];

/// Prints the scalar and the end of its line; lines of a longer text begin after `margin` spaces.
pub(crate) fn print(text: &str, margin: usize, out: &mut String) {
    // What the reader would take for a variable is none.
    let text = text.replace("${", "$${");
    if is_plain(&text) {
        out.push_str(&text);
        out.push('\n');
    } else if are_lines(&text) {
        print_lines(&text, margin, out);
    } else if text.contains(['"', '\\']) && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        let _ = writeln!(out, "'{}'", text.replace('\'', "''"));
    } else {
        print_quoted(&text, out);
    }
}

fn is_plain(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@+=%".contains(&byte);
    let number_like = || text.bytes().all(|byte| byte.is_ascii_digit() || b"_-.:".contains(&byte));
    let other_base = || ["0x", "0X", "0o", "0b"].iter().any(|prefix| text.starts_with(prefix));
    text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '/')
        && text.bytes().all(inner)
        && !text.ends_with(':')
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
        && !number_like()
        && !other_base()
        && text.parse::<f64>().is_err()
}

/// Whether a literal block can hold it, and an editor will not change it in passing.
fn are_lines(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let visible = |c: char| matches!(c, ' '..='~') || (!c.is_ascii() && c.is_alphanumeric());
    text.contains('\n')
        && !body.starts_with(['\n', ' '])
        && !body.is_empty()
        && !body.ends_with('\n')
        && body.split('\n').all(|line| line.chars().all(visible) && !line.ends_with(' '))
}

fn print_lines(text: &str, margin: usize, out: &mut String) {
    let (body, header) = match text.strip_suffix('\n') {
        Some(body) => (body, "|\n"),
        None => (text, "|-\n"),
    };
    out.push_str(header);
    for line in body.split('\n') {
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', margin));
            out.push_str(line);
        }
        out.push('\n');
    }
}

fn print_quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        let escaped = match c {
            '"' => out.write_str("\\\""),
            '\\' => out.write_str("\\\\"),
            '\n' => out.write_str("\\n"),
            '\t' => out.write_str("\\t"),
            '\r' => out.write_str("\\r"),
            ' '..='~' => out.write_char(c),
            c if !c.is_ascii() && c.is_alphanumeric() => out.write_char(c),
            c if u32::from(c) <= 0xffff => write!(out, "\\u{:04x}", u32::from(c)),
            c => write!(out, "\\U{:08x}", u32::from(c)),
        };
        // A `String` takes whatever is written to it.
        let _ = escaped;
    }
    out.push_str("\"\n");
}
