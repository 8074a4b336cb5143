//! The key of the tags that stand where secrets stood. A fleet has one, which its control plane gives to the nodes; until a node has
//! heard it, and on a machine without a fleet, it is the machine's own.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use shadowcat_tape::redact::{RedactionKey, Redactor, Rules};

/// The file's name in the spool.
const NAME: &str = "redaction.key";

/// Whoever has the key can test guesses against a tape.
const MODE: u32 = 0o600;

/// The name of a key, as segments tell it.
pub(super) fn id_of(key: &RedactionKey) -> String {
    Redactor::new(&Rules::default(), key).map(|redactor| redactor.key_id().to_owned()).unwrap_or_default()
}

/// Where the key is kept from start to start.
#[derive(Debug)]
pub(super) struct KeyFile(PathBuf);

impl KeyFile {
    pub(super) fn in_dir(dir: &Path) -> Self {
        Self(dir.join(NAME))
    }

    /// The key that an earlier start left, or a new one. Where it cannot be kept, tags of this start cannot be compared with later ones.
    ///
    /// # Errors
    /// When the system gives no random bytes: tags of a key that can be guessed would hide nothing.
    pub(super) fn load_or_make(&self, dir: &Path) -> io::Result<RedactionKey> {
        if let Some(key) = self.load() {
            return Ok(key.into());
        }
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        if let Err(error) = fs::create_dir_all(dir) {
            tracing::warn!(dir = %dir.display(), %error, "the directory of recorded traffic cannot be made");
        }
        self.keep(&key);
        Ok(key.into())
    }

    fn load(&self) -> Option<[u8; 32]> {
        let mut key = [0; 32];
        let mut file = fs::File::open(&self.0).ok()?;
        file.read_exact(&mut key).ok()?;
        Some(key)
    }

    /// Keeps a key for the next start.
    pub(super) fn keep(&self, key: &[u8; 32]) {
        if self.load().as_ref() == Some(key) {
            return;
        }
        if let Err(error) = self.write(key) {
            tracing::warn!(file = %self.0.display(), %error, "the key of redaction tags is not kept for the next start");
        }
    }

    fn write(&self, key: &[u8; 32]) -> io::Result<()> {
        let beside = self.0.with_extension("tmp");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&beside)?;
        file.write_all(key)?;
        file.sync_all()?;
        fs::rename(beside, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_the_same_at_the_next_start_and_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let spool = dir.path().join("spool");
        let file = KeyFile::in_dir(&spool);
        let made = id_of(&file.load_or_make(&spool).unwrap());
        assert_eq!(id_of(&KeyFile::in_dir(&spool).load_or_make(&spool).unwrap()), made);
        let mode = fs::metadata(spool.join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        file.keep(&[7; 32]);
        assert_eq!(id_of(&file.load_or_make(&spool).unwrap()), id_of(&RedactionKey::from([7; 32])));
    }
}
