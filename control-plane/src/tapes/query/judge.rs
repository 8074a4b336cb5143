//! Whether a frame's content is meant.

use shadowcat_expr::{Expr, Name};

use super::facts::{Content, Known};
use crate::tapes::index::FoundFrame;

/// What is asked of a frame beside what the index answers.
pub(crate) struct Judge {
    /// In lower case; empty if no text is looked for.
    text: String,
    expr: Option<Expr>,
}

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Meant,
    Not,
    /// The expression failed on it, or its content is not there.
    Unjudged,
}

impl Judge {
    pub(super) fn new(text: &str, expr: Option<Expr>) -> Self {
        Self { text: text.to_lowercase(), expr }
    }

    /// Whether anything is asked that the index does not answer.
    pub(crate) fn is_idle(&self) -> bool {
        self.text.is_empty() && self.expr.is_none()
    }

    /// Whether a frame's record is needed.
    pub(crate) fn needs_content(&self) -> bool {
        let beyond = |expr: &Expr| expr.uses().iter().any(|name| !is_indexed(*name));
        !self.text.is_empty() || self.expr.as_ref().is_some_and(beyond)
    }

    /// Whether the request is needed to judge an answer.
    pub(crate) fn needs_request(&self) -> bool {
        let of_request = |name: &Name| matches!(name, Name::Args | Name::Meta);
        self.expr.as_ref().is_some_and(|expr| expr.uses().iter().any(of_request))
    }

    /// Whether this field of a selection was said.
    pub(super) fn asks(&self, field: &str) -> bool {
        match field {
            "text" => !self.text.is_empty(),
            _ => self.expr.is_some(),
        }
    }

    /// Judges a frame by what is known of it.
    pub(crate) fn judge(&self, frame: &FoundFrame, content: Option<&Content<'_>>) -> Verdict {
        if !self.text.is_empty() {
            let Some(content) = content else { return Verdict::Unjudged };
            if !content.text().to_lowercase().contains(&self.text) {
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
