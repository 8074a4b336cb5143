//! What is wrong with an expression's text: the place, the mistake and the cure.

use std::fmt;

/// Longer text is no misspelt name, and the comparison is quadratic in its length.
const MAX_WRITTEN_BYTES: usize = 128;

/// Why a text is no expression. Displays as `1:9: no member "subjct" in principal (did you mean "subject"?)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.what)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Mistake {}

impl Mistake {
    /// A mistake at the byte `offset` of `source`.
    pub(crate) fn at(source: &str, offset: usize, what: impl Into<String>) -> Self {
        let mut line = 1;
        let mut column = 1;
        for (_, character) in source.char_indices().take_while(|(at, _)| *at < offset) {
            if character == '\n' {
                line += 1;
                column = 1;
            } else {
                column += 1;
            }
        }
        Self { line, column, what: what.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn hint_if(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }
}

/// The hint that names the candidate which a typing mistake turned into `written`, if there is one.
pub(crate) fn did_you_mean<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    if written.len() > MAX_WRITTEN_BYTES {
        return None;
    }
    let written = written.to_lowercase();
    // One mistake in three letters: more than that is another word, and a wrong hint is worse than none.
    let tolerated = (written.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&written, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= tolerated)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| format!("did you mean {candidate:?}?"))
}
