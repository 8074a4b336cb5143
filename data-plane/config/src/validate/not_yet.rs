//! The words for what the schema has and this version does not act on. A person who writes it learns that at once, by
//! name, and so does a program that sends it: it is refused wherever it comes from.
//!
//! A refusal leaves the validator when its field is acted on; a test here fails for a field of the schema that is
//! neither acted on nor refused.

/// The sentence for every refusal of this kind.
pub(crate) fn message(what: &str) -> String {
    format!("this version does not act on {what} yet")
}

/// The cure for every refusal of this kind.
pub(crate) const HINT: &str = "remove it: what would be ignored is refused";

#[cfg(test)]
mod tests;
