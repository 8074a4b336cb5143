//! Tokens: what a node joins with, and what an operator shows. Only their hashes are kept.
//!
//! Invariant: no secret is printed unless [`JoinToken::reveal`] or [`AdminToken::reveal`] is called, once, for whoever asked for it.

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use shadowcat_config::{Digest, digest};
use shadowcat_net::Fingerprint;

use crate::store::{self, Actor, Role, Store, StoreError};

/// 256 bits: not to be guessed, and so not slowed down either when it is checked.
const SECRET_BYTES: usize = 32;

/// The six bits that base64url writes as `-` (RFC 4648, 5).
const BASE64URL_HYPHEN: u8 = 62;

/// As base64url without padding.
const SECRET_CHARS: usize = 43;

/// By which an admin token is found where it does not belong, in a log or a repository.
const ADMIN_PREFIX: &str = "shadowcat_";

/// In the data directory.
pub const ADMIN_TOKEN_FILE: &str = "admin-token";

/// Whose the first token is.
pub const FIRST_ADMIN: &str = "admin";

/// Only whoever runs the control plane reads it.
const ADMIN_TOKEN_MODE: u32 = 0o600;

/// What an operator gives to a new node: a secret, and by what to know the control plane.
///
/// `<43 characters, base64url of 256 bits>.<64 characters, hexadecimal SHA-256 of the authority's certificate>`
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    secret: [u8; SECRET_BYTES],
    authority: Fingerprint,
}

/// What an operator shows with every call: `shadowcat_<43 characters, base64url of 256 bits>`.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminToken {
    secret: [u8; SECRET_BYTES],
}

/// Why a text is no token. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// No join token.
    #[error("this is no join token: one is made by `shadowcatctl nodes token`, and is 108 characters long")]
    Join,
    /// No admin token.
    #[error("this is no admin token: one starts with {ADMIN_PREFIX} and has 43 characters after it")]
    Admin,
}

impl JoinToken {
    /// A new one.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub fn generate(authority: Fingerprint) -> io::Result<Self> {
        Ok(Self { secret: random()?, authority })
    }

    /// As it is handed out.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(self.secret), self.authority)
    }

    /// As it is kept.
    #[must_use]
    pub fn hash(&self) -> Digest {
        digest(&self.secret)
    }

    /// The authority it was made for.
    #[must_use]
    pub fn authority(&self) -> Fingerprint {
        self.authority
    }
}

impl AdminToken {
    /// A new one.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub fn generate() -> io::Result<Self> {
        Ok(Self { secret: random()? })
    }

    /// As it is handed out.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{ADMIN_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(self.secret))
    }

    /// As it is kept.
    #[must_use]
    pub fn hash(&self) -> Digest {
        digest(&self.secret)
    }
}

impl FromStr for JoinToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let (secret, authority) = text.split_once('.').ok_or(InvalidToken::Join)?;
        let secret = secret_of(secret).ok_or(InvalidToken::Join)?;
        Ok(Self { secret, authority: authority.parse().map_err(|_| InvalidToken::Join)? })
    }
}

impl FromStr for AdminToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let secret = text.strip_prefix(ADMIN_PREFIX).and_then(secret_of).ok_or(InvalidToken::Admin)?;
        Ok(Self { secret })
    }
}

/// Without the secret.
impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken").field("authority", &self.authority).finish_non_exhaustive()
    }
}

/// Without the secret.
impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminToken").finish_non_exhaustive()
    }
}

/// Where an operator finds the first admin token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstToken {
    /// In this file, from now on.
    Made(PathBuf),
    /// In this file, where it was.
    Kept(PathBuf),
    /// Nowhere: there are tokens, and this file is gone. It is not made again, or whoever deletes a file would be an admin.
    Gone(PathBuf),
}

/// Why there is no first admin token.
#[derive(Debug, thiserror::Error)]
pub enum FirstTokenError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file failed.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// The file holds something else.
    #[error("{0}: {1}: move it away, and one is made")]
    NoToken(PathBuf, InvalidToken),
}

/// Sees to it that a control plane without tokens gets one, of role admin.
///
/// The file is written first: a start that dies in between leaves a file whose token the next one takes. So does an operator who
/// wants to choose the first token. A file with nothing in it is what a full disk leaves, and counts as none.
///
/// # Errors
/// If the database or the file fails.
pub async fn first_admin_token(store: &dyn Store, data_dir: &Path) -> Result<FirstToken, FirstTokenError> {
    let path = data_dir.join(ADMIN_TOKEN_FILE);
    let failed = |error| FirstTokenError::File(path.clone(), error);
    let kept = match std::fs::read_to_string(&path) {
        Ok(text) => Some(text).filter(|text| !text.trim().is_empty()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    if store.has_admin_token().await? {
        return Ok(if kept.is_some() { FirstToken::Kept(path) } else { FirstToken::Gone(path) });
    }
    let token: AdminToken = match &kept {
        Some(text) => {
            let token = text.trim().parse().map_err(|error| FirstTokenError::NoToken(path.clone(), error))?;
            // Whoever put it there may have left it open to others.
            fs::set_permissions(&path, Permissions::from_mode(ADMIN_TOKEN_MODE)).map_err(failed)?;
            token
        }
        None => {
            let token = AdminToken::generate().map_err(failed)?;
            write_whole(&path, &token.reveal()).map_err(failed)?;
            token
        }
    };
    keep(store, &token, FIRST_ADMIN, Role::Admin).await?;
    Ok(FirstToken::Made(path))
}

/// Keeps a token that the host of the control plane asked for, without an end.
///
/// # Errors
/// If the database fails.
pub async fn keep(store: &dyn Store, token: &AdminToken, name: &str, role: Role) -> Result<(), StoreError> {
    let by = Actor {
        fleet: String::new(),
        name: "control plane".to_owned(),
        address: String::new(),
        verb: "tokens.create".to_owned(),
        resource: format!("token {name} ({})", role.as_str()),
    };
    let row = store::AdminToken { hash: token.hash(), name: name.to_owned(), role, expires_at: None };
    store.create_admin_token(row, by).await
}

impl fmt::Display for FirstToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made(path) => write!(f, "the first admin token is in {}", path.display()),
            Self::Kept(path) => write!(f, "an admin token is in {}", path.display()),
            Self::Gone(path) => write!(
                f,
                "{} is gone: use a token that you have, or make another with `shadowcat-control-plane token`",
                path.display()
            ),
        }
    }
}

/// Writes a token so that the file is there with all of it, or not at all.
fn write_whole(path: &Path, token: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    // What a start that died has left is not worth keeping.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(ADMIN_TOKEN_MODE).open(&beside)?;
    // The mask of the process may take from the mode.
    file.set_permissions(Permissions::from_mode(ADMIN_TOKEN_MODE))?;
    writeln!(file, "{token}")?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// None is written with a `-` in front: a command line would take it for a flag.
fn random() -> io::Result<[u8; SECRET_BYTES]> {
    let mut secret = [0; SECRET_BYTES];
    loop {
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        if secret[0] >> 2 != BASE64URL_HYPHEN {
            return Ok(secret);
        }
    }
}

fn secret_of(text: &str) -> Option<[u8; SECRET_BYTES]> {
    if text.len() != SECRET_CHARS {
        return None;
    }
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}
