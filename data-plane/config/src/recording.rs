//! A recording: what is kept of the traffic of the routes that name it, and for how long.

use std::time::Duration;

use crate::Name;
use crate::defaults::{DEFAULT_MAX_MESSAGE, DEFAULT_RETENTION};

/// What is kept of the traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recording {
    /// Unique among recordings.
    pub name: Name,
    /// How much of a message is kept.
    pub capture: Capture,
    /// Which share of the tapes is kept, from 0 to 100.
    pub sample_percent: u8,
    /// The longest message that is kept whole, in bytes.
    pub max_message: u64,
    /// What is blotted out before anything is written.
    pub redact: Redact,
    /// How callers are named.
    pub principals: Principals,
    /// When the control plane forgets it.
    pub retention: Retention,
    /// What happens when the node cannot write as fast as it records.
    pub on_overflow: Overflow,
}

impl Recording {
    /// Everything by default: every message, whole but for its secrets.
    #[must_use]
    pub fn named(name: Name) -> Self {
        Self {
            name,
            capture: Capture::Full,
            sample_percent: 100,
            max_message: DEFAULT_MAX_MESSAGE,
            redact: Redact::default(),
            principals: Principals::Hashed,
            retention: Retention::default(),
            on_overflow: Overflow::Gap,
        }
    }
}

/// How much of a message is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capture {
    /// Method, names, sizes and outcome.
    Metadata,
    /// The same, with HTTP headers.
    Headers,
    /// Everything.
    Full,
}

/// What is blotted out. Passwords, tokens and keys are known by the names of their fields, and always go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Redact {
    /// Further names of fields whose value goes; `*` stands for anything.
    pub keys: Vec<Box<str>>,
    /// Places whose value goes: JSONPath (RFC 9535), known to be such.
    pub paths: Vec<Box<str>>,
    /// Values that go wherever they are; all of them when empty.
    pub values: Vec<SecretForm>,
}

/// Values that are told by their form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretForm {
    /// Bearer tokens (RFC 6750).
    Bearer,
    /// Names and passwords in Basic authentication (RFC 7617).
    Basic,
    /// Access keys of AWS.
    AwsKey,
    /// JSON Web Tokens (RFC 7519).
    Jwt,
    /// Private keys and certificates in PEM (RFC 7468).
    Pem,
    /// Keys of programs' interfaces that show what they are.
    ApiKey,
    /// Passwords and keys in URLs.
    UrlCredentials,
    /// Cookies that are quoted in text.
    Cookie,
}

/// How callers are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principals {
    /// By a tag: the same caller has the same one.
    Hashed,
    /// By their subject.
    Plain,
}

/// When the control plane forgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// What is older goes.
    pub keep: Duration,
    /// Beyond so many bytes the oldest goes; no bound when absent.
    pub max_size: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { keep: DEFAULT_RETENTION, max_size: None }
    }
}

/// What happens when recording cannot keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The record says what is missing.
    Gap,
    /// The call is refused rather than its record lost.
    Required,
}
