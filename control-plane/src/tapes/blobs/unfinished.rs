//! Files that puts into a directory leave behind when their process is killed.
//!
//! `object_store` writes an object beside its place, as `NAME#NUMBER`, and renames it when it is whole. It takes no file of that form for
//! an object, so nobody else would ever find these.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Removes those that were written last before a time, in microseconds since 1970: how many. Blocks on the disk.
pub(super) fn remove(root: &Path, before: i64) -> io::Result<u64> {
    let before = SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(before).unwrap_or(0));
    let (mut removed, mut directories) = (0, vec![root.to_owned()]);
    while let Some(directory) = directories.pop() {
        let Some(entries) = there(fs::read_dir(directory))? else { continue };
        for entry in entries {
            let Some(entry) = there(entry)? else { continue };
            let Some(kind) = there(entry.file_type())? else { continue };
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file() && is_unfinished(&entry) && is_old(&entry, before)? {
                removed += u64::from(there(fs::remove_file(entry.path()))?.is_some());
            }
        }
    }
    Ok(removed)
}

fn is_unfinished(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let number = name.to_str().and_then(|name| name.rsplit_once('#')).map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
}

fn is_old(entry: &DirEntry, before: SystemTime) -> io::Result<bool> {
    let written = there(entry.metadata())?.map(|metadata| metadata.modified()).transpose()?;
    Ok(written.is_some_and(|written| written < before))
}

/// What went meanwhile is none of ours.
fn there<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
