//! Where in a configuration something is, as a person writes it: `routes[0].targets[1].upstream`.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::str::FromStr;

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Into the field of this name.
    Field(Cow<'static, str>),
    /// Into the item at this index, from 0.
    Item(usize),
}

/// No field of the schema has a name half as long; of one that somebody made up, no more is shown.
const MAX_SHOWN_CHARACTERS: usize = 80;

/// Steps from the top of the document; none at all is the document itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct FieldPath(Vec<Step>);

impl FieldPath {
    /// The steps, outermost first.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }
}

impl From<Vec<Step>> for FieldPath {
    fn from(steps: Vec<Step>) -> Self {
        Self(steps)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) => {
                    f.write_str(if depth == 0 { "" } else { "." })?;
                    show(name, f)?;
                }
                Step::Item(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Writes a name that may be anything: where it is read, nothing in it may act.
fn show(name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut characters = name.chars();
    for c in characters.by_ref().take(MAX_SHOWN_CHARACTERS) {
        if c.is_control() { write!(f, "{}", c.escape_default())? } else { f.write_char(c)? }
    }
    f.write_str(if characters.as_str().is_empty() { "" } else { "…" })
}

/// Why a text is no [`FieldPath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a path: write it as in routes[0].targets[1].upstream")]
pub struct InvalidFieldPath;

impl FromStr for FieldPath {
    type Err = InvalidFieldPath;

    /// Reads what `Display` prints of a path of the schema. Nothing is the document itself.
    fn from_str(text: &str) -> Result<Self, InvalidFieldPath> {
        let mut steps = Vec::new();
        for part in text.split('.').filter(|_| !text.is_empty()) {
            let (name, items) = part.find('[').map_or((part, ""), |bracket| part.split_at(bracket));
            if name.is_empty() {
                return Err(InvalidFieldPath);
            }
            steps.push(Step::Field(name.to_owned().into()));
            let mut rest = items;
            while !rest.is_empty() {
                let item = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
                let (index, after) = item.ok_or(InvalidFieldPath)?;
                steps.push(Step::Item(index.parse().map_err(|_| InvalidFieldPath)?));
                rest = after;
            }
        }
        Ok(Self(steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_somebody_made_up_do_nothing_where_they_are_shown() {
        let path = |name: String| FieldPath::from(vec![Step::Field(name.into())]).to_string();
        assert_eq!(path("a\u{1b}[31m\n".to_owned()), "a\\u{1b}[31m\\n");
        assert_eq!(path("a".repeat(1000)), "a".repeat(80) + "…");
    }

    #[test]
    fn a_path_is_read_as_it_is_printed() {
        for text in ["", "routes", "routes[0]", "routes[12].targets[1].upstream", "a[0][1].b"] {
            assert_eq!(text.parse::<FieldPath>().expect(text).to_string(), text);
        }
        for text in [".", "a.", "[0]", "a[", "a[]", "a[x]", "a[0]b", "a[-1]"] {
            assert_eq!(text.parse::<FieldPath>(), Err(InvalidFieldPath), "{text:?}");
        }
    }
}
