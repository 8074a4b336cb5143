//! Colours, where somebody sees them.

use std::io::IsTerminal;

/// What a piece of text means, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Nothing in particular.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Worth a look.
    Warning,
    /// Wrong.
    Bad,
    /// Of less interest: headings.
    Faint,
}

/// Whether colours are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Never.
    Plain,
    /// As ANSI escape sequences.
    Colour,
}

impl Paint {
    /// Colours if `stream` is a terminal, unless `NO_COLOR` is set (<https://no-color.org>) or the terminal is dumb.
    #[must_use]
    pub fn suited_to(stream: &impl IsTerminal) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        if stream.is_terminal() && !unwanted && !dumb { Self::Colour } else { Self::Plain }
    }

    /// `text` in the colour of `tone`.
    #[must_use]
    pub fn apply(self, tone: Tone, text: &str) -> String {
        let code = match (self, tone) {
            (Self::Plain, _) | (_, Tone::Plain) => return text.to_owned(),
            (_, Tone::Good) => "32",
            (_, Tone::Warning) => "33",
            (_, Tone::Bad) => "31",
            (_, Tone::Faint) => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}
