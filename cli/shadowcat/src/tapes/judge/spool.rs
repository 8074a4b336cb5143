//! Judging a spool. It may be in use: what is being written is no damage, and neither is what was shipped.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use shadowcat_tape::line;
use shadowcat_tape::record::Record;
use shadowcat_tape::segment::{Line, SegmentId, Summary};
use shadowcat_tape::spool::set_aside_of;
use shadowcat_tape::tape::{PROBLEMS_MAX, Problem, Report};
use shadowcatctl_cli::output::cut;

use super::super::files::{message, words};
use super::super::parts::Part;
use super::super::place::entries;
use super::super::{Event, Origin, Place, Tally, Unusable, read};
use super::gone::Gone;
use super::{Judgement, State, problem, tell};

/// How long an open segment is not written before its writer counts as dead: thirty times what one is open at most.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

/// Characters of a gap's reason: some words by the format, and whatever somebody wrote there.
const WHY_CHARACTERS: usize = 100;

/// What is said of a file that a node could not read.
const SET_ASIDE: &str = "the node could not read it and set it aside: what it holds counts as lost";

pub(super) fn judge(place: &Place, now: SystemTime) -> Result<Judgement, Unusable> {
    let mut walk = Walk::new(place, now);
    let refusals = read(place, &mut |event| {
        walk.event(event);
        ControlFlow::Continue(())
    })?;
    walk.gone.settle(&mut walk.report);
    walk.gone.finish(&mut walk.report);
    for name in entries(&place.path)?.into_iter().filter(|name| set_aside_of(name).is_some()) {
        tell(&mut walk.report, problem(name, SET_ASIDE));
    }
    let Walk { tally, report, remarks, .. } = walk;
    let state = match report.is_ok() {
        _ if refusals > 0 => State::Newer,
        true if walk.is_open => State::Open,
        true => State::Whole,
        false => State::Damaged,
    };
    Ok(Judgement { place: place.clone(), state, tally, stored_bytes: 0, report, remarks })
}

struct Walk<'a> {
    place: &'a Place,
    now: SystemTime,
    report: Report,
    tally: Tally,
    remarks: Vec<String>,
    gone: Gone,
    /// The segment that is read.
    segment: Option<SegmentId>,
    file: String,
    /// The last record of its instance.
    seq: Option<u64>,
    /// Whether segments are missing right before it.
    follows_gap: bool,
    /// Messages that are kept apart for it and were looked at.
    messages: BTreeSet<String>,
    is_open: bool,
}

