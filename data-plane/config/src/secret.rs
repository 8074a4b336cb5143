//! Secrets: references in the configuration, values only where they are used.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use crate::limits::MAX_SECRET_BYTES;

/// Where a secret is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// `env:NAME`: the environment of this process.
    Env(String),
    /// `file:PATH`: a file; one line ending at its end is not part of the secret. A relative path starts at the working
    /// directory.
    File(PathBuf),
}

impl SecretRef {
    /// Fetches the value. Reads a file where the reference names one, so not from an async task.
    ///
    /// # Errors
    /// When there is no such variable or file, or it holds nothing, too much, or bytes that are not UTF-8.
    pub fn resolve(&self) -> Result<Secret, SecretError> {
        let text = match self {
            Self::Env(name) => std::env::var(name).map_err(|why| {
                self.error(match why {
                    std::env::VarError::NotPresent => Reason::Unset,
                    std::env::VarError::NotUnicode(_) => Reason::NotText,
                })
            })?,
            Self::File(path) => {
                let text = read_bounded(path).map_err(|reason| self.error(reason))?;
                let line = text.strip_suffix('\n').unwrap_or(&text);
                line.strip_suffix('\r').unwrap_or(line).to_owned()
            }
        };
        if text.is_empty() {
            return Err(self.error(Reason::Empty));
        }
        Ok(Secret(text))
    }

    fn error(&self, reason: Reason) -> SecretError {
        SecretError { reference: self.clone(), reason }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

fn read_bounded(path: &PathBuf) -> Result<String, Reason> {
    let file = File::open(path).map_err(Reason::Unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes).map_err(Reason::Unreadable)?;
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err(Reason::TooLong);
    }
    String::from_utf8(bytes).map_err(|_| Reason::NotText)
}

/// The value of a secret. Debug output shows that there is one, and no more.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value, for the one place that needs it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a secret could not be had. Names the reference, never a value.
#[derive(Debug, thiserror::Error)]
#[error("secret {reference}: {reason}")]
pub struct SecretError {
    reference: SecretRef,
    #[source]
    reason: Reason,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("the variable is not set")]
    Unset,
    #[error("it is empty")]
    Empty,
    #[error("it is not UTF-8 text")]
    NotText,
    #[error("it is longer than {MAX_SECRET_BYTES} bytes")]
    TooLong,
    #[error("the file cannot be read: {0}")]
    Unreadable(io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: &[u8]) -> (tempfile::TempDir, SecretRef) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("secret");
        std::fs::write(&path, bytes).expect("written");
        (directory, SecretRef::File(path))
    }

    #[test]
    fn a_file_gives_its_text_without_one_line_ending() {
        for (bytes, expected) in
            [("hunter2", "hunter2"), ("hunter2\n", "hunter2"), ("hunter2\r\n", "hunter2"), (" a\n\n", " a\n")]
        {
            let (_directory, reference) = written(bytes.as_bytes());
            assert_eq!(reference.resolve().expect("readable").as_str(), expected);
        }
    }

    #[test]
    fn what_holds_no_secret_is_told_by_reference() {
        for (bytes, reason) in [
            (b"\n".to_vec(), "it is empty"),
            (vec![0xff], "it is not UTF-8 text"),
            (vec![b'x'; 64 * 1024 + 1], "it is longer than 65536 bytes"),
        ] {
            let (_directory, reference) = written(&bytes);
            assert_eq!(reference.resolve().expect_err(reason).to_string(), format!("secret {reference}: {reason}"));
        }
        let unset = SecretRef::Env("SHADOWCAT_TEST_NEVER_SET".to_owned()).resolve().expect_err("unset").to_string();
        assert_eq!(unset, "secret env:SHADOWCAT_TEST_NEVER_SET: the variable is not set");
        let absent = SecretRef::File("no/such/file".into()).resolve().expect_err("absent").to_string();
        assert!(absent.starts_with("secret file:no/such/file: the file cannot be read: "), "{absent}");
    }

    #[test]
    fn a_secret_does_not_print_itself() {
        let (_directory, reference) = written(b"hunter2");
        assert_eq!(format!("{:?}", reference.resolve().expect("readable")), "***");
    }
}
