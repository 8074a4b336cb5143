//! Records that the writer writes on its own account: heads, clocks, gaps and the end.

use std::time::Duration;

use super::Writer;
use crate::record::{FORMAT_MAJOR, FORMAT_MINOR, Head, Kind, Record};

/// How often the wall clock is written into a segment that is open for longer. Clocks drift apart by milliseconds in
/// that time.
const CLOCK_EVERY: Duration = Duration::from_secs(60);

impl Writer {
    /// The first records of a segment: whose it is, and what time it is.
    pub(super) fn tell_head(&mut self) {
        let clock = self.now.wall.saturating_sub(self.now.micros().saturating_mul(1_000));
        let settings = &self.settings;
        let head = Head {
            format: (FORMAT_MAJOR, FORMAT_MINOR),
            instance: settings.instance.clone().into(),
            segment: self.sequence,
            node: settings.node.clone().into(),
            created_by: settings.created_by.clone().into(),
            clock,
            redaction_key: settings.redaction_key.clone().into(),
            critical: Vec::new(),
        };
        self.tell(Record { k: Kind::Head, head: Some(head), ..Record::default() });
        self.tell_clock();
    }

    pub(super) fn tell_clock_if_due(&mut self) {
        let now = self.now.at;
        let Some(open) = self.open.as_mut().filter(|open| now.saturating_sub(open.clock_at) >= CLOCK_EVERY) else {
            return;
        };
        open.clock_at = now;
        self.tell_clock();
    }

    /// Everything that is missing and not told yet.
    pub(super) fn tell_gaps(&mut self) {
        for gap in self.gaps.take() {
            self.tell(Record { k: Kind::Gap, gap: Some(gap.clone()), ..Record::default() });
            if let Some(open) = &mut self.open {
                open.gaps.push(gap);
            }
        }
    }

    pub(super) fn tell_end(&mut self) {
        self.tell(Record { k: Kind::End, ..Record::default() });
    }

    fn tell_clock(&mut self) {
        let ahead = self.t().saturating_sub(self.now.micros()).saturating_mul(1_000);
        let clock = Some(self.now.wall.saturating_add(ahead));
        self.tell(Record { k: Kind::Clock, clock, ..Record::default() });
    }

    fn tell(&mut self, record: Record<'_>) {
        self.last_t = self.t();
        self.seq += 1;
        let record = Record { seq: self.seq, t: self.last_t, ..record };
        // Names from the configuration are short, and there is nobody to tell of a record about records.
        let _ = self.open.as_mut().map(|open| open.push(&record, None));
    }

    /// Microseconds since the clock began, and never before a record that was written.
    fn t(&self) -> u64 {
        self.now.micros().max(self.last_t)
    }
}
