//! A version as it is sent: compressed once, and shared by every node that is sent it.

use bytes::Bytes;
use shadowcat_proto::fleet::v1::{ConfigRef, SnapshotChunk};

/// What one message carries: far below gRPC's own limit of 4 MiB, so that a command never waits long behind a piece.
pub(crate) const CHUNK_BYTES_MAX: usize = 256 * 1024;

/// The largest configuration, unpacked: what nodes read.
pub(crate) const CONFIG_BYTES_MAX: usize = shadowcat_config::MAX_CANONICAL_BYTES;

/// zstd's own default: a configuration shrinks to a tenth in a few milliseconds.
const COMPRESSION_LEVEL: i32 = 3;

/// Why there is no snapshot of a version.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// It would not be taken by a node.
    #[error("the configuration has {0} bytes, and at most {CONFIG_BYTES_MAX} are sent to a node: split the fleet")]
    TooLarge(usize),
    /// The compressor failed.
    #[error("the configuration cannot be compressed: {0}")]
    Compression(#[from] std::io::Error),
}

/// One version, ready to be sent to any number of nodes.
#[derive(Debug)]
pub(crate) struct Snapshot {
    reference: ConfigRef,
    config_bytes: u32,
    packed: Bytes,
}

impl Snapshot {
    /// Compresses the canonical bytes of a version. It takes as long as that takes: not for a runtime's thread.
    pub(crate) fn new(reference: ConfigRef, content: &[u8]) -> Result<Self, SnapshotError> {
        let config_bytes = u32::try_from(content.len())
            .ok()
            .filter(|_| content.len() <= CONFIG_BYTES_MAX)
            .ok_or(SnapshotError::TooLarge(content.len()))?;
        let packed = zstd::bulk::compress(content, COMPRESSION_LEVEL)?.into();
        Ok(Self { reference, config_bytes, packed })
    }

    /// Which version it is.
    pub(crate) fn reference(&self) -> &ConfigRef {
        &self.reference
    }

    /// A piece, from 0; `None` after the last. Its bytes are shared, not copied.
    pub(crate) fn chunk(&self, index: u32) -> Option<SnapshotChunk> {
        let begin = usize::try_from(index).ok()?.checked_mul(CHUNK_BYTES_MAX)?;
        if begin >= self.packed.len() {
            return None;
        }
        let end = self.packed.len().min(begin + CHUNK_BYTES_MAX);
        let first = index == 0;
        Some(SnapshotChunk {
            r#ref: Some(self.reference.clone()),
            // What is packed is never much larger than what was unpacked, which is bounded.
            total_bytes: if first { u32::try_from(self.packed.len()).unwrap_or(u32::MAX) } else { 0 },
            config_bytes: if first { self.config_bytes } else { 0 },
            index,
            last: end == self.packed.len(),
            bytes: self.packed.slice(begin..end),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(content: &[u8]) -> Snapshot {
        let reference = ConfigRef { epoch: "e".to_owned(), number: 1, digest: Bytes::from_static(&[1; 32]) };
        Snapshot::new(reference, content).unwrap()
    }

    #[test]
    fn the_chunks_of_a_snapshot_are_the_whole_and_none_is_too_large() {
        let mut random = fastrand::Rng::with_seed(7);
        let content: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(3 * CHUNK_BYTES_MAX + 17).collect();
        let snapshot = snapshot(&content);
        let chunks: Vec<_> = (0..).map_while(|index| snapshot.chunk(index)).collect();
        assert_eq!(chunks.len(), 4);
        assert!(chunks.iter().all(|chunk| chunk.bytes.len() <= CHUNK_BYTES_MAX));
        assert_eq!(chunks.iter().map(|chunk| chunk.last).collect::<Vec<_>>(), [false, false, false, true]);
        let packed: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.bytes.to_vec()).collect();
        assert_eq!(chunks[0].total_bytes as usize, packed.len());
        assert_eq!(chunks[0].config_bytes as usize, content.len());
        assert_eq!(zstd::bulk::decompress(&packed, content.len()).unwrap(), content);
    }

    #[test]
    fn an_empty_configuration_is_one_chunk() {
        let snapshot = snapshot(b"");
        assert!(snapshot.chunk(0).unwrap().last);
        assert!(snapshot.chunk(1).is_none());
    }

    #[test]
    fn what_no_node_would_take_is_refused() {
        let reference = ConfigRef::default();
        let refused = Snapshot::new(reference, &vec![0; CONFIG_BYTES_MAX + 1]).unwrap_err();
        assert!(refused.to_string().contains("67108865 bytes"), "{refused}");
    }
}
