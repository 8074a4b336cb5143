//! Standard output of the program.

use std::io::{ErrorKind, IsTerminal, Write};

use rustix::termios::tcgetwinsize;

use super::{Format, Now, Page, Paint, View, inert_json, render};
use crate::Failure;

/// Clears the screen and goes to its first line: a table is drawn anew where the last one was.
const CLEAR_SCREEN: &str = "\u{1b}[H\u{1b}[2J";

/// Columns where nobody says how many there are: what most terminals and reviews of files have room for.
const DEFAULT_WIDTH: usize = 100;

/// Prints answers to standard output.
#[derive(Debug, Clone)]
pub struct Printer {
    format: Format,
    paint: Paint,
}

impl Printer {
    /// A printer for this process's standard output.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, paint: Paint::suited_to(&std::io::stdout()) }
    }

    /// The format that was asked for.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// What a page about `fleet` at `server` depends on, now.
    #[must_use]
    pub fn page(&self, fleet: &str, server: &str) -> Page {
        Page { paint: self.paint, now: Now::read(), width: width(), fleet: fleet.to_owned(), server: server.to_owned() }
    }

    /// Whether the items of a long answer are printed as they come: for who looks at a terminal, and who reads line by line.
    #[must_use]
    pub fn at_once(&self) -> bool {
        match self.format {
            Format::Table => std::io::stdout().is_terminal(),
            Format::Jsonl => true,
            Format::Json | Format::Yaml => false,
        }
    }

    /// Prints an answer.
    ///
    /// # Errors
    /// The answer cannot be said in this format, or standard output cannot be written.
    pub fn show<V: View>(&self, view: &V, page: &Page) -> Result<(), Failure> {
        self.write(&render(view, self.format, page)?)
    }

    /// Prints an answer in place of the one before: tables on a terminal replace each other, YAML documents are kept apart.
    ///
    /// # Errors
    /// As [`Printer::show`].
    pub fn redraw<V: View>(&self, view: &V, page: &Page) -> Result<(), Failure> {
        let text = render(view, self.format, page)?;
        self.write(&self.in_place(&text))
    }

    /// Prints a sentence in place of an answer that did not come.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn redraw_notice(&self, notice: &str) -> Result<(), Failure> {
        if self.format == Format::Table {
            return self.write(&self.in_place(notice));
        }
        // Programs read only answers; people who watch them see standard error.
        let _ = std::io::stderr().lock().write_all(notice.as_bytes());
        Ok(())
    }

    fn in_place(&self, text: &str) -> String {
        match self.format {
            Format::Table if std::io::stdout().is_terminal() => format!("{CLEAR_SCREEN}{text}"),
            Format::Table => format!("{text}\n"),
            Format::Yaml => format!("---\n{text}"),
            Format::Json | Format::Jsonl => text.to_owned(),
        }
    }

    /// Prints a sentence for people; programs that asked for another format do not want it.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn say(&self, sentence: &str) -> Result<(), Failure> {
        if self.format == Format::Table { self.write(&format!("{sentence}\n")) } else { Ok(()) }
    }

    /// Prints `text` as it is.
    ///
    /// # Errors
    /// Standard output cannot be written; [`Failure::nobody_reads`] if its reader has gone.
    pub fn write(&self, text: &str) -> Result<(), Failure> {
        put(text.as_bytes())
    }

    /// Prints a recorded line of JSON: byte for byte for a program, and for a person who looks at a terminal as the same JSON with
    /// an escape for each character that would drive it.
    ///
    /// # Errors
    /// As [`Printer::write`].
    pub fn write_line(&self, line: &[u8]) -> Result<(), Failure> {
        if std::io::stdout().is_terminal() {
            let text = String::from_utf8_lossy(line);
            return put(format!("{}\n", inert_json(&text).replace(['\r', '\n', '\t'], " ")).as_bytes());
        }
        put(&[line, b"\n"].concat())
    }
}

fn put(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|why| match why.kind() {
        ErrorKind::BrokenPipe => Failure::nobody_reads(),
        _ => Failure::failed(format!("cannot write to standard output: {why}")),
    })
}

/// Columns of the terminal, if it is one.
fn width() -> usize {
    let columns = tcgetwinsize(std::io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 { DEFAULT_WIDTH } else { columns }
}
