//! What may be offered at all.

use shadowcat_proto::fleet::v1::SegmentOffer;
use shadowcat_tape::segment::SegmentId;

/// A sealed segment: a node seals at 1 MiB of plain text, which is less when it is sealed.
pub(super) const SEGMENT_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// A message that is kept apart, as it is sent: recordings leave out what is longer than 4 MiB unless they say otherwise.
pub(super) const MESSAGE_BYTES_MAX: u32 = 8 * 1024 * 1024;

/// Messages that are kept apart from one segment: lines of 1 MiB refer to fewer.
const MESSAGES_MAX: usize = 4_096;

/// An offer that can be taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) id: SegmentId,
    pub(super) bytes: u32,
    pub(super) digest: [u8; 32],
    pub(super) first_record: u64,
    pub(super) last_record: u64,
    /// Hash and size of each.
    pub(super) messages: Vec<([u8; 32], u32)>,
}

impl Offer {
    /// Reads an offer; why it is refused, if it is none.
    pub(super) fn read(offer: &SegmentOffer) -> Result<Self, String> {
        let id = SegmentId::new(&offer.instance, offer.sequence).map_err(|error| error.to_string())?;
        let digest = <[u8; 32]>::try_from(&*offer.digest).map_err(|_| "its digest has not 32 bytes".to_owned())?;
        if id.sequence == 0 || offer.first_record == 0 || offer.last_record < offer.first_record {
            return Err("segments and records are numbered from 1, and the last is not before the first".to_owned());
        }
        if !(1..=SEGMENT_BYTES_MAX).contains(&offer.bytes) {
            return Err(format!("it has {} bytes, and a segment has 1 to {SEGMENT_BYTES_MAX}", offer.bytes));
        }
        if offer.blobs.len() > MESSAGES_MAX {
            return Err(format!("{} messages are kept apart from it, and {MESSAGES_MAX} may be", offer.blobs.len()));
        }
        let mut messages: Vec<([u8; 32], u32)> = Vec::with_capacity(offer.blobs.len());
        for blob in &offer.blobs {
            let hash =
                <[u8; 32]>::try_from(&*blob.hash).map_err(|_| "the hash of a message has not 32 bytes".to_owned())?;
            if !(1..=MESSAGE_BYTES_MAX).contains(&blob.bytes) {
                return Err(format!("a message of it has {} bytes, and one has 1 to {MESSAGE_BYTES_MAX}", blob.bytes));
            }
            if messages.iter().all(|(known, _)| *known != hash) {
                messages.push((hash, blob.bytes));
            }
        }
        let (first_record, last_record) = (offer.first_record, offer.last_record);
        Ok(Self { id, bytes: offer.bytes, digest, first_record, last_record, messages })
    }

    /// The size of one of its messages.
    pub(super) fn message_bytes(&self, hash: &[u8; 32]) -> u32 {
        self.messages.iter().find(|(known, _)| known == hash).map_or(0, |(_, bytes)| *bytes)
    }

    /// What it takes of the memory that all streams share: itself, and what of its messages is here at once.
    pub(super) fn cost(&self) -> u32 {
        let messages = self.messages.iter().fold(0_u32, |sum, (_, bytes)| sum.saturating_add(*bytes));
        self.bytes + messages.min(MESSAGE_BYTES_MAX)
    }
}
