//! What is wrong with a configuration: every mistake at once, each where it is and with what to do about it.

use std::fmt;
use std::sync::Arc;

use crate::FieldPath;

/// Messages quote what was written; more of it than this helps nobody to find it.
const MAX_MESSAGE_BYTES: usize = 400;

/// A place in a file, both counted from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The field it is about; it exists in the document. What is missing is told of the message that lacks it.
    pub path: FieldPath,
    /// What is wrong, lower case and without a final dot.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The file it is in, when the configuration came from one.
    pub origin: Option<Arc<str>>,
    /// Where the field is, when the configuration came as text.
    pub position: Option<Position>,
    /// What of the field is at the position.
    pub(crate) told_at: ToldAt,
}

/// What a person is pointed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToldAt {
    /// The value, because it is wrong.
    Value,
    /// The name, because the whole field is.
    Name,
}

impl Diagnostic {
    pub(crate) fn new(path: FieldPath, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > MAX_MESSAGE_BYTES {
            message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
            message.push('…');
        }
        if message.contains(char::is_control) {
            // What was written may be meant for the terminal of whoever reads this.
            message = message.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        }
        Self { path, message, hint: None, origin: None, position: None, told_at: ToldAt::Value }
    }

    pub(crate) fn at(mut self, position: Position) -> Self {
        self.position = Some(position);
        self
    }

    pub(crate) fn of_the_whole_field(mut self) -> Self {
        self.told_at = ToldAt::Name;
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.steps().is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Every mistake of one configuration, in the order of its files. Never empty.
///
/// Printed, it is one line each: `fleet.yaml:12:7: routes[0].targets[0].upstream: no upstream named "filez" (did you
/// mean "files"?)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    entries: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Mistakes of one text, which is called `origin`.
    pub(crate) fn new(origin: &str, mut entries: Vec<Diagnostic>) -> Self {
        entries.sort_by_key(|diagnostic| diagnostic.position);
        let origin = (!origin.is_empty()).then(|| Arc::from(origin));
        for entry in &mut entries {
            entry.origin.clone_from(&origin);
        }
        Self { entries }
    }

    /// Mistakes as they are: those of a message have no origin, those of several files know theirs.
    pub(crate) fn as_told(entries: Vec<Diagnostic>) -> Self {
        Self { entries }
    }

    /// The mistakes.
    #[must_use]
    pub fn entries(&self) -> &[Diagnostic] {
        &self.entries
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.entries.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            if let Some(origin) = &diagnostic.origin {
                f.write_str(origin)?;
                if let Some(Position { line, column }) = diagnostic.position {
                    write!(f, ":{line}:{column}")?;
                }
                f.write_str(": ")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
