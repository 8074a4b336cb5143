//! Making a whole segment of an open one whose writer died.
//!
//! Every record that is intact stays as it is, byte for byte. What is not is replaced by a `gap` record that takes the
//! `seq` of one that was lost, so that no `seq` stands for two records.

use crate::line;
use crate::record::{FORMAT_MAJOR, FORMAT_MINOR, Gap, Head, Kind, Record};
use crate::segment::{Contents, Found, Line, Refused, Scan, SegmentId, Summary};

/// Said in the `gap` of a crash.
const CRASH: &str = "the instance ended without a word: up to 2 s of records before that may be missing here";

/// Said in the head of a segment whose own was lost.
const HEADLESS: &str = "the head of this segment was lost: node, key and clock are not known for certain";

/// Where a segment stands among those of its instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The instance went on after it.
    Earlier,
    /// Nothing follows.
    Last,
}

/// A segment that can be sealed.
#[derive(Debug, Default)]
pub(super) struct Mended {
    pub(super) plain: Vec<u8>,
    pub(super) contents: Contents,
    /// What was found before mending.
    pub(super) found: Summary,
    /// Bytes of corrupt ranges that wait for a `gap`.
    corrupt: u64,
}

/// Reads an open segment and writes it anew. Without a single record in it, `contents.records` is 0.
pub(super) fn mend(id: &SegmentId, plain: &[u8], standing: Standing) -> Result<Mended, Refused> {
    let mut mended = Mended::default();
    let mut torn = 0;
    let mut scan = Scan::new(plain);
    for found in scan.by_ref() {
        match found? {
            Found::Corrupt { at, .. } => mended.corrupt += at.len() as u64,
            Found::Torn { at, .. } => torn = at.len() as u64,
            Found::Record(line) => {
                if mended.contents.records == 0 && line.record.head.is_none() {
                    mended.begin(id, &line.record, plain);
                }
                mended.take(&line);
            }
        }
    }
    mended.found = scan.summary().clone();
    if mended.contents.records > 0 {
        mended.finish(torn, standing);
    }
    Ok(mended)
}

impl Mended {
    /// Takes over a record, after the gap that precedes it.
    fn take(&mut self, line: &Line<'_>) {
        let hole = line.record.seq.saturating_sub(self.contents.last_seq).saturating_sub(1);
        if self.corrupt > 0 && hole > 0 && self.contents.records > 0 {
            self.tell_corrupt(Some(hole));
        }
        self.plain.extend_from_slice(line.bytes);
        let mut bytes = line.bytes.len();
        if !line.bytes.ends_with(b"\n") {
            self.plain.push(b'\n');
            bytes += 1;
        }
        self.contents.add(&line.record, bytes);
    }

    /// Writes a head in the place of the one that was lost.
    fn begin(&mut self, id: &SegmentId, first: &Record<'_>, plain: &[u8]) {
        if first.seq < 2 {
            return;
        }
        let head = Head {
            format: (FORMAT_MAJOR, FORMAT_MINOR),
            instance: id.instance.as_str().into(),
            segment: id.sequence,
            clock: clock_in(plain),
            ..Head::default()
        };
        let (k, seq, t) = (Kind::Head, first.seq - 1, first.t);
        self.push(&Record { k, seq, t, head: Some(head), text: Some(HEADLESS.into()), ..Record::default() });
    }

    /// Tells what is missing at the end. After a segment that others follow, a `seq` is free only if its record was
    /// lost.
    fn finish(&mut self, torn: u64, standing: Standing) {
        if self.corrupt > 0 && standing == Standing::Last {
            self.tell_corrupt(None);
        }
        let crashed = standing == Standing::Last && !self.found.has_ended;
        if torn > 0 || crashed {
            let gap = Gap { why: "crash".into(), bytes: Some(torn).filter(|torn| *torn > 0), ..Gap::default() };
            self.push_gap(gap, CRASH);
        }
    }

    fn tell_corrupt(&mut self, frames: Option<u64>) {
        let gap = Gap { why: "corrupt".into(), frames, bytes: Some(self.corrupt), ..Gap::default() };
        self.corrupt = 0;
        self.push_gap(gap, "these bytes failed their checksums when the node started again");
    }

    fn push_gap(&mut self, gap: Gap<'_>, text: &str) {
        let (k, seq, t) = (Kind::Gap, self.contents.last_seq + 1, self.contents.t1);
        self.push(&Record { k, seq, t, gap: Some(gap), text: Some(text.into()), ..Record::default() });
    }

    fn push(&mut self, record: &Record<'_>) {
        let before = self.plain.len();
        line::encode(record, &mut self.plain);
        self.contents.add(record, self.plain.len() - before);
    }
}

/// When the instance's clock began, by the first `clock` record; 0 without one.
fn clock_in(plain: &[u8]) -> u64 {
    let clocks = Scan::new(plain).flatten().filter_map(|found| match found {
        Found::Record(Line { record: Record { clock: Some(clock), t, .. }, .. }) => Some((clock, t)),
        _ => None,
    });
    clocks.into_iter().next().map_or(0, |(clock, t)| clock.saturating_sub(t.saturating_mul(1_000)))
}
