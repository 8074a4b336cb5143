//! The segment that is being written: its text in memory, and a file that follows it.
//!
//! The text is kept until it is sealed, so that nothing is read back and a file that fails takes nothing with it. It is packed as it
//! grows, so that sealing it is little work.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::time::Duration;

use super::Blob;
use crate::directory::follow;
use crate::line::{self, LINE_BYTES_MAX, Message};
use crate::record::{Gap, Record};
use crate::segment::{Contents, Packing, SegmentId};

/// Text for which room is made at once.
const PLAIN_BYTES_USUAL: usize = 1024 * 1024;

/// Room for the line that fills a segment; a longer one has it made.
const LINE_BYTES_USUAL: usize = 4 * 1024;

/// A line that no reader would take.
pub(super) struct TooLong {
    pub(super) bytes: usize,
}

/// The segment that is being written.
#[derive(Debug)]
pub(super) struct OpenSegment {
    pub(super) id: SegmentId,
    pub(super) contents: Contents,
    pub(super) opened_at: Duration,
    /// When the last `clock` record was written.
    pub(super) clock_at: Duration,
    /// Gaps that are told in it: they must be told again if it does not come about.
    pub(super) gaps: Vec<Gap<'static>>,
    /// Packed bytes of messages that were kept apart, by their names.
    blobs: BTreeMap<String, u64>,
    file: File,
    plain: Vec<u8>,
    /// How much of the text is in the file.
    written: usize,
    /// The text as it will be sealed, as far as it is packed already.
    packing: Packing,
}

impl OpenSegment {
    /// An empty one, which is sealed at about so many bytes.
    pub(super) fn new(id: SegmentId, file: File, at: Duration, seal_bytes: usize) -> Self {
        Self {
            id,
            contents: Contents::default(),
            opened_at: at,
            clock_at: at,
            gaps: Vec::new(),
            blobs: BTreeMap::new(),
            file,
            // Memory that nobody writes to costs nothing; to move what is written does.
            plain: Vec::with_capacity(seal_bytes.min(PLAIN_BYTES_USUAL) + LINE_BYTES_USUAL),
            written: 0,
            packing: Packing::default(),
        }
    }

    /// Appends a record in memory.
    pub(super) fn push(&mut self, record: &Record<'_>, message: Option<Message<'_>>) -> Result<(), TooLong> {
        let before = self.plain.len();
        match message {
            Some(message) => line::encode_message(record, message, &mut self.plain),
            None => line::encode(record, &mut self.plain),
        }
        let bytes = self.plain.len() - before;
        if bytes > LINE_BYTES_MAX {
            self.plain.truncate(before);
            return Err(TooLong { bytes });
        }
        self.contents.add(record, bytes);
        // What could not be packed for want of memory is packed when the segment is sealed, or is lost and told then.
        let _ = self.packing.follow(&self.plain);
        Ok(())
    }

    pub(super) fn plain_bytes(&self) -> usize {
        self.plain.len()
    }

    pub(super) fn unwritten_bytes(&self) -> usize {
        self.plain.len() - self.written
    }

    /// Writes what the file does not have yet; after an error it can go on where it stopped.
    pub(super) fn write(&mut self) -> io::Result<()> {
        follow(&self.file, &self.plain, &mut self.written)
    }

    /// The sealed segment.
    pub(super) fn pack(&mut self) -> io::Result<Vec<u8>> {
        let mut sealed = Vec::new();
        self.packing.finish(&self.plain, &self.contents, &mut sealed)?;
        Ok(sealed)
    }

    pub(super) fn has_blob(&self, hash: &str) -> bool {
        self.blobs.contains_key(hash)
    }

    pub(super) fn add_blob(&mut self, hash: String, bytes: u64) {
        self.blobs.insert(hash, bytes);
    }

    pub(super) fn blob_bytes(&self) -> u64 {
        self.blobs.values().sum()
    }

    pub(super) fn blobs(&self) -> Vec<Blob> {
        self.blobs.iter().map(|(hash, bytes)| Blob { hash: hash.clone(), bytes: *bytes }).collect()
    }
}
