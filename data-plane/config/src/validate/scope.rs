//! Where a check is, and where it reports to.

use std::cell::RefCell;
use std::time::Duration;

use crate::duration::{self, Bounds};
use crate::source::not_yet;
use crate::{Diagnostic, Step};

/// Everything that checks have found so far.
#[derive(Default)]
pub(crate) struct Findings(RefCell<Vec<Diagnostic>>);

impl Findings {
    pub(crate) fn into_vec(self) -> Vec<Diagnostic> {
        self.0.into_inner()
    }
}

/// A place in the configuration. A child borrows its parent, so that a path costs nothing until there is a mistake to
/// report.
pub(crate) struct Scope<'a> {
    findings: &'a Findings,
    parent: Option<(&'a Scope<'a>, Place)>,
}

#[derive(Clone, Copy)]
enum Place {
    Field(&'static str),
    Item(usize),
}

impl<'a> Scope<'a> {
    pub(crate) fn top(findings: &'a Findings) -> Self {
        Self { findings, parent: None }
    }

    pub(crate) fn field(&self, name: &'static str) -> Scope<'_> {
        Scope { findings: self.findings, parent: Some((self, Place::Field(name))) }
    }

    pub(crate) fn item(&self, index: usize) -> Scope<'_> {
        Scope { findings: self.findings, parent: Some((self, Place::Item(index))) }
    }

    /// Reports a mistake and what to do about it.
    pub(crate) fn error(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.report(Diagnostic::new(self.steps().into(), message).hint(hint));
    }

    /// Reports a mistake, with a hint if there is one to give.
    pub(crate) fn error_maybe(&self, message: impl Into<String>, hint: Option<String>) {
        let diagnostic = Diagnostic::new(self.steps().into(), message);
        self.report(Diagnostic { hint, ..diagnostic });
    }

    /// Reports that `field` is missing. It is told of this scope, since the field itself is nowhere in the file.
    pub(crate) fn missing(&self, field: &str, hint: impl Into<String>) {
        self.error(format!("{field} is missing"), hint);
    }

    /// Reports what this version does not act on.
    pub(crate) fn not_yet(&self, what: &str) {
        self.error(not_yet::message(what), not_yet::HINT);
    }

    /// Whether a list of `count` is within `limit`; reports it otherwise.
    pub(crate) fn within(&self, count: usize, limit: usize) -> bool {
        if count > limit {
            self.error(format!("{count} items are too many"), format!("at most {limit}"));
        }
        count <= limit
    }

    /// Reads an optional duration. A wrong one is reported and read as the default, since nothing will come of the
    /// configuration.
    pub(crate) fn duration(&self, name: &'static str, raw: Option<&str>, bounds: &Bounds) -> Duration {
        let Some(text) = raw else {
            return bounds.default;
        };
        let range = || format!("from {} to {}", duration::print(bounds.min), duration::print(bounds.max));
        match duration::parse(text) {
            Ok(duration) if (bounds.min..=bounds.max).contains(&duration) => return duration,
            Ok(_) | Err(duration::Invalid::Overflow) => {
                self.field(name).error(format!("{text} is out of range"), range());
            }
            Err(duration::Invalid::Form) => self.field(name).error(
                format!("{text:?} is not a duration"),
                "write a whole number and ms, s, m or h, as in 250ms or 30s",
            ),
        }
        bounds.default
    }

    /// Reads an optional count from 1 to `max`. A wrong one is reported and read as the default.
    pub(crate) fn count(&self, name: &'static str, raw: Option<u32>, max: u32, default: u32) -> u32 {
        match raw {
            None => default,
            Some(count) if (1..=max).contains(&count) => count,
            Some(count) => {
                self.field(name).error(format!("{count} is out of range"), format!("from 1 to {max}"));
                default
            }
        }
    }

    /// Checks each item of a list in its own scope. `None` if any could not be made.
    pub(crate) fn each<'r, R, T>(
        &self,
        raw: &'r [R],
        mut check: impl FnMut(&'r R, &Scope<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let made: Vec<Option<T>> = raw.iter().enumerate().map(|(index, raw)| check(raw, &self.item(index))).collect();
        made.into_iter().collect()
    }

    fn report(&self, diagnostic: Diagnostic) {
        self.findings.0.borrow_mut().push(diagnostic);
    }

    fn steps(&self) -> Vec<Step> {
        let Some((parent, place)) = self.parent else {
            return Vec::new();
        };
        let mut steps = parent.steps();
        steps.push(match place {
            Place::Field(name) => Step::Field(name.into()),
            Place::Item(index) => Step::Item(index),
        });
        steps
    }
}

/// Checks a part that may be absent: `None` if it is there and could not be made, `Some(None)` if it is absent.
#[expect(clippy::option_option, reason = "the two absences are different: the outer one was reported")]
pub(crate) fn optional<R, T>(raw: Option<R>, check: impl FnOnce(R) -> Option<T>) -> Option<Option<T>> {
    match raw {
        None => Some(None),
        Some(raw) => check(raw).map(Some),
    }
}
