//! What may be offered at all.

use shadowcat_proto::fleet::v1::SegmentOffer;
use shadowcat_tape::segment::SegmentId;

/// A sealed segment: a node seals at 1 MiB of plain text, which is less when it is sealed.
pub(super) const SEGMENT_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// A message that is kept apart, as it is sent: recordings leave out what is longer than 4 MiB unless they say otherwise.
pub(super) const MESSAGE_BYTES_MAX: u32 = 8 * 1024 * 1024;

/// Messages that are kept apart from one segment: lines of 1 MiB refer to fewer.
const MESSAGES_MAX: usize = 4_096;

/// The largest number of a segment or a record: a node counts from 1, and comes nowhere near. Databases calculate with these.
const NUMBER_MAX: u64 = 1 << 62;

/// An offer that can be taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) id: SegmentId,
    pub(super) bytes: u32,
    pub(super) digest: [u8; 32],
    /// 0, as the last one is, if its node does not know.
    pub(super) first_record: u64,
    pub(super) last_record: u64,
    /// Hash and size of each that is wanted with it.
    pub(super) messages: Vec<([u8; 32], u32)>,
    /// Those without which it is kept: why, as gaps have it, and the same for a person.
    pub(super) spoiled: Vec<(&'static str, String)>,
}

impl Offer {
    /// Reads an offer; why it is refused, if it is none.
    pub(super) fn read(offer: &SegmentOffer) -> Result<Self, String> {
        let id = SegmentId::new(&offer.instance, offer.sequence).map_err(|error| error.to_string())?;
        let digest = <[u8; 32]>::try_from(&*offer.digest).map_err(|_| "its digest has not 32 bytes".to_owned())?;
        let is_known = (offer.first_record, offer.last_record) != (0, 0);
        if id.sequence == 0 || is_known && (offer.first_record == 0 || offer.last_record < offer.first_record) {
            return Err("segments and records are numbered from 1, and the last is not before the first".to_owned());
        }
        if id.sequence.max(offer.first_record).max(offer.last_record) > NUMBER_MAX {
            return Err(format!("its numbers are beyond {NUMBER_MAX}, which no node comes to"));
        }
        if !(1..=SEGMENT_BYTES_MAX).contains(&offer.bytes) {
            return Err(format!("it has {} bytes, and a segment has 1 to {SEGMENT_BYTES_MAX}", offer.bytes));
        }
        if offer.blobs.len() > MESSAGES_MAX {
            return Err(format!("{} messages are kept apart from it, and {MESSAGES_MAX} may be", offer.blobs.len()));
        }
        let (mut messages, mut spoiled) = (Vec::<([u8; 32], u32)>::with_capacity(offer.blobs.len()), Vec::new());
        for blob in &offer.blobs {
            let hash =
                <[u8; 32]>::try_from(&*blob.hash).map_err(|_| "the hash of a message has not 32 bytes".to_owned())?;
            if !(1..=MESSAGE_BYTES_MAX).contains(&blob.bytes) {
                let why = if blob.bytes == 0 { "corrupt" } else { "too_large" };
                let told = format!("it has {} bytes, and one that is kept has 1 to {MESSAGE_BYTES_MAX}", blob.bytes);
                spoiled.push((why, of_message(&hash, &told)));
            } else if messages.iter().all(|(known, _)| *known != hash) {
                messages.push((hash, blob.bytes));
            }
        }
        let (first_record, last_record) = (offer.first_record, offer.last_record);
        Ok(Self { id, bytes: offer.bytes, digest, first_record, last_record, messages, spoiled })
    }

    /// A message that came is not what its hash says: the segment is kept without it.
    pub(super) fn spoil(&mut self, hash: &[u8; 32], why: &str) {
        self.messages.retain(|(known, _)| known != hash);
        self.spoiled.push(("corrupt", of_message(hash, why)));
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

fn of_message(hash: &[u8; 32], why: &str) -> String {
    format!("the message {} is not kept: {why}", blake3::Hash::from_bytes(*hash))
}
