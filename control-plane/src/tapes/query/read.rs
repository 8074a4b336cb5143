//! The records of a selection, whole: tape by tape, each in the order of its recording.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use shadowcat_proto::admin::v1::read_tapes_response::Kind;
use shadowcat_proto::admin::v1::{BlobContent, ReadEnd, ReadTapesResponse, TapeRecord};
use shadowcat_tape::record::Record;
use tokio::sync::mpsc;
use tonic::Status;

use super::facts::Content;
use super::judge::Verdict;
use super::segments::Segments;
use super::selection::Selected;
use super::told;
use crate::store::StoreError;
use crate::tapes::Tapes;
use crate::tapes::index::{FoundFrame, FoundTape};

/// Records of one answer unless asked otherwise.
pub(crate) const RECORDS_DEFAULT: u64 = 1_000_000;

/// Tapes that are listed at once.
const TAPES_PAGE: u32 = 100;

/// Frames that are looked up at once.
const FRAMES_PAGE: u32 = 1_000;

/// Frames of a tape that are put in the order of time across the boots that recorded it. A longer tape is told boot by boot.
const MERGED_MAX: usize = 20_000;

/// What could not be read that is told; the rest is counted.
const DAMAGE_MAX: usize = 100;

/// Messages that are kept apart and were told: of more, some are told again.
const MESSAGES_TOLD_MAX: usize = 65_536;

/// Where records go.
pub(crate) type Records = mpsc::Sender<Result<ReadTapesResponse, Status>>;

/// Whether messages that are kept apart are told too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Messages {
    Told,
    LeftOut,
}

struct Reading<'a> {
    tapes: &'a Tapes,
    selected: &'a Selected,
    segments: Segments<'a>,
    records: &'a Records,
    messages: Messages,
    left: u64,
    read: u64,
    unjudged: u64,
    damage: BTreeSet<String>,
    told: BTreeSet<String>,
}

