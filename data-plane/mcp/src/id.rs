//! Ids of requests and progress tokens: strings or integers (2025-11-25, "Overview", requests; "Progress").

use std::fmt;

use crate::json::{MAX_DEPTH, Scanner, text};

/// An id as it stands in a message: its JSON text, to be echoed byte for byte.
#[derive(Debug, Clone, Copy)]
pub struct Id<'a> {
    json: &'a str,
}

impl<'a> Id<'a> {
    /// An id whose text a scanner has checked.
    pub(crate) fn checked(json: &'a str) -> Self {
        Self { json }
    }

    /// Reads JSON text; `None` unless it is one string or integer.
    #[must_use]
    pub fn from_json(json: &'a str) -> Option<Self> {
        let mut scanner = Scanner::new(json, MAX_DEPTH);
        let span = scanner.id().ok()??;
        scanner.end().ok()?;
        Some(Self { json: scanner.slice(span) })
    }

    /// The JSON text, quotes included.
    #[must_use]
    pub fn as_json(self) -> &'a str {
        self.json
    }

    /// The id by value, as a key that outlives the message.
    #[must_use]
    pub fn to_owned(self) -> RequestId {
        RequestId(match self.json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            None if self.json == "-0" => Value::Number("0".into()),
            None => Value::Number(self.json.into()),
            // Half a surrogate pair was refused when the id was read, so the fallback is never taken.
            Some(inside) => Value::String(text::unescape(inside).unwrap_or_default().into()),
        })
    }
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.json)
    }
}

/// An id by value: `"a"` and `"\u0061"` are equal, `1` and `"1"` are not. Integers of any size keep their digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Value);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Value {
    String(Box<str>),
    Number(Box<str>),
}

impl RequestId {
    /// The JSON text of the id. Equal ids have equal texts.
    #[must_use]
    pub fn to_json(&self) -> String {
        match &self.0 {
            Value::Number(digits) => digits.to_string(),
            Value::String(text) => {
                let mut json = String::with_capacity(text.len() + 2);
                text::quote(&mut json, text);
                json
            }
        }
    }
}

impl From<u64> for RequestId {
    fn from(number: u64) -> Self {
        Self(Value::Number(number.to_string().into()))
    }
}

impl From<&str> for RequestId {
    fn from(text: &str) -> Self {
        Self(Value::String(text.into()))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

#[cfg(test)]
mod tests {
    use super::{Id, RequestId};

    fn owned(json: &str) -> RequestId {
        Id::from_json(json).expect(json).to_owned()
    }

    #[test]
    fn ids_are_equal_by_value_and_not_by_spelling() {
        assert_eq!(owned(r#""a""#), owned(r#""\u0061""#));
        assert_eq!(owned("0"), owned("-0"));
        assert_eq!(owned("7"), RequestId::from(7));
        assert_eq!(owned(r#""7""#), RequestId::from("7"));
        assert_ne!(owned("7"), owned(r#""7""#));
        assert_ne!(owned("9007199254740992"), owned("9007199254740993"));
    }

    #[test]
    fn an_owned_id_writes_json_that_reads_back_as_itself() {
        for json in [r#""""#, r#""a\"b\\c\n\u0001é😀""#, r#""\ud83d\ude00""#, "-12", "18446744073709551616"] {
            assert_eq!(owned(&owned(json).to_json()), owned(json));
        }
    }

    #[test]
    fn only_strings_and_integers_are_ids() {
        for json in ["null", "true", "1.0", "1e3", "[]", "{}", "", "1 2", r#""\ud83d""#] {
            assert!(Id::from_json(json).is_none(), "{json}");
        }
    }
}
