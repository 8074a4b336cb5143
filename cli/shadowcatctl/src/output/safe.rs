//! Text that others wrote, made safe to look at.

use std::borrow::Cow;

/// Whether a character acts on the terminal or on its neighbours instead of being seen: control characters, marks that turn the
/// direction of a line (Unicode Standard Annex 9), breaks of lines, and the invisible letters that hide text from people.
#[must_use]
pub fn drives(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` on one line and without characters that drive the reader's terminal, or break a table's lines.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(drives) {
        return Cow::Borrowed(text);
    }
    let shown = |character: char| match character {
        '\n' | '\t' | '\r' => ' ',
        other if drives(other) => char::REPLACEMENT_CHARACTER,
        other => other,
    };
    Cow::Owned(text.chars().map(shown).collect())
}

/// Appends `character` as it is, or as the escape by which JSON and people know it, as in `\u001b`.
pub fn escaped(character: char, text: &mut String) {
    match character {
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        other if drives(other) => {
            let mut units = [0; 2];
            for unit in other.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
        other => text.push(other),
    }
}

/// The same JSON, with an escape in place of every character that drives a terminal: JSON itself demands that of some of them only.
/// Breaks between its members stay.
#[must_use]
pub fn inert_json(json: &str) -> Cow<'_, str> {
    let layout = |character: char| matches!(character, '\n' | '\t' | '\r');
    if !json.contains(|character| drives(character) && !layout(character)) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + json.len() / 8);
    for character in json.chars() {
        if layout(character) { text.push(character) } else { escaped(character, &mut text) }
    }
    Cow::Owned(text)
}

/// `text` in at most `width` characters, the last of them `…` if it was longer.
#[must_use]
pub fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.chars().nth(width).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().take(width.saturating_sub(1)).chain(['…']).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_drive_a_terminal_or_turn_a_line_is_shown_instead() {
        assert_eq!(clean("a\u{1b}[2J\nb\u{9b}\u{202e}c\u{e0041}"), "a\u{fffd}[2J b\u{fffd}\u{fffd}c\u{fffd}");
        assert_eq!(clean("naïve 日本語 👩‍💻"), "naïve 日本語 👩‍💻");
        let mut text = String::new();
        "\u{1b}\u{202e}\u{e0041}é\n".chars().for_each(|character| escaped(character, &mut text));
        assert_eq!(text, "\\u001b\\u202e\\udb40\\udc41é\\n");
    }

    #[test]
    fn json_says_the_same_without_a_character_that_drives() {
        let value = serde_json::json!({ "a": "\u{9b}1m\u{202e}\u{e0041}\u{7f}\n" });
        let json = serde_json::to_string_pretty(&value).expect("JSON");
        let inert = inert_json(&json);
        assert!(!inert.contains(|character| drives(character) && character != '\n'), "{inert}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&inert).expect("JSON"), value);
    }

    #[test]
    fn a_long_text_is_cut_to_characters_and_says_so() {
        assert_eq!((cut("häuser", 6), cut("häuser", 3)), ("häuser".into(), "hä…".into()));
        assert_eq!(cut("", 0), "");
    }
}
