//! Recorded traffic as a conversation: what was asked, and folded under it what came of it.
//!
//! Invariants:
//! - Everything here is hostile: no character of a record reaches the page unless it is seen and stays in its line.
//! - No record is left out silently: one that cannot be read is a line that says so, and what is cut says how much.
//! - Lines are in the order of the records; only what belongs to an operation moves up to it.

mod body;
mod entry;
mod head;
mod text;

use std::collections::HashMap;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use shadowcat_proto::admin::v1::{Frame, TapeRecord};

use self::entry::{Depth, Scribe};
use crate::Failure;
use crate::output::{Page, View, each, unsayable, yaml};

/// A record with what the index says of it.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// What the index says.
    pub frame: Frame,
    /// The line of the record, without its end.
    pub line: Vec<u8>,
}

impl From<TapeRecord> for Recorded {
    fn from(record: TapeRecord) -> Self {
        Self { frame: record.frame.unwrap_or_default(), line: record.line }
    }
}

/// Messages that are kept apart, by the BLAKE3 of their bytes in hexadecimal.
pub type Blobs = HashMap<String, Vec<u8>>;

/// How records are put one below the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// By operation: a request, and under it everything that belongs to it.
    Operations,
    /// Each for itself, in order.
    Frames,
}

/// The records of a tape or a call, oldest first.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// The records.
    pub records: Vec<Recorded>,
    /// Messages that they refer to. One that is not here is told by its size.
    pub blobs: Blobs,
    /// What brings the messages that are not here, as in "`tapes export`".
    pub cure: &'static str,
    /// How they are shown.
    pub layout: Layout,
}

impl View for Conversation {
    fn text(&self, page: &Page) -> String {
        let Some(first) = self.records.first() else { return String::new() };
        let scribe = Scribe { page, blobs: &self.blobs, cure: self.cure, begin: first.frame.at };
        let mut text = head::head(self, page);
        for group in self.groups() {
            for (index, recorded) in group.iter().enumerate() {
                let depth = if index == 0 { Depth::Opening } else { Depth::Within(&group[0].frame) };
                scribe.entry(recorded, depth, self.layout, &mut text);
            }
        }
        text
    }

    fn lines(&self) -> Result<Vec<String>, serde_json::Error> {
        each(&self.records)
    }

    fn document(&self) -> Result<String, Failure> {
        plain_document(self)
    }
}

/// YAML of something with records in it: they are verbatim JSON, which is not a thing that YAML knows.
fn plain_document<T: Serialize>(value: &T) -> Result<String, Failure> {
    let plain = serde_json::to_value(value).map_err(|why| unsayable(&why))?;
    yaml(&plain).map_err(|why| unsayable(&why))
}

impl Conversation {
    /// What stands together, in the order in which it began.
    fn groups(&self) -> Vec<Vec<&Recorded>> {
        let mut groups: Vec<Vec<&Recorded>> = Vec::new();
        let mut operations: HashMap<&str, usize> = HashMap::new();
        for recorded in &self.records {
            let Frame { id, operation, .. } = &recorded.frame;
            let key = if operation.is_empty() { id } else { operation };
            match operations.get(key.as_str()) {
                Some(group) => groups[*group].push(recorded),
                None => {
                    if self.layout == Layout::Operations && !key.is_empty() {
                        operations.insert(key, groups.len());
                    }
                    groups.push(vec![recorded]);
                }
            }
        }
        groups
    }
}

impl Serialize for Conversation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Conversation", 1)?;
        fields.serialize_field("frames", &self.records)?;
        fields.end()
    }
}

/// The frame, and in `record` the line as it is; in `line`, as text, if it is no JSON.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    frame: &'a Frame,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<String>,
}

impl Serialize for Recorded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = serde_json::from_slice(&self.line).ok();
        let line = record.is_none().then(|| String::from_utf8_lossy(&self.line).into_owned());
        Told { frame: &self.frame, record, line }.serialize(serializer)
    }
}

/// One record, for who follows what happens.
impl View for Recorded {
    fn text(&self, page: &Page) -> String {
        self.frame.text(page)
    }

    fn document(&self) -> Result<String, Failure> {
        plain_document(self)
    }
}
