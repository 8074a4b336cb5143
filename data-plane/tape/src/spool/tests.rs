//! A spool in a directory of its own, and clocks that the tests turn.

mod damage;
#[cfg(target_os = "linux")]
mod disk;
mod shelf;
mod trouble;
mod writer;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::{Now, Recovery, Shelf, Spool, SpoolSettings, Writer};
use crate::line::Message;
use crate::record::{Direction, Gap, Kind, Record};
use crate::segment::{Found, Scan, SegmentId, unseal};
use crate::testing::seeded;

/// When the tests take place: nanoseconds since 1970.
const WALL: u64 = 1_800_000_000_000_000_000;

/// The small segments of these tests, so that some are sealed soon.
const SEAL_BYTES: usize = 16 * 1024;

/// More than any segment here unpacks to.
const ENOUGH: usize = 16 * 1024 * 1024;

/// A record, as the tests compare it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    kind: Kind,
    seq: u64,
    gap: Option<Gap<'static>>,
}

/// A directory that several boots of a node use one after the other.
pub(super) struct Node {
    dir: TempDir,
    boots: u64,
    started: Now,
}

impl Node {
    pub(super) fn new() -> Self {
        Self { dir: TempDir::new().unwrap(), boots: 0, started: at(0) }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.path().join("spool")
    }

    /// Settings of the next boot.
    pub(super) fn settings(&mut self) -> SpoolSettings {
        self.boots += 1;
        let mut settings = SpoolSettings::new(self.path(), self.instance());
        (settings.node, settings.redaction_key) = ("node-1".into(), "00112233".into());
        settings.seal_bytes = SEAL_BYTES;
        settings
    }

    pub(super) fn instance(&self) -> String {
        // Later boots sort before earlier ones, so that names alone do not order them.
        format!("{:032x}", 0xffff - self.boots)
    }

    pub(super) fn boot(&mut self) -> (Writer, Arc<Shelf>, Recovery) {
        let settings = self.settings();
        self.boot_with(settings)
    }

    pub(super) fn boot_with(&mut self, settings: SpoolSettings) -> (Writer, Arc<Shelf>, Recovery) {
        self.started.wall += 1_000_000_000;
        Spool::open(settings, self.started).unwrap()
    }

    /// Names in the directory, without the lock.
    pub(super) fn files(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(self.path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != "lock");
        names.sort();
        names
    }

    pub(super) fn open_file(&self, sequence: u64) -> PathBuf {
        self.path().join(SegmentId::new(&self.instance(), sequence).unwrap().open_name())
    }

    pub(super) fn sealed_file(&self, sequence: u64) -> PathBuf {
        self.path().join(SegmentId::new(&self.instance(), sequence).unwrap().sealed_name())
    }
}

/// So many milliseconds after the clock began.
pub(super) fn at(millis: u64) -> Now {
    Now { at: Duration::from_millis(millis), wall: WALL + millis * 1_000_000 }
}

/// Appends messages of about 300 bytes that do not compress.
pub(super) fn append(writer: &mut Writer, messages: u64) -> u64 {
    let mut random = seeded(u32::try_from(writer.counts().segments_sealed).unwrap() + 3);
    let mut last = 0;
    for _ in 0..messages {
        let noise: String = (0..32).map(|_| format!("{:08x}", random())).collect();
        let body = format!(r#"{{"jsonrpc":"2.0","method":"x","params":["{noise}"]}}"#);
        let record = Record { t: 5, dir: Some(Direction::C2s), ..Record::default() };
        last = writer.append(record, Some(Message::of(body.as_bytes())));
    }
    last
}

/// Everything on the shelf, in its order.
pub(super) fn read(shelf: &Shelf) -> Vec<Told> {
    let mut told = Vec::new();
    for sealed in shelf.oldest(usize::MAX) {
        let unsealed = unseal(&shelf.read(&sealed.id).unwrap(), ENOUGH).unwrap();
        for found in Scan::new(&unsealed.plain) {
            if let Found::Record(line) = found.unwrap() {
                let gap = line.record.gap.map(owned);
                told.push(Told { kind: line.record.k, seq: line.record.seq, gap });
            }
        }
    }
    told
}

fn owned(gap: Gap<'_>) -> Gap<'static> {
    Gap {
        why: gap.why.into_owned().into(),
        frames: gap.frames,
        bytes: gap.bytes,
        instance: gap.instance.map(|instance| instance.into_owned().into()),
        segments: gap.segments,
    }
}

pub(super) fn gaps(told: &[Told]) -> Vec<Gap<'static>> {
    told.iter().filter_map(|told| told.gap.clone()).collect()
}

pub(super) fn frames(told: &[Told]) -> u64 {
    told.iter().filter(|told| told.kind == Kind::Msg).count() as u64
}
