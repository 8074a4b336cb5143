//! The manifest: what a tape consists of.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{MANIFEST, TapeError, io_error};
use crate::directory::Directory;
use crate::record::{FORMAT_MAJOR, FORMAT_MINOR};
use crate::segment::{Contents, Refused};

/// Bytes of a manifest that is read. A segment takes 400 of them: this is 40 000 segments, 300 GiB of plain text.
const MANIFEST_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What a tape consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format's version: major, minor.
    pub format: (u32, u32),
    /// Program and version, as in `shadowcat 0.1.0`.
    pub created_by: String,
    /// Whether anything will follow.
    pub state: State,
    /// Whether holes in `seq` are loss.
    pub selection: Selection,
    /// Its sealed segments, in order.
    pub segments: Vec<TapeSegment>,
}

/// Whether anything will follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is being written, or its writer died.
    Open,
    /// It was finished.
    Complete,
}

/// Which records of an instance are on a tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// All of them: a hole in `seq` is a record that is missing.
    Everything,
    /// Those that somebody asked for, as when a fleet's tape is exported.
    Some,
}

/// One sealed segment of a tape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapeSegment {
    /// Its number: dense, from 0.
    pub n: u64,
    /// `seq` of its first record.
    pub first_seq: u64,
    /// `seq` of its last record.
    pub last_seq: u64,
    /// `t` of its first record, in microseconds.
    pub t0: u64,
    /// The latest `t` in it, in microseconds.
    pub t1: u64,
    /// Records of all kinds.
    pub records: u64,
    /// Records of traffic.
    pub frames: u64,
    /// Bytes of its file.
    pub bytes: u64,
    /// BLAKE3 of its file, in hexadecimal.
    pub blake3: String,
    /// That of the segment before; absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_blake3: Option<String>,
}

impl TapeSegment {
    /// The entry of a segment that was sealed.
    pub(super) fn new(before: &[Self], contents: &Contents, sealed: &[u8]) -> Self {
        let Contents { first_seq, last_seq, t0, t1, records, frames, .. } = *contents;
        Self {
            n: before.len() as u64,
            first_seq,
            last_seq,
            t0,
            t1,
            records,
            frames,
            bytes: sealed.len() as u64,
            blake3: crate::blob::hash(sealed),
            prev_blake3: before.last().map(|last| last.blake3.clone()),
        }
    }

    /// Whether it holds what its entry says.
    pub(super) fn tells(&self, contents: &Contents) -> bool {
        let Contents { first_seq, last_seq, t0, t1, records, frames, .. } = *contents;
        (self.first_seq, self.last_seq, self.t0, self.t1) == (first_seq, last_seq, t0, t1)
            && (self.records, self.frames) == (records, frames)
    }
}

impl Manifest {
    pub(super) fn new(created_by: String, selection: Selection) -> Self {
        let format = (FORMAT_MAJOR, FORMAT_MINOR);
        Self { format, created_by, state: State::Open, selection, segments: Vec::new() }
    }

    pub(super) fn read(dir: &Path) -> Result<Self, TapeError> {
        #[derive(Deserialize)]
        struct AnyManifest {
            format: (u32, u32),
        }
        let file = dir.join(MANIFEST);
        let bytes = Directory::existing(dir).read(MANIFEST, MANIFEST_BYTES_MAX).map_err(io_error(&file))?;
        let not_one = |error: serde_json::Error| TapeError::Manifest { file: file.clone(), what: error.to_string() };
        let (major, minor) = serde_json::from_slice::<AnyManifest>(&bytes).map_err(not_one)?.format;
        if major > FORMAT_MAJOR {
            return Err(TapeError::Refused { file, source: Refused::NewerFormat { major, minor } });
        }
        serde_json::from_slice(&bytes).map_err(not_one)
    }

    pub(super) fn write(&self, dir: &Path) -> Result<(), TapeError> {
        let mut json = serde_json::to_vec_pretty(self).expect("every key is text, and a vector takes every byte");
        json.push(b'\n');
        let directory = Directory::existing(dir);
        let written = directory.write_whole(MANIFEST, &json).and_then(|()| directory.sync());
        written.map_err(io_error(dir.join(MANIFEST)))
    }
}
