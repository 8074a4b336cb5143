//! Names, and the references to them.

use std::collections::HashSet;

use super::scope::Scope;
use crate::Name;

/// Checks names, and that none is given twice.
#[derive(Default)]
pub(crate) struct Names<'r>(HashSet<&'r str>);

impl<'r> Names<'r> {
    pub(crate) fn check(&mut self, text: &'r str, scope: &Scope<'_>) -> Option<Name> {
        if text.is_empty() {
            scope.missing("name", "errors, logs and metrics show it");
            return None;
        }
        let name = Name::new(text);
        if name.is_none() {
            scope
                .field("name")
                .error(format!("{text:?} is not a name"), "up to 63 lower-case letters, digits and inner hyphens");
        }
        if !self.0.insert(text) {
            scope.field("name").error(format!("the name {text:?} is taken"), "names are unique among their kind");
        }
        name
    }

    /// Reports a reference to something that is not among the names; `kind` is what it would be.
    pub(crate) fn resolve(&self, name: &str, kind: &str, scope: &Scope<'_>) {
        if !self.0.contains(name) {
            scope.unresolved(kind, name, self.0.iter().copied());
        }
    }
}
