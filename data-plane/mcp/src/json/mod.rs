//! As much JSON (RFC 8259) as a gateway needs: one validating pass that remembers where things are, and string escapes.

mod object;
mod scalar;
mod scanner;
pub(crate) mod text;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use scanner::{MAX_DEPTH, Scanner, Span, Text};
