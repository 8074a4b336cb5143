//! Which configuration it is, and how it came here.

use bytes::Bytes;
use shadowcat_config::{ConfigRef, Digest};
use shadowcat_proto::fleet::v1 as wire;

/// How a configuration came to this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// There is none.
    None,
    /// A file of this machine, or the program.
    File,
    /// The last one that served this node.
    Disk,
    /// The file it was started with.
    Seed,
    /// A control plane, in this boot.
    Stream,
}

/// Which configuration runs.
#[derive(Debug, Clone)]
pub(crate) struct Provenance {
    pub(crate) origin: Origin,
    /// Absent unless it is a version of a fleet's.
    pub(crate) version: Option<ConfigRef>,
    /// Its canonical bytes, if they are known.
    pub(crate) canonical: Option<Bytes>,
}

impl Origin {
    /// The word in `/config`.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::File => "file",
            Self::Disk => "disk",
            Self::Seed => "seed",
            Self::Stream => "stream",
        }
    }

    /// As `Hello` says it; a node with a file has no control plane to say it to.
    pub(crate) const fn on_the_wire(self) -> wire::hello::Origin {
        match self {
            Self::None | Self::File => wire::hello::Origin::None,
            Self::Disk => wire::hello::Origin::Disk,
            Self::Seed => wire::hello::Origin::Seed,
            Self::Stream => wire::hello::Origin::Stream,
        }
    }
}

impl Provenance {
    pub(crate) const fn none() -> Self {
        Self { origin: Origin::None, version: None, canonical: None }
    }

    pub(crate) const fn file(canonical: Option<Bytes>) -> Self {
        Self { origin: Origin::File, version: None, canonical }
    }

    pub(crate) fn number(&self) -> Option<u64> {
        self.version.as_ref().map(|version| version.number)
    }
}

/// A reference as the protocol has it.
pub(crate) fn to_wire(version: &ConfigRef) -> wire::ConfigRef {
    let digest = Bytes::copy_from_slice(version.digest.as_bytes());
    wire::ConfigRef { epoch: version.epoch.clone(), number: version.number, digest }
}

/// A reference of the protocol, unless its digest is none or its epoch longer than any.
pub(crate) fn from_wire(version: &wire::ConfigRef) -> Option<ConfigRef> {
    let digest = Digest::from_slice(&version.digest)?;
    let epoch = (version.epoch.len() <= EPOCH_BYTES_MAX).then(|| version.epoch.clone())?;
    Some(ConfigRef { epoch, number: version.number, digest })
}

/// An epoch is 32 hexadecimal digits; this leaves room, and a snapshot on disk can say it in one byte.
const EPOCH_BYTES_MAX: usize = 64;
