//! A segment is written anew, without the lines whose frames are gone from the index.
//!
//! What tells of the recording itself (heads, clocks, gaps, ends) stays. What could not be read goes: it may be what was deleted.
//!
//! The new object has a key of its own. It is listed as discarded before it is written, and taken off that list by the transaction that
//! lets the segment refer to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use shadowcat_tape::segment::{Found, Scan, seal, unseal};

use super::{Retention, Unfinished, micros};
use crate::tapes::blobs::{SegmentName, rewritten_key};
use crate::tapes::decode::PLAIN_BYTES_MAX;
use crate::tapes::index::{Rewritten, codes};

/// By when a new object is written and referred to: far more than both may take.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60 * 60);

/// What is left of a segment.
#[derive(Debug, Default)]
struct Left {
    sealed: Vec<u8>,
    plain_bytes: u64,
    places: BTreeMap<u64, u64>,
    messages: BTreeSet<[u8; 32]>,
}

impl Retention {
    /// Writes a segment anew, if it still is to be.
    pub(super) async fn rewrite_one(&self, segment: i64) -> Result<(), Unfinished> {
        let Some(from) = self.index.rewriting(segment).await? else { return Ok(()) };
        let sealed = self.blobs.get(&Path::from(from.object.as_str())).await?;
        let cannot = |why: String| Unfinished::Segment(from.object.clone(), why);
        let kept: BTreeSet<u64> = from.kept.keys().copied().collect();
        let left = tokio::task::spawn_blocking(move || without_the_rest(&sealed, &kept)).await;
        let left = left.map_err(|stopped| cannot(stopped.to_string()))?.map_err(cannot)?;
        let name =
            SegmentName { fleet: &from.fleet, node: &from.node, instance: &from.instance, sequence: from.sequence };
        let key = rewritten_key(name, from.first_at, fastrand::u64(..));
        self.index.discard(key.as_ref(), (self.clock)().saturating_add(micros(WRITTEN_WITHIN))).await?;
        let stored_bytes = left.sealed.len() as u64;
        self.blobs.put(&key, Bytes::from(left.sealed)).await?;
        let (fleet, saved) = (from.fleet.clone(), from.stored_bytes.saturating_sub(stored_bytes));
        let rewritten = Rewritten {
            from,
            object: key.to_string(),
            stored_bytes,
            plain_bytes: left.plain_bytes,
            places: left.places,
            messages: left.messages.into_iter().collect(),
        };
        if self.index.rewritten(&rewritten, (self.clock)()).await? {
            self.metrics.segment_rewritten(&fleet, saved);
        }
        Ok(())
    }
}

/// A segment with these frames and no other.
fn without_the_rest(sealed: &[u8], kept: &BTreeSet<u64>) -> Result<Left, String> {
    let plain = unseal(sealed, PLAIN_BYTES_MAX).map_err(|error| error.to_string())?.plain;
    let (mut lines, mut left) = (Vec::with_capacity(plain.len()), Left::default());
    for found in Scan::new(&plain) {
        let Found::Record(line) = found.map_err(|refused| refused.to_string())? else { continue };
        let record = &line.record;
        let is_frame = codes::kind(record.k).is_some();
        // Of two lines of one place, the first is the one that is read.
        if is_frame && (!kept.contains(&record.seq) || left.places.contains_key(&record.seq)) {
            continue;
        }
        if is_frame {
            left.places.insert(record.seq, lines.len() as u64);
        }
        let message = record.blob.as_ref().and_then(|blob| blake3::Hash::from_hex(blob.hash.as_bytes()).ok());
        left.messages.extend(message.map(|hash| *hash.as_bytes()));
        lines.extend_from_slice(line.bytes);
        if !line.bytes.ends_with(b"\n") {
            lines.push(b'\n');
        }
    }
    left.plain_bytes = lines.len() as u64;
    seal(&lines, &mut left.sealed).map_err(|error| error.to_string())?;
    Ok(left)
}
