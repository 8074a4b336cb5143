//! What lies at a path: a tape, a spool, or neither.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use shadowcat_tape::segment::SegmentId;
use shadowcat_tape::spool::set_aside_of;
use shadowcat_tape::tape::{BLOBS, MANIFEST};

use super::files::words;
use super::parts::number_on_tape;

/// The end of the name of a tape's directory.
const TAPE: &str = "tape";

/// What a node leaves in its spool for good, even when everything is shipped.
const LOCK: &str = "lock";

/// Entries of a directory that are looked at. A spool of 512 MiB has some thousands of files; a directory with more
/// than this is none, and what lies beyond is not found.
pub(super) const ENTRIES_MAX: usize = 200_000;

/// The two forms in which recorded traffic lies on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A directory with a manifest.
    Tape,
    /// What a node has recorded and not shipped.
    Spool,
}

impl Kind {
    /// Its name, in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tape => "tape",
            Self::Spool => "spool",
        }
    }
}

/// A directory with recorded traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
}

/// Why nothing can be read at a path.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The path leads nowhere, or not for this user.
    #[error("{path}: {}", words(source))]
    Path {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is a file.
    #[error("{0} is no directory: a tape and a spool are directories; give the one that holds it")]
    File(PathBuf),
    /// It is another directory.
    #[error(
        "{0} is neither a tape, which has a {MANIFEST}, nor a node's spool, which has <instance>-<number>.jsonl.zst; see `shadowcat tape list`"
    )]
    Neither(PathBuf),
}

impl Place {
    /// What lies at `path`.
    ///
    /// # Errors
    /// [`Unusable`] if that is no recorded traffic.
    pub fn at(path: &Path) -> Result<Self, Unusable> {
        let names = entries(path)?;
        let kind = kind(path, &names).or_else(|| names.contains(LOCK).then_some(Kind::Spool));
        kind.map(|kind| Self { path: path.to_owned(), kind }).ok_or_else(|| Unusable::Neither(path.to_owned()))
    }

    /// What lies at `path` or else in it, in the order of names. What cannot be looked into is left out, unless it is
    /// `path` itself: a directory has many entries that are nobody's business here.
    ///
    /// # Errors
    /// [`Unusable`] if `path` is no directory that can be listed.
    pub fn within(path: &Path) -> Result<Vec<Self>, Unusable> {
        let names = entries(path)?;
        if let Some(kind) = kind(path, &names) {
            return Ok(vec![Self { path: path.to_owned(), kind }]);
        }
        let found = |name: String| {
            let path = path.join(name);
            let kind = kind(&path, &entries(&path).ok()?)?;
            Some(Self { path, kind })
        };
        Ok(names.into_iter().filter_map(found).collect())
    }
}

/// Names in a directory. A name that is no text is nobody's here.
pub(super) fn entries(path: &Path) -> Result<BTreeSet<String>, Unusable> {
    let unusable = |source| Unusable::Path { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(unusable)?.is_dir() {
        return Err(Unusable::File(path.to_owned()));
    }
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(path).map_err(unusable)?.take(ENTRIES_MAX) {
        names.extend(entry.map_err(unusable)?.file_name().into_string().ok());
    }
    Ok(names)
}

/// A directory is a tape by its name, or by a manifest beside what belongs to one, as other programs have manifests too;
/// a spool by a segment's file, be it one that was set aside.
fn kind(path: &Path, names: &BTreeSet<String>) -> Option<Kind> {
    let is_segment = |name: &String| {
        let whole = SegmentId::of_open_name(name).or_else(|| SegmentId::of_sealed_name(name));
        whole.or_else(|| set_aside_of(name)).is_some()
    };
    let is_tape = names.contains(MANIFEST) && names.iter().any(|name| name == BLOBS || number_on_tape(name).is_some());
    if is_tape || path.extension().is_some_and(|extension| extension == TAPE) {
        Some(Kind::Tape)
    } else if names.iter().any(is_segment) {
        Some(Kind::Spool)
    } else {
        None
    }
}
