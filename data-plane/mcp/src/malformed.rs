//! Why a message was refused, in words that may go to the peer: the place and the cure.

use crate::ErrorKind;

/// A message that was refused before anything acted on it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Malformed {
    reason: Reason,
    id: Option<Box<str>>,
}

/// What is wrong with a message. Displays as one public sentence that quotes nothing of the message but member names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Longer than [`Limits::size`](crate::Limits::size).
    #[error("the message has {size} bytes and the limit is {limit}: send a smaller one")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Not UTF-8 (RFC 8259, section 8.1).
    #[error("the message is not UTF-8 at byte {offset}: encode JSON as UTF-8")]
    NotUtf8 {
        /// The first bad byte.
        offset: usize,
    },
    /// Not JSON (RFC 8259).
    #[error("the message is not JSON at byte {offset} ({what}): send one complete JSON object")]
    NotJson {
        /// Where it stops being JSON.
        offset: usize,
        /// What was expected there.
        what: &'static str,
    },
    /// A JSON array at the top (2025-06-18 removed batches).
    #[error("the message is a JSON array and batches are not served here: send each message in a request of its own")]
    Batch,
    /// A JSON value that is neither an object nor an array.
    #[error("the message is not a JSON object: send one JSON-RPC 2.0 request, notification or response")]
    NotAnObject,
    /// A member name occurs twice in an object that the gateway reads.
    #[error("the member {key:?} occurs twice in {place} (byte {offset}): send it once")]
    DuplicateKey {
        /// The name, escapes taken out; a long one is cut.
        key: Box<str>,
        /// The object.
        place: &'static str,
        /// Where it occurs the second time.
        offset: usize,
    },
    /// Nested deeper than [`Limits::depth`](crate::Limits::depth).
    #[error("the message nests deeper than {limit} levels at byte {offset}: send a flatter one")]
    TooDeep {
        /// The limit.
        limit: u16,
        /// Where it is passed.
        offset: usize,
    },
    /// JSON, but no JSON-RPC 2.0 message.
    #[error("the message is not JSON-RPC 2.0: {what}")]
    NotJsonRpc {
        /// The place and the cure.
        what: &'static str,
    },
    /// An id that MCP does not allow (2025-11-25, "Overview", requests: a string or an integer, not null).
    #[error("the member \"id\" must be a string or an integer: {what}")]
    BadId {
        /// The cure.
        what: &'static str,
    },
}

impl Malformed {
    pub(crate) fn new(reason: Reason, id: Option<Box<str>>) -> Self {
        Self { reason, id }
    }

    /// What is wrong.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// The JSON text of the message's id, where it could be read without doubt, so that the answer can carry it.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The row of the error table when the message came from a client.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self.reason {
            Reason::TooLarge { .. } => ErrorKind::TooLarge,
            Reason::NotUtf8 { .. } | Reason::NotJson { .. } => ErrorKind::ParseError,
            Reason::Batch => ErrorKind::BatchRefused,
            Reason::NotAnObject
            | Reason::DuplicateKey { .. }
            | Reason::TooDeep { .. }
            | Reason::NotJsonRpc { .. }
            | Reason::BadId { .. } => ErrorKind::InvalidRequest,
        }
    }
}
