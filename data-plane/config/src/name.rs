//! Names of routes and upstreams.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::limits::MAX_NAME_BYTES;

/// Whether a text can name a route, an upstream, a fleet or a node: a DNS label (RFC 1123, 2.1) of lower-case letters, digits and
/// inner hyphens, 63 bytes at most.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_NAME_BYTES).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A DNS label (RFC 1123, 2.1): lower-case letters, digits and inner hyphens. Cheap to clone: logs, metrics and errors
/// all carry it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// Reads a name; `None` when it is no DNS label.
    pub(crate) fn new(text: &str) -> Option<Self> {
        is_name(text).then(|| Self(text.into()))
    }

    /// The name that [`Config::single`](crate::Config::single) gives to what has none.
    pub(crate) fn of_the_only_one() -> Self {
        Self("default".into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
