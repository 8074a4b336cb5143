//! Secrets that betray themselves by a name, in text: `name=value`, `name: value`, `--name value`, `<name>value<`, with
//! and without quotes, in the many ways of shells, source code, logs and cut-off JSON.
//!
//! Text that speaks about secrets without having one shall stay, as far as that can be told: types, keywords, words of a
//! sentence and calls of functions are no values.

use std::ops::Range;

use super::bytes::{end_of_within, is_blank, is_name, is_quote};
use super::credentials::{self, Form};
use super::{pem, prose, tag};

/// How far a name is read to either side of what was found of it, in bytes: names are shorter, and a text without any
/// other bytes stays linear.
const NAME_BYTES_MAX: usize = 128;

/// How many quotes, backslashes and blanks may stand between a name and its value: four levels of escapes need 15
/// backslashes for one quote.
const BETWEEN_BYTES_MAX: usize = 24;

/// How far the end of a quoted value is looked for, in bytes. Behind that, the line's end is its end.
const QUOTED_BYTES_MAX: usize = 16 * 1024;

/// The name around a literal: not before `floor`, without the dashes of a flag.
pub(super) fn name_around(text: &[u8], literal: &Range<usize>, floor: usize) -> Range<usize> {
    let before =
        text[floor..literal.start].iter().rev().take(NAME_BYTES_MAX).take_while(|byte| is_name(**byte)).count();
    let mut start = literal.start - before;
    // The `n` of an escaped line end is no letter of the name.
    let escaped = start > floor && text[start - 1] == b'\\' && matches!(text[start], b'b' | b'f' | b'n' | b'r' | b't');
    start += usize::from(escaped && start < literal.start);
    start += text[start..literal.start].iter().take_while(|byte| matches!(byte, b'-' | b'.')).count();
    let end = end_of_within(text, literal.end.min(text.len()), NAME_BYTES_MAX, is_name);
    // A literal may end in the separator, as `sig=` does.
    if text[literal.end - 1] == b'=' { start..literal.end - 1 } else { start..end }
}

/// The secret that follows this name; `None` if nothing does that could be one.
pub(super) fn value(text: &[u8], name: &Range<usize>) -> Option<Range<usize>> {
    if name.start > 0 && text[name.start - 1] == b'<' && text.get(name.end) == Some(&b'>') {
        let start = name.end + 1;
        let end = end_of_within(text, start, QUOTED_BYTES_MAX, |byte| byte != b'<');
        return secret(text, start..end, name);
    }
    let closed =
        end_of_within(text, name.end, BETWEEN_BYTES_MAX, |byte| is_quote(byte) || matches!(byte, b'\\' | b']'));
    let blank = end_of_within(text, closed, BETWEEN_BYTES_MAX, is_blank);
    match separator(text, blank) {
        Some(at) => after_separator(text, name, at),
        // `--api-key VALUE`
        None if is_flag(text, name) && closed == name.end && blank > closed && text.get(blank) != Some(&b'-') => {
            at_value(text, name, blank)
        }
        None => None,
    }
}

/// The rest of the line, for values of many words; up to the quote that stands before the name, if one does.
pub(super) fn rest_of_line(text: &[u8], name: &Range<usize>, start: usize) -> Range<usize> {
    let quote = name.start.checked_sub(1).map(|at| text[at]).filter(|byte| is_quote(*byte));
    let line = &text[start..];
    let ends = |(at, byte): (usize, &u8)| match byte {
        b'\n' | b'\r' => true,
        b'\\' => matches!(line.get(at + 1), Some(b'n' | b'r' | b'"' | b'\'')),
        byte => Some(*byte) == quote,
    };
    let end = start + line.iter().enumerate().position(|(at, byte)| ends((at, byte))).unwrap_or(line.len());
    start..end
}

fn is_flag(text: &[u8], name: &Range<usize>) -> bool {
    name.start > 0 && text[name.start - 1] == b'-'
}

/// Where the separator at `at` ends, blanks behind it included: `=`, `:`, `:=`, `==`, `=>`, or a percent-encoded one.
fn separator(text: &[u8], at: usize) -> Option<usize> {
    let rest = &text[at..];
    if rest.len() > 2 && rest[0] == b'%' && rest[1] == b'3' && matches!(rest[2], b'D' | b'd' | b'A' | b'a') {
        return Some(at + 3);
    }
    let signs = rest.iter().take(3).take_while(|byte| matches!(byte, b':' | b'=')).count();
    // `token::Kind` is a path, and `token://` a scheme.
    if signs == 0 || rest.starts_with(b"::") || rest.starts_with(b"://") {
        return None;
    }
    let arrow = usize::from(rest.get(signs) == Some(&b'>'));
    Some(end_of_within(text, at + signs + arrow, BETWEEN_BYTES_MAX, is_blank))
}

/// The value behind a separator. A type may stand first, as in `password: str = "…"`.
fn after_separator(text: &[u8], name: &Range<usize>, at: usize) -> Option<Range<usize>> {
    at_value(text, name, at).or_else(|| {
        let word = unquoted(text, at);
        let blank = end_of_within(text, word.end, BETWEEN_BYTES_MAX, |byte| is_blank(byte) || byte == b'>');
        let typed = prose::is_word_of_code(&text[word]) && text.get(blank) == Some(&b'=');
        typed.then(|| separator(text, blank)).flatten().and_then(|at| at_value(text, name, at))
    })
}

