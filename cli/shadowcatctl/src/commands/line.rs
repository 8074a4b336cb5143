//! What is said beside the answers, on standard error.

use std::io::{IsTerminal, Write};

use crate::output::{Format, clean};

/// Goes to the line's beginning and clears it.
const CLEAR_LINE: &str = "\r\u{1b}[K";

/// One line on standard error that is written over, where somebody looks at a terminal.
pub(super) struct Line {
    seen: bool,
    drawn: bool,
}

impl Line {
    /// For a command whose answers have this format: whoever reads others than tables is a program.
    pub(super) fn new(format: Format) -> Self {
        Self { seen: format == Format::Table && std::io::stderr().is_terminal(), drawn: false }
    }

    /// Shows `text` in place of what it showed before.
    pub(super) fn draw(&mut self, text: &str) {
        if self.seen {
            self.drawn = true;
            put(&format!("{CLEAR_LINE}{text}"));
        }
    }

    /// Shows nothing any more.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            put(CLEAR_LINE);
        }
    }
}

/// Says a sentence of which the answer itself is free.
pub(super) fn note(sentence: &str) {
    put(&format!("{}\n", clean(sentence)));
}

/// Asks a question that is answered with yes or no. Everything but a yes is a no, the end of the input too.
pub(super) async fn ask(question: &str) -> bool {
    put(&format!("{} [y/N] ", clean(question)));
    let read = || {
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map(|_| answer)
    };
    // On a thread of its own: the connection has to be kept up while somebody thinks.
    let answer = tokio::task::spawn_blocking(read).await;
    let answer = answer.ok().and_then(Result::ok).unwrap_or_default();
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// What cannot be shown here changes nothing.
fn put(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
