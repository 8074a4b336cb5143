//! Whether a frame's content is meant.

use shadowcat_expr::{Expr, Name};

use super::facts::{Content, Known};
use crate::tapes::index::{FoundFrame, What};

/// What is asked of a frame beside what the index answers.
pub(crate) struct Judge {
    /// In lower case, as it is and as JSON may have it; empty if no text is looked for.
    texts: Vec<String>,
    expr: Option<Expr>,
    what: What,
}

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Meant,
    Not,
    /// The expression failed on it, or its content, or that of the request that it answers, is not there.
    Unjudged,
}

impl Judge {
    pub(super) fn new(text: &str, expr: Option<Expr>) -> Self {
        Self { texts: spellings(text), expr, what: What::Frames }
    }

    /// The same judge of these.
    pub(super) fn of(self, what: What) -> Self {
        Self { what, ..self }
    }

    /// Whether anything is asked that the index does not answer.
    pub(crate) fn is_idle(&self) -> bool {
        self.texts.is_empty() && self.expr.is_none()
    }

    /// Whether a frame's record is needed.
    pub(crate) fn needs_content(&self) -> bool {
        let beyond = |expr: &Expr| expr.uses().iter().any(|name| !is_indexed(*name));
        !self.texts.is_empty() || self.expr.as_ref().is_some_and(beyond)
    }

    /// Whether the request is needed to judge an answer. A call has said what its request and its answer say.
    pub(crate) fn needs_request(&self) -> bool {
        let of_request = |name: &Name| matches!(name, Name::Args | Name::Meta);
        (self.what == What::Calls && !self.texts.is_empty())
            || self.expr.as_ref().is_some_and(|expr| expr.uses().iter().any(of_request))
    }

    /// Whether this field of a selection was said.
    pub(super) fn asks(&self, field: &str) -> bool {
        match field {
            "text" => !self.texts.is_empty(),
            _ => self.expr.is_some(),
        }
    }

    /// Judges a frame by what is known of it.
    pub(crate) fn judge(&self, frame: &FoundFrame, content: Option<&Content<'_>>) -> Verdict {
        if !self.texts.is_empty() {
            let Some(content) = content else { return Verdict::Unjudged };
            let has = |said: &str| {
                let said = said.to_lowercase();
                self.texts.iter().any(|text| said.contains(text))
            };
            let is_said = has(&content.text()) || (self.what == What::Calls && has(&content.asked()));
            if !is_said {
                return Verdict::Not;
            }
        }
        let Some(expr) = &self.expr else { return Verdict::Meant };
        match expr.holds(&Known { frame, content }) {
            Ok(true) => Verdict::Meant,
            Ok(false) => Verdict::Not,
            Err(_) => Verdict::Unjudged,
        }
    }
}

/// A text in lower case, as it stands in a line of text, in JSON, and in JSON that is all ASCII (RFC 8259, section 7).
fn spellings(text: &str) -> Vec<String> {
    let plain = text.to_lowercase();
    let quoted = serde_json::to_string(&plain).unwrap_or_default();
    let json = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    let ascii = json.chars().fold(String::new(), |mut ascii, char| {
        if char.is_ascii() {
            ascii.push(char);
        } else {
            ascii.extend(char.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
        ascii
    });
    let mut spellings = vec![ascii, json.to_owned(), plain];
    spellings.dedup();
    spellings.retain(|spelling| !spelling.is_empty());
    spellings
}

/// Whether the index knows it.
fn is_indexed(name: Name) -> bool {
    matches!(
        name,
        Name::Method
            | Name::Tool
            | Name::Resource
            | Name::Prompt
            | Name::Version
            | Name::Session
            | Name::Route
            | Name::Upstream
            | Name::Subject
            | Name::Now
            | Name::ErrorCode
            | Name::Outcome
            | Name::Latency
            | Name::Node
            | Name::Trace
            | Name::Time
            | Name::Size
            | Name::Direction
            | Name::ConfigVersion
            | Name::Era
    )
}
