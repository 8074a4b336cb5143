//! Files that the writer brings about: blobs and sealed segments.

use std::io;

use tracing::warn;

use super::Writer;
use crate::blob::{self, BLOB_PLAIN_BYTES_MAX};
use crate::record::{BlobRef, Gap};
use crate::spool::Sealed;
use crate::spool::books::{Entry, Place};
use crate::spool::files::blob_name;
use crate::spool::open::OpenSegment;

impl Writer {
    /// Writes a message to a file of its own, once for each content within a segment. `None` if that failed: a `gap`
    /// says so.
    pub(super) fn keep_apart(&mut self, message: &[u8]) -> Option<BlobRef<'static>> {
        let bytes = message.len() as u64;
        let hash = blob::hash(message);
        let open = self.open.as_ref()?;
        if !open.has_blob(&hash) {
            if message.len() > BLOB_PLAIN_BYTES_MAX {
                self.lose("too_large", 0, Some(bytes));
                return None;
            }
            let name = blob_name(&open.id, &hash);
            let written = blob::pack(message).and_then(|packed| {
                let bytes = packed.len() as u64;
                self.with_room(bytes, |directory| directory.write_whole(&name, &packed))?;
                Ok(bytes)
            });
            match written {
                Ok(packed) => self.open.as_mut()?.add_blob(hash.clone(), packed),
                Err(error) => {
                    warn!(%error, bytes, "a large message cannot be kept");
                    self.lose("disk_failed", 0, Some(bytes));
                    self.has_failed = true;
                    return None;
                }
            }
        }
        Some(BlobRef { hash: hash.into(), bytes })
    }

    /// Puts the open segment on the shelf, or notes that it is lost.
    pub(super) fn seal(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        let name = open.id.sealed_name();
        let sealed = open.pack().and_then(|sealed| {
            let bytes = sealed.len() as u64;
            self.with_room(bytes, |directory| directory.write_whole(&name, &sealed))?;
            Ok(bytes)
        });
        match sealed {
            Ok(bytes) => self.shelve(&open, bytes),
            Err(error) => self.abandon(open, &error),
        }
    }

    fn shelve(&mut self, open: &OpenSegment, bytes: u64) {
        let removed = self.directory.sync().and_then(|()| self.directory.remove(&open.id.open_name()));
        if let Err(error) = removed {
            // The next start has both, and takes the sealed one.
            warn!(segment = %open.id, %error, "the plain file of a sealed segment stays until it is removed with it");
        }
        let (id, contents) = (open.id.clone(), &open.contents);
        let (first_seq, last_seq, frames) = (contents.first_seq, contents.last_seq, contents.frames);
        let sealed = Sealed { id: id.clone(), bytes, first_seq, last_seq, frames, blobs: open.blobs() };
        let last_at = i64::try_from(self.now.micros()).unwrap_or(i64::MAX);
        self.counts.segments_sealed += 1;
        self.recover();
        self.shelf.add(Entry { place: Place { born: self.born, id }, sealed, frames: Some(frames), last_at });
    }

    /// Gives up a segment: its file is not to be trusted any more. What it told of gaps is told again.
    fn abandon(&mut self, open: OpenSegment, error: &io::Error) {
        let frames = open.contents.frames;
        warn!(segment = %open.id, frames, %error, "a segment cannot be sealed: its frames are lost");
        let blobs = open.blobs().into_iter().map(|blob| blob_name(&open.id, &blob.hash));
        for name in blobs.chain([open.id.open_name()]) {
            // Nobody waits for it, and the next start mends or removes what stays.
            let _ = self.directory.remove(&name);
        }
        open.gaps.into_iter().for_each(|gap| self.gaps.add(gap));
        let segments = Some((open.id.sequence, open.id.sequence));
        let (why, frames_lost) = ("disk_failed".into(), Some(frames));
        self.gaps.add(Gap { why, frames: frames_lost, bytes: None, instance: None, segments });
        self.counts.frames_lost += frames;
        self.rest();
    }
}
