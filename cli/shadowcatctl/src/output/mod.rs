//! How an answer leaves the program: as a table for people, or as the message itself for programs.
//!
//! JSON and YAML are the proto3 JSON mapping of the admin API's messages, with snake_case names: numbers of 64 bits are strings, and
//! what is empty is left out.

mod age;
mod amount;
mod paint;
mod printer;
mod safe;
mod table;

use serde::Serialize;

pub use age::{Now, age, duration, in_future, instant, moment};
pub use amount::{bytes, count, latency, per_second, share, size};
pub use paint::{Paint, Tone};
pub use printer::Printer;
pub use safe::{clean, cut, drives, escaped, inert_json};
pub use table::{Cell, Facts, Rows, Table};

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
    /// Columns of the terminal, or what is usual.
    pub width: usize,
    /// The fleet that was asked about.
    pub fleet: String,
    /// The server that answered.
    pub server: String,
}

/// An answer that can be shown.
pub trait View: Serialize + Sized {
    /// For people. Every line ends with a newline.
    fn text(&self, page: &Page) -> String;

    /// For programs that read line by line: each item of a list, or the answer itself.
    ///
    /// # Errors
    /// A value that JSON cannot say, such as a time out of range.
    fn lines(&self) -> Result<Vec<String>, serde_json::Error> {
        Ok(vec![serde_json::to_string(self)?])
    }

    /// As one YAML document.
    ///
    /// # Errors
    /// A value that YAML cannot say.
    fn document(&self) -> Result<String, Failure> {
        yaml(self).map_err(|why| unsayable(&why))
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
    match format {
        Format::Table => Ok(view.text(page)),
        Format::Json => {
            let json = serde_json::to_string_pretty(view).map_err(|why| unsayable(&why))?;
            Ok(inert_json(&json).into_owned() + "\n")
        }
        Format::Jsonl => {
            let lines = view.lines().map_err(|why| unsayable(&why))?;
            Ok(lines.into_iter().map(|line| inert_json(&line).into_owned() + "\n").collect())
        }
        Format::Yaml => {
            let yaml = view.document()?;
            // YAML says plainly what would drive a terminal; JSON, which is YAML too, does not have to.
            if yaml.contains(|character| drives(character) && character != '\n') {
                return render(view, Format::Json, page);
            }
            Ok(yaml)
        }
    }
}

/// Why an answer cannot be printed.
pub(crate) fn unsayable(why: &dyn std::fmt::Display) -> Failure {
    Failure::failed(format!("cannot print the answer: {why}"))
}

/// YAML in which a long text is one line, as it is everywhere else.
///
/// # Errors
/// A value that YAML cannot say.
pub(crate) fn yaml<T: Serialize>(value: &T) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string_with_options(value, serde_saphyr::ser_options! { prefer_block_scalars: false })
}
