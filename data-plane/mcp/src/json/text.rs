//! JSON strings: taking escapes out of them and putting escapes in (RFC 8259, section 7).

/// Takes the escapes out of the inside of a JSON string whose grammar has been checked.
///
/// `None` if half a surrogate pair stands alone: grammar allows it, but it is no character, so two readers may see two
/// different strings.
pub(crate) fn unescape(raw: &str) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut letters = escape.chars();
        text.push(match letters.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (character, after) = unicode_escape(letters.as_str())?;
                letters = after.chars();
                character
            }
            itself => itself,
        });
        rest = letters.as_str();
    }
    text.push_str(rest);
    Some(text)
}

/// The character of the escape whose `\u` is already read, and what follows it.
fn unicode_escape(rest: &str) -> Option<(char, &str)> {
    let (first, rest) = code_unit(rest)?;
    if !(0xD800..0xDC00).contains(&first) {
        return Some((char::from_u32(first.into())?, rest));
    }
    let (second, rest) = code_unit(rest.strip_prefix("\\u")?)?;
    let pair = char::decode_utf16([first, second]).next()?.ok()?;
    Some((pair, rest))
}

/// Four hexadecimal digits and what follows them.
fn code_unit(rest: &str) -> Option<(u16, &str)> {
    let (digits, rest) = rest.split_at_checked(4)?;
    Some((u16::from_str_radix(digits, 16).ok()?, rest))
}

/// Appends `text` as a JSON string, quotes included.
pub(crate) fn quote(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                let code = control as usize;
                out.push_str("\\u00");
                out.push(HEX[code >> 4].into());
                out.push(HEX[code & 0xF].into());
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
}

/// How many characters of a peer's text an error quotes: enough to recognise a name, too few to fill a log.
const QUOTED: usize = 64;

/// The beginning of a peer's text, for an error to quote.
pub(crate) fn excerpt(text: &str) -> Box<str> {
    match text.char_indices().nth(QUOTED) {
        None => text.into(),
        Some((end, _)) => format!("{}…", &text[..end]).into(),
    }
}
