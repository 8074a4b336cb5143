//! What a message is called by, where a part of that was blotted out of it: what stands beside a message tells nothing that the
//! message does not.

use std::sync::Arc;

use serde_json::value::RawValue;
use shadowcat_mcp::{Envelope, Limits};
use shadowcat_tape::record::Redacted;

use super::frame::subject;

/// Where in a message its names stand, as JSON Pointers.
const PLACES: [&str; 5] = ["/id", "/method", "/params/name", "/params/uri", "/params/taskId"];

/// The names of a message as they may be told. What is absent is not told.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pub(super) id: Option<Arc<RawValue>>,
    pub(super) method: Option<Arc<str>>,
    pub(super) subject: Option<Arc<str>>,
}

impl Names {
    /// Those of a message, as they are without what was `removed`; `None` if that is none of them.
    pub(super) fn left(cleaned: &[u8], removed: &[Redacted<'_>]) -> Option<Self> {
        if !removed.iter().any(|removed| PLACES.contains(&&*removed.ptr)) {
            return None;
        }
        // A tag may be longer than what it stands for.
        let limits = Limits { size: usize::MAX, ..Limits::default() };
        let Ok(message) = Envelope::read(cleaned.to_vec().into(), limits) else { return Some(Self::default()) };
        let id = message.id().and_then(|id| RawValue::from_string(id.as_json().to_owned()).ok());
        Some(Self {
            id: id.map(Arc::from),
            method: message.method().map(Arc::from),
            subject: subject(&message).map(Arc::from),
        })
    }
}
