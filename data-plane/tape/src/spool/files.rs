//! Names of the files of a spool. A name that is none of these is left alone.

use crate::blob;
use crate::directory::TMP;
use crate::segment::SegmentId;

/// The end of the name of a message that is kept apart.
const BLOB: &str = ".blob.zst";

/// What a file is, by its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum File {
    Open(SegmentId),
    Sealed(SegmentId),
    Blob(SegmentId, String),
    /// It was being written when the process ended.
    Unfinished,
}

impl File {
    pub(super) fn of(name: &str) -> Option<Self> {
        if let Some(id) = SegmentId::of_open_name(name) {
            return Some(Self::Open(id));
        }
        if let Some(id) = SegmentId::of_sealed_name(name) {
            return Some(Self::Sealed(id));
        }
        if let Some((segment, hash)) = name.strip_suffix(BLOB).and_then(|name| name.split_once('.')) {
            return blob::is_hash(hash)
                .then(|| SegmentId::parse(segment))
                .flatten()
                .map(|id| Self::Blob(id, hash.to_owned()));
        }
        let whole = name.strip_suffix(TMP)?;
        Self::of(whole).map(|_| Self::Unfinished)
    }
}

pub(super) fn blob_name(id: &SegmentId, hash: &str) -> String {
    format!("{id}.{hash}{BLOB}")
}
