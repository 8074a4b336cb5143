//! Secrets that never were any, and the search for what is left of them in files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use shadowcat_tape::line;

/// Bytes of a secret that must not be left anywhere: shorter runs occur in any text.
const FRAGMENT: usize = 12;

/// How a zstd frame begins, and a skippable one but for the low half of its first byte (RFC 8878, section 3.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];

/// The secrets on which redaction is tested, one a line behind what finds it. `~` parts them for scanners, `\n` is a line end.
const CORPUS: &str = include_str!("../../../../data-plane/tape/src/redact/tests/corpus.txt");

/// A secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Secret {
    pub(super) text: String,
    rule: String,
}

impl Secret {
    /// Those of the corpus.
    pub(super) fn all() -> Vec<Self> {
        let lines = CORPUS.lines().filter(|line| !line.starts_with('#'));
        let secret = |line: &str| {
            let (rule, text) = line.split_once(' ').expect("a rule and a secret");
            Self { rule: rule.to_owned(), text: text.trim_start().replace('~', "").replace("\\n", "\n") }
        };
        lines.map(secret).collect()
    }

    /// Whether it is known by itself, and not only by the name before it.
    pub(super) fn has_form(&self) -> bool {
        self.rule != "named"
    }

    /// Whether it is one word: it may stand in a header, or be a name.
    pub(super) fn is_word(&self) -> bool {
        !self.text.contains(['\n', ' '])
    }

    /// Whether it may stand in a URL.
    pub(super) fn fits_url(&self) -> bool {
        self.text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    }

    /// In a sentence, where that betrays it; else behind a name that does.
    pub(super) fn in_prose(&self) -> String {
        let text = &self.text;
        if self.has_form() {
            format!("the server said {text} and went on")
        } else {
            format!("starting with API_KEY={text}")
        }
    }

    /// What of it must not be left. What the blocks of all keys have in common is none of it.
    fn fragments(&self) -> impl Iterator<Item = [u8; FRAGMENT]> {
        let windows = self.text.as_bytes().windows(FRAGMENT);
        let is_own = |window: &&[u8]| self.rule != "pem" || !window.iter().any(|byte| b"-\n ".contains(byte));
        windows.filter(is_own).map(|window| window.try_into().expect("a window has its length"))
    }
}

/// Fragments of secrets, to be looked for.
#[derive(Debug)]
pub(super) struct Fragments(HashSet<[u8; FRAGMENT]>);

impl Fragments {
    pub(super) fn of(secrets: &[Secret]) -> Self {
        Self(secrets.iter().flat_map(Secret::fragments).collect())
    }

    /// The first fragment in `bytes`, with what stands before and after it; what is escaped in JSON is found too.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<String> {
        let unescaped: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != b'\\').collect();
        self.find_plain(bytes).or_else(|| self.find_plain(&unescaped))
    }

    fn find_plain(&self, bytes: &[u8]) -> Option<String> {
        /// Bytes around a fragment that tell where it came from.
        const AROUND: usize = 200;
        let is_fragment =
            |window: &[u8]| window.try_into().is_ok_and(|window: [u8; FRAGMENT]| self.0.contains(&window));
        let at = bytes.windows(FRAGMENT).position(is_fragment)?;
        let around = &bytes[at.saturating_sub(AROUND)..bytes.len().min(at + FRAGMENT + AROUND)];
        Some(String::from_utf8_lossy(around).into_owned())
    }

    /// The files below `dir` in which something is left, and how many were looked into.
    pub(super) fn find_below(&self, dir: &Path) -> (Vec<(PathBuf, String)>, usize) {
        let files = files_below(dir);
        let count = files.len();
        let found = files.into_iter().filter_map(|path| {
            let bytes = unpacked(std::fs::read(&path).ok()?, &path);
            let found = self.find(&bytes).or_else(|| messages(&bytes).find_map(|message| self.find(&message)))?;
            Some((path, found))
        });
        (found.collect(), count)
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let files = entries.flat_map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => files_below(&entry.path()),
        Ok(kind) if kind.is_file() => vec![entry.path()],
        _ => Vec::new(),
    });
    files.collect()
}

fn unpacked(bytes: Vec<u8>, path: &Path) -> Vec<u8> {
    if bytes.starts_with(&ZSTD) || bytes.get(1..4) == Some(&SKIPPABLE) {
        zstd::decode_all(&*bytes).unwrap_or_else(|error| panic!("{} cannot be unpacked: {error}", path.display()))
    } else {
        bytes
    }
}

/// The messages of what may be records: some are in base64.
fn messages(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let records = bytes.split_inclusive(|byte| *byte == b'\n').filter_map(|bytes| line::decode(bytes).ok());
    records.filter_map(|record| Some(line::message(&record).ok()??.into_owned()))
}

#[test]
fn what_is_left_of_a_secret_is_found() {
    let secrets = Secret::all();
    assert!(secrets.len() >= 60);
    let fragments = Fragments::of(&secrets);
    for secret in &secrets {
        let json = serde_json::json!({ "text": format!("a {} b", secret.text) }).to_string();
        assert!(fragments.find(json.as_bytes()).is_some(), "{json}");
    }
    assert_eq!(fragments.find(b"-----BEGIN PRIVATE KEY----- and other words that all keys have in common"), None);
}
