//! Text that must stay as it is, kept in files. `UPDATE_GOLDEN=1 cargo test -p CRATE` writes those of a crate anew.
//!
//! Compiled into the tests of each crate that has such text, which keeps its own files.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// The golden files of one kind.
pub(crate) struct Golden {
    directory: PathBuf,
    seen: BTreeSet<String>,
    differing: Vec<String>,
}

impl Golden {
    /// Those in `tests/golden/<kind>`.
    pub(crate) fn new(kind: &str) -> Self {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join("golden").join(kind);
        Self { directory, seen: BTreeSet::new(), differing: Vec::new() }
    }

    /// Compares one text, or writes it.
    pub(crate) fn compare(&mut self, name: &str, actual: &str) {
        let file = format!("{name}.txt");
        let path = self.directory.join(&file);
        self.seen.insert(file);
        if updating() {
            fs::create_dir_all(&self.directory).expect("a directory");
            fs::write(&path, actual).expect("written");
            return;
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if expected != actual {
            self.differing.push(format!("--- {}\n{expected}+++ now\n{actual}", path.display()));
        }
    }

    /// Fails if anything differed, or a file has no text any more.
    pub(crate) fn finish(self) {
        let there = fs::read_dir(&self.directory).expect("golden files");
        let there = there.map(|entry| entry.expect("listed").file_name().to_string_lossy().into_owned());
        for stale in there.filter(|name| !self.seen.contains(name)).collect::<Vec<_>>() {
            if updating() {
                fs::remove_file(self.directory.join(&stale)).expect("removed");
            } else {
                panic!("nothing prints {stale} any more: run with UPDATE_GOLDEN=1");
            }
        }
        let differing = self.differing;
        assert!(differing.is_empty(), "{}\nif this is wanted, run with UPDATE_GOLDEN=1", differing.join("\n"));
    }
}

fn updating() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1")
}
