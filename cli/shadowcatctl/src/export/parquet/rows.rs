//! Rows by column, until there are enough to be written.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as PhysicalType};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::Result;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};
use shadowcat_proto::admin::v1::Frame;

/// Rows of a group. What a row has beside its message is about half a KiB, most of it shared with the row before.
const ROWS_MAX: usize = 16 * 1024;

/// Bytes of text of a group, a message more or less: what an export holds in memory, beside the messages that are kept apart.
const BYTES_MAX: usize = 32 * 1024 * 1024;

const SECOND_MICROSECONDS: i64 = 1_000_000;
const MICROSECOND_NANOSECONDS: i32 = 1_000;

/// Columns that hold what was said.
pub(super) const CONTENT: [&str; 2] = ["text", "message"];

/// What stands in a row.
pub(super) struct Row<'a> {
    pub(super) frame: &'a Frame,
    /// What is no message, as a line of a child's stderr; empty if there is none.
    pub(super) text: &'a str,
    /// Empty if there is none.
    pub(super) message: &'a str,
}

/// Where a column has its values from. What is empty or absent is null.
#[derive(Clone, Copy)]
enum From {
    Text(for<'r> fn(&'r Row<'r>) -> &'r str),
    Number(fn(&Row<'_>) -> Option<i64>),
    /// The time of the frame.
    Time,
}

/// The columns, with the names that the index has.
const COLUMNS: [(&str, From); 25] = [
    ("id", From::Text(|row| &row.frame.id)),
    ("time", From::Time),
    ("node", From::Text(|row| &row.frame.node)),
    ("instance", From::Text(|row| &row.frame.instance)),
    ("seq", From::Number(|row| number(row.frame.sequence))),
    ("tape", From::Text(|row| &row.frame.tape)),
    ("operation", From::Text(|row| &row.frame.operation)),
    ("kind", From::Text(|row| &row.frame.kind)),
    ("direction", From::Text(|row| &row.frame.direction)),
    ("method", From::Text(|row| &row.frame.method)),
    ("name", From::Text(|row| &row.frame.name)),
    ("outcome", From::Text(|row| &row.frame.outcome)),
    ("code", From::Number(|row| Some(row.frame.code).filter(|code| *code != 0))),
    ("latency_us", From::Number(|row| row.frame.latency_us.and_then(number))),
    ("size", From::Number(|row| number(row.frame.size))),
    ("route", From::Text(|row| &row.frame.route)),
    ("upstream", From::Text(|row| &row.frame.upstream)),
    ("endpoint", From::Text(|row| &row.frame.endpoint)),
    ("session", From::Text(|row| &row.frame.session)),
    ("principal", From::Text(|row| &row.frame.principal)),
    ("trace", From::Text(|row| &row.frame.trace)),
    ("era", From::Text(|row| &row.frame.era)),
    ("config_version", From::Number(|row| number(row.frame.config_version).filter(|version| *version != 0))),
    (CONTENT[0], From::Text(|row| row.text)),
    (CONTENT[1], From::Text(|row| row.message)),
];

/// Readers know no unsigned numbers for certain.
fn number(number: u64) -> Option<i64> {
    i64::try_from(number).ok()
}

fn time(frame: &Frame) -> Option<i64> {
    let at = frame.at.as_ref()?;
    at.seconds.checked_mul(SECOND_MICROSECONDS)?.checked_add(i64::from(at.nanos / MICROSECOND_NANOSECONDS))
}

/// What the file says of its columns.
pub(super) fn schema() -> TypePtr {
    let columns = COLUMNS.iter().map(|(name, from)| {
        let (physical, logical) = match from {
            From::Text(_) => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
            From::Number(_) => (PhysicalType::INT64, None),
            From::Time => (PhysicalType::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        };
        let column = Type::primitive_type_builder(name, physical).with_logical_type(logical);
        Arc::new(column.with_repetition(Repetition::OPTIONAL).build().expect("the columns are sound"))
    });
    let frames = Type::group_type_builder("frames").with_fields(columns.collect());
    Arc::new(frames.build().expect("the columns are sound"))
}

/// The values of a column, and which rows have one.
#[derive(Debug)]
struct Column {
    values: Values,
    present: Vec<i16>,
}

#[derive(Debug)]
enum Values {
    Texts(Vec<ByteArray>),
    Numbers(Vec<i64>),
}

/// Rows that wait to be written.
#[derive(Debug)]
pub(super) struct Group {
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

impl Group {
    pub(super) fn new() -> Self {
        let columns = COLUMNS.iter().map(|(_, from)| {
            let values = match from {
                From::Text(_) => Values::Texts(Vec::new()),
                From::Number(_) | From::Time => Values::Numbers(Vec::new()),
            };
            Column { values, present: Vec::new() }
        });
        Self { columns: columns.collect(), rows: 0, bytes: 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows >= ROWS_MAX || self.bytes >= BYTES_MAX
    }

    pub(super) fn push(&mut self, row: &Row<'_>) {
        for ((_, from), column) in COLUMNS.iter().zip(&mut self.columns) {
            match from {
                From::Text(of) => self.bytes += column.push_text(of(row)),
                From::Number(of) => column.push_number(of(row)),
                From::Time => column.push_number(time(row.frame)),
            }
        }
        self.rows += 1;
    }

    /// Writes the rows, if there are any, and holds none any more.
    pub(super) fn write<W: Write + Send>(&mut self, writer: &mut SerializedFileWriter<W>) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = writer.next_row_group()?;
        for column in &mut self.columns {
            let Some(mut writer) = group.next_column()? else { break };
            let present = std::mem::take(&mut column.present);
            match &mut column.values {
                Values::Texts(texts) => {
                    writer.typed::<ByteArrayType>().write_batch(&std::mem::take(texts), Some(&present), None)?
                }
                Values::Numbers(numbers) => {
                    writer.typed::<Int64Type>().write_batch(&std::mem::take(numbers), Some(&present), None)?
                }
            };
            writer.close()?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl Column {
    /// Adds a text; the bytes it takes. One that was there in the row before is shared.
    fn push_text(&mut self, text: &str) -> usize {
        self.present.push(i16::from(!text.is_empty()));
        let Values::Texts(texts) = &mut self.values else { return 0 };
        match texts.last() {
            _ if text.is_empty() => 0,
            Some(last) if last.data() == text.as_bytes() => {
                texts.push(last.clone());
                0
            }
            _ => {
                texts.push(ByteArray::from(text));
                text.len()
            }
        }
    }

    fn push_number(&mut self, number: Option<i64>) {
        self.present.push(i16::from(number.is_some()));
        if let Values::Numbers(numbers) = &mut self.values {
            numbers.extend(number);
        }
    }
}
