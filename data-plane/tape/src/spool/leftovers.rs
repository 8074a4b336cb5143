//! What earlier boots left in the directory, by the names of its files alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::Blob;
use super::files::File;
use crate::directory::Directory;
use crate::segment::SegmentId;

/// Files of earlier boots.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    pub(super) open: BTreeSet<SegmentId>,
    pub(super) sealed: BTreeSet<SegmentId>,
    pub(super) blobs: BTreeMap<SegmentId, Vec<Blob>>,
    /// Names of files that were set aside, by their segment.
    pub(super) aside: BTreeMap<SegmentId, Vec<String>>,
    /// Names of files that were being written.
    pub(super) unfinished: Vec<String>,
}

impl Leftovers {
    pub(super) fn has_instance(&self, instance: &str) -> bool {
        self.open.iter().chain(&self.sealed).any(|id| id.instance == instance)
    }

    /// Whether a segment is the last of its instance: the one that was open when the instance ended.
    pub(super) fn is_last(&self, id: &SegmentId) -> bool {
        let after = |ids: &BTreeSet<SegmentId>| {
            ids.range(id..).nth(usize::from(ids.contains(id))).is_some_and(|next| next.instance == id.instance)
        };
        !after(&self.open) && !after(&self.sealed)
    }
}

pub(super) fn list(directory: &Directory) -> io::Result<Leftovers> {
    let mut leftovers = Leftovers::default();
    for name in directory.names()? {
        match File::of(&name) {
            Some(File::Open(id)) => {
                leftovers.open.insert(id);
            }
            Some(File::Sealed(id)) => {
                leftovers.sealed.insert(id);
            }
            Some(File::Blob(id, hash)) => {
                // Nothing is wrong with a file that has no length: who reads it will be told.
                let bytes = directory.metadata(&name).map_or(0, |file| file.len());
                leftovers.blobs.entry(id).or_default().push(Blob { hash, bytes });
            }
            Some(File::Aside(id)) => leftovers.aside.entry(id).or_default().push(name),
            Some(File::Unfinished) => leftovers.unfinished.push(name),
            None => {}
        }
    }
    Ok(leftovers)
}
