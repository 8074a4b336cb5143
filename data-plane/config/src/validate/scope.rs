//! Where a check is, and where it reports to.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::not_yet;
use crate::defaults::ANY_DURATION;
use crate::duration::{self, Bounds};
use crate::limits::MAX_DIAGNOSTICS;
use crate::quantity::{self, RATE_FORM, SIZE_FORM};
use crate::suggest::did_you_mean;
use crate::{Diagnostic, FieldPath, Step};

/// References for which a like name is looked for. Each is compared with every name of its kind, which takes 10 ms with
/// a thousand of them; and whoever misspelt more than these has one cause for all.
const MAX_SUGGESTIONS: usize = 64;

/// Everything that checks have found so far, up to a bound: what is beyond it is counted.
#[derive(Default)]
pub(crate) struct Findings {
    kept: RefCell<Vec<Diagnostic>>,
    beyond: Cell<usize>,
    suggested: Cell<usize>,
}

impl Findings {
    pub(crate) fn into_vec(self) -> Vec<Diagnostic> {
        let mut kept = self.kept.into_inner();
        let beyond = self.beyond.get();
        if beyond > 0 {
            let message = format!("{} of {} mistakes are told", kept.len(), kept.len() + beyond);
            kept.push(Diagnostic::new(FieldPath::default(), message).hint("mend these first"));
        }
        kept
    }

    fn is_full(&self) -> bool {
        self.kept.borrow().len() >= MAX_DIAGNOSTICS
    }

    fn add(&self, diagnostic: Diagnostic) {
        if self.is_full() {
            self.beyond.set(self.beyond.get() + 1);
        } else {
            self.kept.borrow_mut().push(diagnostic);
        }
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

    /// Reports a reference to a `kind` of thing that is not there, and what may have been meant.
    pub(crate) fn unresolved<'c>(&self, kind: &str, name: &str, known: impl IntoIterator<Item = &'c str>) {
        let suggested = self.findings.suggested.get();
        self.findings.suggested.set(suggested + 1);
        let hint = if suggested < MAX_SUGGESTIONS { did_you_mean(name, known) } else { None };
        let diagnostic = Diagnostic::new(self.steps().into(), format!("no {kind} named {name:?}"));
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

    /// Reports those of its fields that are there and that this version does not act on: the name of the field, whether
    /// it is there, and what it would be. They are told where the field begins, not where its value does.
    pub(crate) fn not_yet_fields<const N: usize>(&self, fields: [(&'static str, bool, &str); N]) {
        for (name, present, what) in fields {
            if present {
                let path = self.field(name).steps().into();
                self.report(Diagnostic::new(path, not_yet::message(what)).hint(not_yet::HINT).of_the_whole_field());
            }
        }
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

    /// Checks a duration that nothing acts on yet: only that it is one.
    pub(crate) fn duration_form(&self, name: &'static str, raw: Option<&str>) {
        self.duration(name, raw, &ANY_DURATION);
    }

    /// Reads an optional size, in bytes. A wrong one is reported and read as none.
    pub(crate) fn size(&self, name: &'static str, raw: Option<&str>) -> Option<u64> {
        let text = raw?;
        let size = quantity::size(text);
        if size.is_none() {
            self.field(name).error(format!("{text:?} is not a size"), SIZE_FORM);
        }
        size
    }

    /// Checks a rate that nothing acts on yet.
    pub(crate) fn rate(&self, name: &'static str, text: &str) {
        if text.is_empty() {
            self.missing(name, RATE_FORM);
        } else if quantity::rate(text).is_none() {
            self.field(name).error(format!("{text:?} is not a rate"), RATE_FORM);
        }
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
        self.findings.add(diagnostic);
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