/// Why a reading ends early.
enum Stopped {
    Enough,
    Gone,
    Failed(StoreError),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// Reads, and tells everything through `records`.
pub(crate) async fn read(tapes: Arc<Tapes>, selected: Selected, limit: u64, messages: Messages, records: Records) {
    let mut reading = Reading {
        tapes: &tapes,
        selected: &selected,
        segments: Segments::new(&tapes),
        records: &records,
        messages,
        left: limit,
        read: 0,
        unjudged: 0,
        damage: BTreeSet::new(),
        told: BTreeSet::new(),
    };
    let end = match reading.all().await {
        Ok(()) => Ok(reading.end("")),
        Err(Stopped::Enough) => Ok(reading.end("as many records were read as were asked for: there are more")),
        Err(Stopped::Gone) => return,
        Err(Stopped::Failed(error)) => Err(Status::unavailable(error.to_string())),
    };
    // Whoever asked may be gone.
    let _ = records.send(end.map(|end| ReadTapesResponse { kind: Some(Kind::End(end)) })).await;
}

impl Reading<'_> {
    async fn all(&mut self) -> Result<(), Stopped> {
        let mut before = None;
        loop {
            let page = self.tapes.index().tapes(&self.selected.filter, before, TAPES_PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            before = Some((last.began, last.number));
            for tape in &page {
                self.tape(tape).await?;
            }
        }
    }

    async fn tape(&mut self, tape: &FoundTape) -> Result<(), Stopped> {
        let (mut after, mut held) = ((0, 0), Vec::new());
        loop {
            let page =
                self.tapes.index().frames_of_tape(&self.selected.filter, tape.number, after, FRAMES_PAGE).await?;
            let is_last = page.len() < FRAMES_PAGE as usize;
            if let Some(last) = page.last() {
                after = (last.source, last.seq);
            }
            held.extend(page);
            if is_last || held.len() >= MERGED_MAX {
                for frame in merged(std::mem::take(&mut held)) {
                    self.frame(&frame).await?;
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    async fn frame(&mut self, frame: &FoundFrame) -> Result<(), Stopped> {
        let opened = match self.segments.open(frame.segment).await {
            Ok(opened) => opened,
            Err(why) => return self.damaged(format!("{}: {why}", frame.instance)),
        };
        let (Some(line), Some(record)) = (opened.line(frame.seq), opened.record(frame.seq)) else {
            return self.damaged(format!("record {} of {} cannot be read any more", frame.seq, frame.instance));
        };
        let apart = self.apart(&record).await?;
        let judge = &self.selected.judge;
        if !judge.is_idle() {
            let request = match record.re.filter(|_| judge.needs_request()) {
                Some(asked) => match self.segments.asked(&self.selected.filter.fleet, frame, asked).await {
                    Ok(request) => Some(request),
                    Err(why) => return self.damaged(format!("record {} of {}: {why}", frame.seq, frame.instance)),
                },
                None => None,
            };
            let content = Content::new(&record, apart.as_deref(), request.as_deref());
            match judge.judge(frame, Some(&content)) {
                Verdict::Meant => {}
                Verdict::Not => return Ok(()),
                Verdict::Unjudged => {
                    self.unjudged += 1;
                    return Ok(());
                }
            }
        }
        if self.left == 0 {
            return Err(Stopped::Enough);
        }
        if let (Some(content), Some(blob), Messages::Told) = (apart, &record.blob, self.messages) {
            self.message(&blob.hash, content).await?;
        }
        self.left -= 1;
        self.read += 1;
        let line = line.to_vec();
        self.tell(Kind::Record(TapeRecord { frame: Some(told(frame)), line })).await
    }

    /// The message of a record that is kept apart, where it is needed.
    async fn apart(&mut self, record: &Record<'_>) -> Result<Option<Bytes>, Stopped> {
        let judged = self.selected.judge.needs_content();
        let wanted = |hash: &str| judged || (self.messages == Messages::Told && !self.told.contains(hash));
        let Some(blob) = record.blob.as_ref().filter(|blob| wanted(&blob.hash)) else { return Ok(None) };
        match self.segments.message(&self.selected.filter.fleet, &blob.hash).await {
            Ok(message) => Ok(Some(message)),
            Err(why) => self.damaged(format!("the message {}: {why}", blob.hash)).map(|()| None),
        }
    }

    async fn message(&mut self, hash: &str, content: Bytes) -> Result<(), Stopped> {
        if self.told.len() >= MESSAGES_TOLD_MAX {
            self.told.clear();
        }
        let bytes = blake3::Hash::from_hex(hash).map(|hash| hash.as_bytes().to_vec());
        let (true, Ok(hash)) = (self.told.insert(hash.to_owned()), bytes) else { return Ok(()) };
        self.tell(Kind::Blob(BlobContent { hash, content: content.into() })).await
    }

    #[allow(clippy::unnecessary_wraps, reason = "it stands where a record would have been told")]
    fn damaged(&mut self, what: String) -> Result<(), Stopped> {
        if self.damage.len() < DAMAGE_MAX {
            self.damage.insert(what);
        }
        Ok(())
    }

    async fn tell(&self, kind: Kind) -> Result<(), Stopped> {
        self.records.send(Ok(ReadTapesResponse { kind: Some(kind) })).await.map_err(|_| Stopped::Gone)
    }

    fn end(&mut self, remark: &str) -> ReadEnd {
        let damage = std::mem::take(&mut self.damage).into_iter().collect();
        ReadEnd { records: self.read, remark: remark.to_owned(), damage, unjudged: self.unjudged }
    }
}

/// The frames of a tape in the order of time, those of each boot in the order in which it recorded them, whatever its clock did.
fn merged(frames: Vec<FoundFrame>) -> Vec<FoundFrame> {
    let mut keyed: Vec<(i64, FoundFrame)> = Vec::with_capacity(frames.len());
    let mut latest = (0, i64::MIN);
    for frame in frames {
        // A clock that went back does not put a record before the one it follows.
        latest =
            if latest.0 == frame.source { (frame.source, latest.1.max(frame.at)) } else { (frame.source, frame.at) };
        keyed.push((latest.1, frame));
    }
    keyed.sort_by_key(|(at, frame)| (*at, frame.source, frame.seq));
    keyed.into_iter().map(|(_, frame)| frame).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_back_does_not_change_the_order_of_a_boot() {
        let frame = |source, seq, at| FoundFrame { source, seq, at, ..FoundFrame::default() };
        let frames = vec![frame(1, 1, 10), frame(1, 2, 30), frame(1, 3, 20), frame(2, 1, 15), frame(2, 2, 40)];
        let order: Vec<_> = merged(frames).into_iter().map(|frame| (frame.source, frame.seq)).collect();
        assert_eq!(order, [(1, 1), (2, 1), (1, 2), (1, 3), (2, 2)]);
    }
}