fn at_value(text: &[u8], name: &Range<usize>, at: usize) -> Option<Range<usize>> {
    let bare = credentials::scheme(text, at).map_or(at, |(start, _)| start);
    if tag::end_of_tag(text, bare).is_some() {
        return None;
    }
    if let Some(end) = pem::end_of_begin(text, bare).and_then(|body| pem::end_of_block(text, body)) {
        return Some(bare..end);
    }
    let brackets = end_of_within(text, at, 2, |byte| matches!(byte, b'[' | b'{' | b'('));
    if let Some(inside) = quoted(text, at).or_else(|| quoted(text, brackets)) {
        return secret(text, inside, name);
    }
    let word = unquoted(text, at);
    let call = !word.is_empty() && text[word.clone()].iter().all(|byte| is_of_path(*byte));
    match text.get(word.end) {
        // `Some("…")`, `b"…"`: what is quoted is the value.
        Some(b'(') if call => secret(text, quoted(text, word.end + 1)?, name),
        Some(b'[') if call => None,
        Some(quote) if is_quote(*quote) && is_string_prefix(&text[word.clone()]) => {
            secret(text, quoted(text, word.end)?, name)
        }
        _ if prose::is_no_secret(&text[word.clone()]) || tag::touches(text, &word) => None,
        _ => secret(text, with_scheme(text, name, word), name),
    }
}

/// The secret in a value; `None` if it is empty, or a tag already.
fn secret(text: &[u8], value: Range<usize>, name: &Range<usize>) -> Option<Range<usize>> {
    let value = credentials::without_scheme(text, value);
    let shown = &text[value.clone()];
    let count = prose::is_count(&text[name.clone()], shown);
    (!shown.is_empty() && !tag::is_tag(shown) && !count).then_some(value)
}

/// A word that names an authorization scheme, with the credentials behind it.
fn with_scheme(text: &[u8], name: &Range<usize>, word: Range<usize>) -> Range<usize> {
    match credentials::scheme(text, word.start) {
        Some((start, Form::Word)) => word.start..unquoted(text, start).end.max(word.end),
        Some((start, Form::Parameters)) => word.start..rest_of_line(text, name, start).end,
        None => word,
    }
}

/// The inside of the quotes that begin at `at`, which may be escaped; to the line's end if nothing closes them.
fn quoted(text: &[u8], at: usize) -> Option<Range<usize>> {
    let backslashes = end_of_within(text, at, BETWEEN_BYTES_MAX, |byte| byte == b'\\') - at;
    let quote = *text.get(at + backslashes).filter(|byte| is_quote(**byte))?;
    let start = at + backslashes + 1;
    let window = &text[start..text.len().min(start + QUOTED_BYTES_MAX)];
    let mut run = 0;
    for (offset, byte) in window.iter().enumerate() {
        if *byte == quote && closes(run, backslashes) {
            return Some(start..start + offset - run.min(backslashes));
        }
        run = if *byte == b'\\' { run + 1 } else { 0 };
    }
    let line = memchr::memchr(b'\n', window).unwrap_or(window.len());
    Some(start..start + line)
}

/// Whether a quote behind `run` backslashes ends what a quote behind `opening` began. Each level of escapes doubles the
/// backslashes, so those of an escaped backslash come in multiples of twice the opening's and one. Fewer than the
/// opening's end a string further out.
fn closes(run: usize, opening: usize) -> bool {
    run < opening || run % (2 * (opening + 1)) == opening
}

/// The word at `at`: to the next blank or quote, to where another assignment begins, without punctuation at its end.
fn unquoted(text: &[u8], at: usize) -> Range<usize> {
    let rest = &text[at.min(text.len())..];
    let ends = |at: usize, byte: u8| match byte {
        b'<' | b'>' => true,
        // A call ends in a bracket; a password goes on.
        b'(' | b'[' => rest[..at].iter().all(|byte| is_of_path(*byte)),
        b'\\' => matches!(rest.get(at + 1), Some(b'n' | b'r' | b't' | b'"' | b'\'' | b'\\')),
        b'&' | b',' | b';' => begins_assignment(&rest[at + 1..]),
        b'%' => rest[at..].starts_with(b"%26"),
        b'-' => rest[at..].starts_with(pem::BEGIN.as_bytes()),
        byte => byte.is_ascii_whitespace() || is_quote(byte),
    };
    let length = rest.iter().enumerate().position(|(at, byte)| ends(at, *byte)).unwrap_or(rest.len());
    let open = rest[..length].iter().rev().take_while(|byte| b",;.)}]!?".contains(byte)).count();
    at..at + length - open
}

/// What Python and Rust write before the quotes of a string.
fn is_string_prefix(word: &[u8]) -> bool {
    word.len() <= 2 && word.iter().all(|byte| b"bBcCfFrRuU".contains(byte))
}

/// What paths to functions and members are made of.
fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || b"_.:&".contains(&byte)
}

/// Whether this is a name and a separator.
fn begins_assignment(text: &[u8]) -> bool {
    let name = end_of_within(text, 0, NAME_BYTES_MAX, is_name);
    name > 0 && matches!(text.get(name), Some(b'=' | b':'))
}