impl<'a> Walk<'a> {
    fn new(place: &'a Place, now: SystemTime) -> Self {
        Self {
            place,
            now,
            report: Report::default(),
            tally: Tally::default(),
            remarks: Vec::new(),
            gone: Gone::default(),
            segment: None,
            file: String::new(),
            seq: None,
            follows_gap: false,
            messages: BTreeSet::new(),
            is_open: false,
        }
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Begin { part, file } => self.begin(part, file),
            Event::Gone(part) => self.shipped(part),
            Event::Record(line, origin) => self.record(line, origin),
            Event::Problem(problem) | Event::Refused(problem) => tell(&mut self.report, problem),
            Event::Unfinished(problem) => self.unfinished(problem),
            Event::End(summary) => self.end(summary),
        }
    }

    fn begin(&mut self, part: &Part, file: &str) {
        file.clone_into(&mut self.file);
        self.messages.clear();
        self.enter(part);
        if file == part.open_name() {
            self.is_open = true;
            if part.is_last && self.is_abandoned() {
                self.remarks.push(format!(
                    "{file} was never sealed: its recorder died, and up to 2 s of what it recorded may be missing behind it; \
                     the next start mends it"
                ));
            }
        }
    }

    /// Its records are not known, so nothing before the next ones is known to be missing.
    fn shipped(&mut self, part: &Part) {
        self.enter(part);
        (self.seq, self.follows_gap) = (None, false);
    }

    fn enter(&mut self, part: &Part) {
        let Some(segment) = &part.segment else { return };
        match self.segment.replace(segment.clone()) {
            Some(before) if before.instance == segment.instance => self.between(&before, segment),
            _ => {
                self.gone.settle(&mut self.report);
                self.seq = None;
            }
        }
    }

    /// What is not there between two segments of an instance. It may have got its name while the directory was listed.
    fn between(&mut self, before: &SegmentId, segment: &SegmentId) {
        let (first, last) = (before.sequence.saturating_add(1), segment.sequence.saturating_sub(1));
        let there =
            |id: &SegmentId| [id.sealed_name(), id.open_name()].iter().any(|name| self.place.path.join(name).exists());
        let came = first == last && there(&SegmentId { sequence: first, ..segment.clone() });
        if first <= last && !came {
            self.follows_gap = true;
            self.gone.segments(&segment.instance, first, last);
        } else if came {
            // Its records are not known, so nothing is known to be missing.
            self.seq = None;
        }
    }

    fn record(&mut self, line: &Line<'_>, origin: &Origin) {
        let record = &line.record;
        self.tally.add(record, origin);
        let place = Some(line.at..line.at + line.bytes.len());
        let follows_gap = std::mem::take(&mut self.follows_gap);
        if let Some(last) = self.seq {
            let missing = record.seq.saturating_sub(last).saturating_sub(1);
            let at = |what| Problem { file: self.file.clone(), at: place, what };
            if record.seq <= last {
                self.report.summary.disordered += 1;
                let what = format!("record {} stands behind record {last}", record.seq);
                tell(&mut self.report, at(what));
            } else if follows_gap {
                self.gone.records_of_segments(missing);
            } else if missing > 0 {
                let what = format!("{missing} records before record {} are missing", record.seq);
                self.gone.hole(missing, at(what));
            }
        }
        self.seq = self.seq.max(Some(record.seq));
        if let Some(gap) = &record.gap {
            self.gone.gap(gap, &origin.instance);
            if self.report.gaps.len() < PROBLEMS_MAX {
                self.report.gaps.push((record.seq, cut(&gap.why, WHY_CHARACTERS).into_owned(), gap.frames));
            } else {
                self.report.untold += 1;
            }
        }
        self.message(record);
    }

    /// Whether the message of a record is there.
    fn message(&mut self, record: &Record<'_>) {
        let found = match &record.blob {
            Some(blob) if !self.messages.insert(blob.hash.to_string()) => return,
            Some(blob) => message(self.place, self.segment.as_ref(), &blob.hash),
            None => line::message(record).map(|_| Vec::new()).map_err(|why| io::Error::other(why.to_string())),
        };
        match found {
            Ok(_) => self.report.blobs += u64::from(record.blob.is_some()),
            // It goes with its segment when that is shipped.
            Err(why) if why.kind() == io::ErrorKind::NotFound && !self.is_there() => {}
            Err(why) => {
                let what = match &record.blob {
                    Some(blob) => format!("the message of record {}, {}: {}", record.seq, blob.hash, words(&why)),
                    None => format!("the message of record {}: {}", record.seq, words(&why)),
                };
                tell(&mut self.report, Problem { file: self.file.clone(), at: None, what });
            }
        }
    }

    fn is_there(&self) -> bool {
        let names = self.segment.iter().flat_map(|segment| [segment.sealed_name(), segment.open_name()]);
        names.into_iter().any(|name| self.place.path.join(name).exists())
    }

    /// The end of an open segment: what is being written now, or what was when its writer died.
    fn unfinished(&mut self, problem: Problem) {
        if self.is_abandoned() {
            let what = format!("{}; its writer died, and this is lost", problem.what);
            tell(&mut self.report, Problem { what, ..problem });
        }
    }

    fn is_abandoned(&self) -> bool {
        let modified = fs::metadata(self.place.path.join(&self.file)).and_then(|file| file.modified());
        modified.is_ok_and(|at| self.now.duration_since(at).is_ok_and(|age| age >= ABANDONED_AFTER))
    }

    fn end(&mut self, read: &Summary) {
        self.report.segments += 1;
        let sum = &mut self.report.summary;
        sum.records += read.records;
        sum.frames += read.frames;
        sum.corrupt_ranges += read.corrupt_ranges;
        sum.corrupt_bytes += read.corrupt_bytes;
        sum.torn_bytes += read.torn_bytes;
        sum.gaps += read.gaps;
        sum.gap_frames = sum.gap_frames.saturating_add(read.gap_frames);
        sum.heads += read.heads;
    }
}
