//! How an answer leaves the program: as a table for people, or as the message itself for programs.
//!
//! JSON and YAML are the proto3 JSON mapping of the admin API's messages, with snake_case names: numbers of 64 bits are strings, and
//! what is empty is left out.

mod age;
mod paint;
mod printer;
mod table;

use std::borrow::Cow;

use serde::Serialize;

pub use age::{Now, age, duration, in_future, moment};
pub use paint::{Paint, Tone};
pub use printer::Printer;
pub use table::{Cell, Facts, Table};

use crate::Failure;

/// What `-o` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// The answer as one JSON document
    Json,
    /// One JSON document a line: one for each item of a list, or for each thing that happens
    Jsonl,
    /// The answer as one YAML document
    Yaml,
}

/// What a page of text depends on beside the answer.
#[derive(Debug, Clone)]
pub struct Page {
    /// Whether colours are shown.
    pub paint: Paint,
    /// What ages count from.
    pub now: Now,
    /// The fleet that was asked about.
    pub fleet: String,
    /// The server that answered.
    pub server: String,
}

/// An answer that can be shown.
pub trait View: Serialize {
    /// For people. Every line ends with a newline.
    fn text(&self, page: &Page) -> String;

    /// For programs that read line by line: each item of a list, or the answer itself.
    ///
    /// # Errors
    /// A value that JSON cannot say, such as a time out of range.
    fn lines(&self) -> Result<Vec<String>, serde_json::Error> {
        Ok(vec![serde_json::to_string(self)?])
    }
}

/// Every item as a line of JSON.
pub(crate) fn each<T: Serialize>(items: &[T]) -> Result<Vec<String>, serde_json::Error> {
    items.iter().map(serde_json::to_string).collect()
}

/// `view` as `format` wants it.
///
/// # Errors
/// A value that the format cannot say.
pub fn render<V: View>(view: &V, format: Format, page: &Page) -> Result<String, Failure> {
    let unsayable = |why: &dyn std::fmt::Display| Failure::failed(format!("cannot print the answer: {why}"));
    match format {
        Format::Table => Ok(view.text(page)),
        Format::Json => serde_json::to_string_pretty(view).map(|json| json + "\n").map_err(|why| unsayable(&why)),
        Format::Jsonl => {
            let lines = view.lines().map_err(|why| unsayable(&why))?;
            Ok(lines.into_iter().map(|line| line + "\n").collect())
        }
        Format::Yaml => yaml(view).map_err(|why| unsayable(&why)),
    }
}

/// YAML in which a long text is one line, as it is everywhere else.
///
/// # Errors
/// A value that YAML cannot say.
pub(crate) fn yaml<T: Serialize>(value: &T) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string_with_options(value, serde_saphyr::ser_options! { prefer_block_scalars: false })
}

/// `text` without control characters: what others wrote must not drive the reader's terminal, nor break a table's lines.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let shown = |character: char| match character {
        '\n' | '\t' | '\r' => ' ',
        other if other.is_control() => char::REPLACEMENT_CHARACTER,
        other => other,
    };
    Cow::Owned(text.chars().map(shown).collect())
}

/// `1 node`, `2 nodes`.
#[must_use]
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
