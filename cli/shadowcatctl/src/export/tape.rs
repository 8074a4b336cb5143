//! A tape: every record byte for byte, the messages that are kept apart beside them, and a head wherever another instance goes on.

use std::path::PathBuf;

use shadowcat_tape::line::encode;
use shadowcat_tape::record::{FORMAT_MAJOR, FORMAT_MINOR, Head, Kind, Record};
use shadowcat_tape::tape::{BLOBS, Selection, TapeError, TapeSettings, TapeWriter};

use super::{Damage, Place, Sink, Written};
use crate::Failure;
use crate::view::Recorded;

/// Who makes the tape.
const CREATED_BY: &str = concat!("shadowcatctl ", env!("CARGO_PKG_VERSION"));

const SECOND_NANOSECONDS: i128 = 1_000_000_000;
const MICROSECOND_NANOSECONDS: i128 = 1_000;

pub(super) struct TapeSink {
    /// Taken when it is finished.
    writer: Option<TapeWriter>,
    /// Where messages that are kept apart lie.
    blobs: PathBuf,
    /// Whose records were written last: the node, and its instance. Two nodes may claim one.
    source: (String, String),
    records: u64,
    damaged: Damage,
    changed: Damage,
    missing: Damage,
}

impl TapeSink {
    pub(super) fn create(place: &Place) -> Result<Self, Failure> {
        let settings =
            TapeSettings { created_by: CREATED_BY.to_owned(), selection: Selection::Some, ..TapeSettings::default() };
        let writer = TapeWriter::create(place.partial(), settings).map_err(|why| place.failure(&why))?;
        Ok(Self {
            writer: Some(writer),
            blobs: place.partial().join(BLOBS),
            source: (String::new(), String::new()),
            records: 0,
            damaged: Damage::default(),
            changed: Damage::default(),
            missing: Damage::default(),
        })
    }

    /// Counts a record whose message did not come: the record is on the tape, and what it says is not.
    fn check_message(&mut self, recorded: &Recorded) {
        let Ok(record) = serde_json::from_slice::<Record<'_>>(&recorded.line) else { return };
        let Some(blob) = record.blob else { return };
        // The hash names a file here: nothing else may be looked for.
        let is_hash = !blob.hash.is_empty() && blob.hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hash || !self.blobs.join(blob.hash.as_ref()).exists() {
            self.missing.add(|| format!("that of {} did not come", recorded.frame.id));
        }
    }

    fn writer(&mut self) -> Result<&mut TapeWriter, Failure> {
        self.writer.as_mut().ok_or_else(|| Failure::failed("the tape is finished already"))
    }

    /// Says whose records follow, where the records do not say it themselves: without a head a record has no node and no time of day.
    fn head(&mut self, recorded: &Recorded) -> Result<(), Failure> {
        let frame = &recorded.frame;
        let source = (frame.node.clone(), frame.instance.clone());
        if frame.instance.is_empty() || source == self.source {
            return Ok(());
        }
        let Ok(record) = serde_json::from_slice::<Record<'_>>(&recorded.line) else { return Ok(()) };
        self.source = source;
        if record.k == Kind::Head {
            return Ok(());
        }
        let at = frame.at.unwrap_or_default();
        let at = i128::from(at.seconds) * SECOND_NANOSECONDS + i128::from(at.nanos);
        let clock = u64::try_from(at - i128::from(record.t) * MICROSECOND_NANOSECONDS).unwrap_or(0);
        let head = Head {
            format: (FORMAT_MAJOR, FORMAT_MINOR),
            instance: frame.instance.as_str().into(),
            node: frame.node.as_str().into(),
            created_by: CREATED_BY.into(),
            clock,
            ..Head::default()
        };
        let seq = record.seq.saturating_sub(1);
        let mut line = Vec::new();
        encode(&Record { k: Kind::Head, seq, t: record.t, head: Some(head), ..Record::default() }, &mut line);
        self.writer()?.append(&line).map_err(|why| failure(&why))
    }
}

impl Sink for TapeSink {
    fn blob(&mut self, hash: &str, content: Vec<u8>) -> Result<(), Failure> {
        let kept = self.writer()?.add_blob(&content).map_err(|why| failure(&why))?;
        if kept != hash {
            self.changed.add(|| format!("{hash} came with the content of {kept}"));
        }
        Ok(())
    }

    fn record(&mut self, recorded: &Recorded) -> Result<(), Failure> {
        self.head(recorded)?;
        match self.writer()?.append(&recorded.line) {
            Ok(()) => {
                self.records += 1;
                self.check_message(recorded);
            }
            Err(TapeError::Line(why)) => self.damaged.add(|| format!("{}: {why}", recorded.frame.id)),
            Err(why) => return Err(failure(&why)),
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Written, Failure> {
        let writer = self.writer.take().ok_or_else(|| Failure::failed("the tape is finished already"))?;
        writer.finish().map_err(|why| failure(&why))?;
        let damage = [self.damaged.told("record"), self.changed.told("message"), self.missing.told("message")];
        Ok(Written {
            items: self.records,
            noun: "record",
            damage: damage.into_iter().flatten().collect(),
            left_out: Vec::new(),
        })
    }
}

fn failure(why: &TapeError) -> Failure {
    Failure::failed(format!("cannot write the export: {why}"))
}
