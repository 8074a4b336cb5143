//! Parquet: one row a frame, for tools that count and join.
//!
//! Rows are gathered into groups, and a group is written when it is full; what a reader wants of a file is at its end, so one that
//! was interrupted is none.

mod rows;

use std::fs::File;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use shadowcat_tape::line::decode;

use self::rows::{CONTENT, Group, Row, schema};
use super::content::{Content, Messages};
use super::{Damage, Place, Sink, Written};
use crate::Failure;
use crate::output::count;
use crate::view::Recorded;

/// Who makes the file.
const CREATED_BY: &str = concat!("shadowcatctl ", env!("CARGO_PKG_VERSION"));

pub(super) struct ParquetSink {
    /// Taken when it is finished.
    writer: Option<SerializedFileWriter<File>>,
    group: Group,
    messages: Messages,
    rows: u64,
    damage: Damage,
    not_text: u64,
}

impl ParquetSink {
    pub(super) fn create(place: &Place) -> Result<Self, Failure> {
        let writer = SerializedFileWriter::new(place.file()?, schema(), properties());
        Ok(Self {
            writer: Some(writer.map_err(|why| place.failure(&why))?),
            group: Group::new(),
            messages: Messages::default(),
            rows: 0,
            damage: Damage::default(),
            not_text: 0,
        })
    }

    fn write_group(&mut self) -> Result<(), Failure> {
        let writer = self.writer.as_mut().ok_or_else(|| Failure::failed("the file is finished already"))?;
        self.group.write(writer).map_err(|why| failure(&why))
    }

    /// The message of a record as text. What has no place in a column is counted.
    fn text_of(&mut self, id: &str, content: Content) -> Option<String> {
        match content {
            Content::Message(bytes) => {
                let text = String::from_utf8(bytes).ok();
                self.not_text += u64::from(text.is_none());
                text
            }
            Content::None => None,
            Content::Lost(why) => {
                self.damage.add(|| format!("{id}: {why}"));
                None
            }
        }
    }
}

impl Sink for ParquetSink {
    fn blob(&mut self, hash: &str, content: Vec<u8>) -> Result<(), Failure> {
        self.messages.hold(hash, content);
        Ok(())
    }

    fn record(&mut self, recorded: &Recorded) -> Result<(), Failure> {
        let frame = &recorded.frame;
        let record = match decode(&recorded.line) {
            Ok(record) => record,
            Err(why) => {
                self.damage.add(|| format!("{}: {why}", frame.id));
                return Ok(());
            }
        };
        let message = self.text_of(&frame.id, self.messages.of(&record));
        let row = Row {
            frame,
            text: record.text.as_deref().unwrap_or_default(),
            message: message.as_deref().unwrap_or_default(),
        };
        self.group.push(&row);
        self.rows += 1;
        if self.group.is_full() { self.write_group() } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<Written, Failure> {
        self.write_group()?;
        let writer = self.writer.take().ok_or_else(|| Failure::failed("the file is finished already"))?;
        let file = writer.into_inner().map_err(|why| failure(&why))?;
        file.sync_all().map_err(|why| failure(&why.into()))?;
        let not_text = (self.not_text > 0).then(|| {
            format!("{} no text; a .tape has what they are", are(&count(self.not_text, "message"), self.not_text))
        });
        Ok(Written {
            items: self.rows,
            noun: "record",
            damage: self.damage.told("record").into_iter().collect(),
            left_out: not_text.into_iter().collect(),
        })
    }
}

/// `1 message is`, `2 messages are`.
fn are(many: &str, number: u64) -> String {
    format!("{many} {}", if number == 1 { "is" } else { "are" })
}

fn properties() -> WriterPropertiesPtr {
    let mut properties = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        // Of each group the least and the greatest value, so that a reader passes over most of them; nothing of each page, which would
        // wait in memory for the end of the file.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true);
    for column in CONTENT {
        // Nothing repeats there, and nobody asks for the least message.
        let column = ColumnPath::from(column);
        properties = properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_statistics_enabled(column, EnabledStatistics::None);
    }
    Arc::new(properties.build())
}

fn failure(why: &ParquetError) -> Failure {
    Failure::failed(format!("cannot write the export: {why}"))
}
