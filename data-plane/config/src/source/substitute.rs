//! `${NAME}` and `${NAME:-default}` from the environment.
//!
//! A variable is replaced inside one scalar, after YAML was read: whatever its value holds, quotes, colons or line ends, it stays that one
//! value. The default stands in where the variable is unset or empty, as in a shell; it holds no `}`. `$${` is a literal `${`; any other `$` is
//! itself. What a variable brings in is not searched again.

use std::borrow::Cow;

use super::Environment;
use crate::limits::MAX_SUBSTITUTED_BYTES;

/// What is wrong with one `${…}`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// The variables of one file, and how much they may still bring in.
pub(crate) struct Substitution<'e> {
    environment: Environment<'e>,
    budget: usize,
}

impl<'e> Substitution<'e> {
    pub(crate) fn new(environment: Environment<'e>) -> Self {
        Self {
            environment,
            budget: MAX_SUBSTITUTED_BYTES,
        }
    }

    /// `text` with its variables replaced.
    pub(crate) fn apply<'t>(&mut self, text: &'t str) -> Result<Cow<'t, str>, Mistake> {
        if !text.contains("${") {
            return Ok(Cow::Borrowed(text));
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            out.push_str(&rest[..dollar]);
            rest = &rest[dollar..];
            if let Some(literal) = rest.strip_prefix("$${") {
                out.push_str("${");
                rest = literal;
            } else if let Some(reference) = rest.strip_prefix("${") {
                let (body, after) = reference.split_once('}').ok_or_else(unclosed)?;
                out.push_str(&self.value(body)?);
                rest = after;
            } else {
                out.push('$');
                rest = &rest[1..];
            }
        }
        out.push_str(rest);
        Ok(Cow::Owned(out))
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
            Some(default) => value
                .filter(|value| !value.is_empty())
                .unwrap_or_else(|| default.to_owned()),
            None => value.ok_or_else(|| unset(name))?,
        };
        self.budget = self.budget.checked_sub(value.len()).ok_or_else(overdrawn)?;
        Ok(value)
    }
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
    Mistake {
        message: "${ is never closed".to_owned(),
        hint: "write ${NAME}, and $${ for a literal ${".to_owned(),
    }
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
        Substitution::new(&environment)
            .apply(text)
            .map(Cow::into_owned)
            .map_err(|mistake| mistake.message)
    }

    #[test]
    fn variables_are_replaced_wherever_they_stand() {
        for (text, expected) in [
            ("plain $HOST $ $$ {}", "plain $HOST $ $$ {}"),
            (
                "https://${HOST}:443/${HOST}",
                "https://example.com:443/example.com",
            ),
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
        assert_eq!(
            apply("${NONE}"),
            Err("the environment variable NONE is not set".to_owned())
        );
        assert_eq!(apply("${HOST"), Err("${ is never closed".to_owned()));
        assert_eq!(apply("${}"), Err("${} is no variable".to_owned()));
        assert_eq!(apply("${1A}"), Err("${1A} is no variable".to_owned()));
        assert_eq!(
            apply("${HOST-x}"),
            Err("${HOST-x} is no variable".to_owned())
        );
    }

    #[test]
    fn what_variables_bring_in_is_bounded() {
        let environment = |_: &str| Some("x".repeat(MAX_SUBSTITUTED_BYTES / 2));
        let mut variables = Substitution::new(&environment);
        assert!(variables.apply("${A}${A}").is_ok());
        assert_eq!(variables.apply("${A}"), Err(overdrawn()));
    }
}
