//! Lines of JSON: every record as it was written.

use std::fs::File;
use std::io::{BufWriter, Write};

use shadowcat_tape::line::decode;

use super::{Damage, Place, Sink, Written};
use crate::Failure;
use crate::output::{bytes, count};
use crate::view::Recorded;

pub(super) struct JsonlSink {
    file: BufWriter<File>,
    records: u64,
    damage: Damage,
    apart: u64,
    apart_bytes: u64,
}

impl JsonlSink {
    pub(super) fn create(place: &Place) -> Result<Self, Failure> {
        let file = BufWriter::new(place.file()?);
        Ok(Self { file, records: 0, damage: Damage::default(), apart: 0, apart_bytes: 0 })
    }
}

impl Sink for JsonlSink {
    /// They have no place between lines, and nobody asks for them.
    fn blob(&mut self, _: &str, _: Vec<u8>) -> Result<(), Failure> {
        Ok(())
    }

    fn record(&mut self, recorded: &Recorded) -> Result<(), Failure> {
        match decode(&recorded.line) {
            Ok(record) => {
                self.apart += u64::from(record.blob.is_some());
                self.apart_bytes += record.blob.map_or(0, |blob| blob.bytes);
            }
            Err(why) => {
                self.damage.add(|| format!("{}: {why}", recorded.frame.id));
                return Ok(());
            }
        }
        self.records += 1;
        let line = recorded.line.strip_suffix(b"\n").unwrap_or(&recorded.line);
        let written = self.file.write_all(line).and_then(|()| self.file.write_all(b"\n"));
        written.map_err(|why| Failure::failed(format!("cannot write the export: {why}")))
    }

    fn finish(&mut self) -> Result<Written, Failure> {
        let durable = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        durable.map_err(|why| Failure::failed(format!("cannot write the export: {why}")))?;
        let apart = (self.apart > 0).then(|| {
            let messages = count(self.apart, "message");
            format!("{messages} of {} kept apart from their records; a .tape has them", bytes(self.apart_bytes))
        });
        Ok(Written {
            items: self.records,
            noun: "record",
            damage: self.damage.told("record").into_iter().collect(),
            left_out: apart.into_iter().collect(),
        })
    }
}
