//! What redaction promises, over tables of secrets and of innocents, and over arbitrary input.

mod corpus;
mod innocent;
mod paths;
mod places;
mod properties;
mod stream;

use super::{RedactionKey, Redactor, Rules};

/// A redactor with the built-in rules.
pub(super) fn redactor() -> Redactor {
    with(&Rules::default())
}

/// A redactor with these rules.
pub(super) fn with(rules: &Rules) -> Redactor {
    Redactor::new(rules, &RedactionKey::from([7; 32])).expect("the rules of a test are sound")
}

/// A message as it would be written.
pub(super) fn cleaned(redactor: &Redactor, body: &str) -> String {
    String::from_utf8(redactor.message(body.as_bytes()).bytes.into_owned()).expect("redaction keeps UTF-8")
}
