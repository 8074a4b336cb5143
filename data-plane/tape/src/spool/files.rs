//! Names of the files of a spool. A name that is none of these is left alone.

use crate::blob;
use crate::directory::TMP;
use crate::segment::SegmentId;

/// The end of the name of a message that is kept apart.
const BLOB: &str = ".blob.zst";

/// The end of the name of a file that is kept although it cannot be read: nothing takes it for a segment any more.
const ASIDE: &str = ".unreadable";

/// What a file is, by its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum File {
    Open(SegmentId),
    Sealed(SegmentId),
    Blob(SegmentId, String),
    /// It was set aside: a part of this segment that could not be read.
    Aside(SegmentId),
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
        if let Some(whole) = name.strip_suffix(ASIDE) {
            return match Self::of(whole)? {
                Self::Open(id) | Self::Sealed(id) | Self::Blob(id, _) => Some(Self::Aside(id)),
                Self::Aside(_) | Self::Unfinished => None,
            };
        }
        let whole = name.strip_suffix(TMP)?;
        Self::of(whole).map(|_| Self::Unfinished)
    }
}

/// The segment of a file that was set aside because it could not be read, by the file's name.
#[must_use]
pub fn set_aside_of(name: &str) -> Option<SegmentId> {
    match File::of(name)? {
        File::Aside(id) => Some(id),
        File::Open(_) | File::Sealed(_) | File::Blob(..) | File::Unfinished => None,
    }
}

/// The name under which a file is set aside.
pub(super) fn aside_name(name: &str) -> String {
    format!("{name}{ASIDE}")
}

pub(super) fn blob_name(id: &SegmentId, hash: &str) -> String {
    format!("{id}.{hash}{BLOB}")
}
