//! What is not in a spool, and whether the recording itself says so.

use shadowcat_tape::record::Gap;
use shadowcat_tape::segment::SegmentId;
use shadowcat_tape::tape::{PROBLEMS_MAX, Problem, Report};

use super::{problem, tell};

/// Segments between two that are there.
#[derive(Debug)]
struct Absent {
    instance: String,
    first: u64,
    last: u64,
    /// Records that were in them, once the next one is read.
    records: Option<u64>,
}

/// What is missing of all instances of a spool. Beyond [`PROBLEMS_MAX`] of a kind nothing is kept but their number.
#[derive(Debug, Default)]
pub(super) struct Gone {
    absent: Vec<Absent>,
    /// Segments that a `gap` says were dropped.
    dropped: Vec<(String, u64, u64)>,
    /// Holes within the instance that is read, and how many records they are.
    holes: Vec<Problem>,
    hole_records: u64,
    /// Frames of it that `gap` records say were lost on their own.
    told: u64,
}

impl Gone {
    /// Segments of an instance that are not there.
    pub(super) fn segments(&mut self, instance: &str, first: u64, last: u64) {
        if self.absent.len() < PROBLEMS_MAX {
            self.absent.push(Absent { instance: instance.to_owned(), first, last, records: None });
        }
    }

    /// Records that were in the segments told last.
    pub(super) fn records_of_segments(&mut self, records: u64) {
        if let Some(absent) = self.absent.last_mut() {
            absent.records = Some(records);
        }
    }

    /// Records that are missing where segments follow each other.
    pub(super) fn hole(&mut self, records: u64, place: Problem) {
        self.hole_records = self.hole_records.saturating_add(records);
        if self.holes.len() < PROBLEMS_MAX {
            self.holes.push(place);
        }
    }

    /// What the recording itself says is missing.
    pub(super) fn gap(&mut self, gap: &Gap<'_>, instance: &str) {
        let instance = gap.instance.as_deref().unwrap_or(instance);
        match gap.segments {
            // What is no instance was dropped by nobody.
            Some((first, last)) if self.dropped.len() < PROBLEMS_MAX && SegmentId::new(instance, first).is_ok() => {
                self.dropped.push((instance.to_owned(), first, last));
            }
            Some(_) => {}
            None => self.told = self.told.saturating_add(gap.frames.unwrap_or(0)),
        }
    }

    /// An instance ends. A record that could not be written has its place in the order all the same, and a `gap` that
    /// comes later counts it: what all of them count is no damage.
    pub(super) fn settle(&mut self, report: &mut Report) {
        if self.hole_records > self.told {
            report.summary.missing = report.summary.missing.saturating_add(self.hole_records);
            self.holes.drain(..).for_each(|hole| tell(report, hole));
        }
        self.holes.clear();
        (self.hole_records, self.told) = (0, 0);
    }

    /// Everything is read.
    pub(super) fn finish(mut self, report: &mut Report) {
        self.dropped.sort_unstable();
        for absent in &self.absent {
            let Some(first) = self.untold(absent) else { continue };
            let Absent { instance, last, records, .. } = absent;
            let many = records.map_or_else(|| "its records".to_owned(), |records| format!("{records} records"));
            let which = if first == *last { format!("segment {first}") } else { format!("segments {first} to {last}") };
            report.summary.missing = report.summary.missing.saturating_add(records.unwrap_or(0));
            let what = format!(
                "not here, although what was before and after is: {many} are lost, unless it was shipped first"
            );
            tell(report, problem(format!("{which} of {instance}"), what));
        }
    }

    /// The first of some segments of which no `gap` tells.
    fn untold(&self, absent: &Absent) -> Option<u64> {
        let mut next = absent.first;
        for (instance, first, last) in &self.dropped {
            if *instance == absent.instance && (*first..=*last).contains(&next) {
                next = last.saturating_add(1);
            }
        }
        (next <= absent.last).then_some(next)
    }
}
