//! `${NAME}` and `${NAME:-default}` from the environment.
//!
//! A variable is replaced inside one scalar, after YAML was read: whatever its value holds, quotes, colons or line
//! ends, it stays that one value. So that `{ url: ${URL} }` can be written without quotes, although braces are YAML's
//! own there, references are masked before YAML reads the text: each of their ASCII characters by one that means
//! nothing to it, which keeps every column in place.
//!
//! A reference ends on the line where it begins. The default stands in where the variable is unset or empty, as in a
//! shell; it is taken as it is and holds no `}`. `$${` is a literal `${`; any other `$` is itself. What a variable
//! brings in is not searched again.

use std::borrow::Cow;

use super::Environment;
use crate::limits::MAX_SUBSTITUTED_BYTES;

/// Masked characters are ASCII moved here, to the last plane of private use, where no text has anything to say.
const MASK: u32 = 0x10_0000;

const MASKED_DOLLAR: char = '\u{100024}';
const MASKED_CLOSE: char = '\u{10007d}';

/// What is wrong with one `${…}`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// The variables of what is read at once, and how much they may still bring in.
pub(crate) struct Substitution<'e> {
    environment: Environment<'e>,
    budget: usize,
}

impl<'e> Substitution<'e> {
    pub(crate) fn new(environment: Environment<'e>) -> Self {
        Self { environment, budget: MAX_SUBSTITUTED_BYTES }
    }

    /// The masked `text` of a scalar with its variables replaced.
    pub(crate) fn apply(&mut self, text: &str) -> Result<String, Mistake> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, from)) = rest.split_once(MASKED_DOLLAR) {
            push_literal(before, &mut out)?;
            let (masked, after) = from.split_once(MASKED_CLOSE).ok_or_else(unclosed)?;
            let body = unmask(masked);
            out.push_str(&self.value(&body[1..])?);
            rest = after;
        }
        push_literal(rest, &mut out)?;
        Ok(out)
    }

    fn value(&mut self, body: &str) -> Result<String, Mistake> {
        let (name, default) = match body.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (body, None),
        };
        if !is_variable_name(name) {
            return Err(Mistake {
                message: format!("${{{body}}} is no variable"),
                hint: "write ${NAME} or ${NAME:-default}, and $${ for a literal ${".to_owned(),
            });
        }
        let value = (self.environment)(name);
        let value = match default {
            Some(default) => value.filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned()),
            None => value.ok_or_else(|| unset(name))?,
        };
        self.budget = self.budget.checked_sub(value.len()).ok_or_else(overdrawn)?;
        Ok(value)
    }
}

/// Why a text that uses the mask's own characters is refused, in a file and in a message alike.
pub(crate) const MASK_IN_TEXT: &str = "the text has characters from U+100000 to U+10007F";

/// What to do about it.
pub(crate) const MASK_IN_TEXT_HINT: &str = "they are for private use, and used here";

/// Whether a text has characters of the mask.
pub(crate) fn uses_mask(text: &str) -> bool {
    text.contains(is_masked)
}

/// `text` with its references masked; `None` if it already has characters of the mask.
pub(crate) fn mask(text: &str) -> Option<Cow<'_, str>> {
    if uses_mask(text) {
        return None;
    }
    if !text.contains("${") {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, reference) = rest.split_at(start);
        out.push_str(before);
        let end = reference.find(['}', '\n', '\r']).filter(|end| reference[*end..].starts_with('}'));
        match end {
            Some(end) if !before.ends_with('$') => {
                out.extend(reference[..=end].chars().map(masked));
                rest = &reference[end + 1..];
            }
            // `$${`, or a `${` that nothing on its line closes: it is told where its value is read.
            _ => {
                out.push_str("${");
                rest = &reference["${".len()..];
            }
        }
    }
    out.push_str(rest);
    Some(Cow::Owned(out))
}

fn masked(c: char) -> char {
    if c.is_ascii() { char::from_u32(MASK + u32::from(c)).unwrap_or(c) } else { c }
}

/// The text as it was written.
pub(crate) fn unmask(text: &str) -> String {
    text.chars().map(|c| if is_masked(c) { char::from_u32(u32::from(c) - MASK).unwrap_or(c) } else { c }).collect()
}

fn is_masked(c: char) -> bool {
    (MASK..MASK + 0x80).contains(&u32::from(c))
}

/// What is no reference: `$${` stands for `${`, and a `${` that is left is one that nothing closes.
fn push_literal(text: &str, out: &mut String) -> Result<(), Mistake> {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before.strip_suffix('$').ok_or_else(unclosed)?);
        out.push_str("${");
        rest = after;
    }
    out.push_str(rest);
    Ok(())
}

/// Letters, digits and underscores, not starting with a digit (POSIX, "Environment Variables").
pub(crate) fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn unset(name: &str) -> Mistake {
    Mistake {
        message: format!("the environment variable {name} is not set"),
        hint: format!("set it, or write ${{{name}:-default}}"),
    }
}

fn unclosed() -> Mistake {
    Mistake { message: "${ is never closed".to_owned(), hint: "write ${NAME}, and $${ for a literal ${".to_owned() }
}

fn overdrawn() -> Mistake {
    Mistake {
        message: format!("variables bring in more than {MAX_SUBSTITUTED_BYTES} bytes"),
        hint: "write ${NAME} less often, or shorten its value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(text: &str) -> Result<String, String> {
        let environment = |name: &str| match name {
            "HOST" => Some("example.com".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            _ => None,
        };
        let masked = mask(text).expect("nothing of the mask");
        assert_eq!((masked.chars().count(), &*unmask(&masked)), (text.chars().count(), text));
        Substitution::new(&environment).apply(&masked).map_err(|mistake| mistake.message)
    }

    #[test]
    fn variables_are_replaced_wherever_they_stand() {
        for (text, expected) in [
            ("plain $HOST $ $$ {}", "plain $HOST $ $$ {}"),
            ("https://${HOST}:443/${HOST}", "https://example.com:443/example.com"),
            ("${NONE:-a:-b}${EMPTY:-c}${EMPTY}", "a:-bc"),
            ("${NONE:-}", ""),
            ("$${HOST} $$${HOST}", "${HOST} $${HOST}"),
            ("${NESTED}", "${HOST}"),
        ] {
            assert_eq!(apply(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_told() {
        assert_eq!(apply("${NONE}"), Err("the environment variable NONE is not set".to_owned()));
        assert_eq!(apply("${HOST"), Err("${ is never closed".to_owned()));
        assert_eq!(apply("${}"), Err("${} is no variable".to_owned()));
        assert_eq!(apply("${1A}"), Err("${1A} is no variable".to_owned()));
        assert_eq!(apply("${HOST-x}"), Err("${HOST-x} is no variable".to_owned()));
    }

    #[test]
    fn what_variables_bring_in_is_bounded() {
        let environment = |_: &str| Some("x".repeat(MAX_SUBSTITUTED_BYTES / 2));
        let mut variables = Substitution::new(&environment);
        assert!(variables.apply(&mask("${A}${A}").expect("plain")).is_ok());
        assert_eq!(variables.apply(&mask("${A}").expect("plain")), Err(overdrawn()));
    }
}
