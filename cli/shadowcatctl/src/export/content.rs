//! Messages that are kept apart, for as long as records may refer to them.

use std::collections::{HashMap, VecDeque};

use shadowcat_tape::line::message;
use shadowcat_tape::record::Record;

/// Bytes of messages that are held: one comes before the first record that refers to it, and few are referred to again.
const HELD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The latest messages, by their hash. Beyond the bound the oldest goes; a record that refers to it later is damaged.
#[derive(Debug, Default)]
pub(super) struct Messages {
    held: HashMap<String, Vec<u8>>,
    order: VecDeque<String>,
    bytes: usize,
}

/// What a record holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    Message(Vec<u8>),
    /// The recording keeps none.
    None,
    /// It was kept apart and is not here, or is not what its encoding says.
    Lost(String),
}

impl Messages {
    pub(super) fn hold(&mut self, hash: &str, content: Vec<u8>) {
        if self.held.contains_key(hash) {
            return;
        }
        self.bytes += content.len();
        self.order.push_back(hash.to_owned());
        self.held.insert(hash.to_owned(), content);
        while self.bytes > HELD_BYTES_MAX && self.order.len() > 1 {
            let oldest = self.order.pop_front().and_then(|hash| self.held.remove(&hash));
            self.bytes -= oldest.map_or(0, |content| content.len());
        }
    }

    pub(super) fn of(&self, record: &Record<'_>) -> Content {
        if let Some(blob) = &record.blob {
            let held = self.held.get(blob.hash.as_ref()).cloned();
            return held.map_or_else(|| Content::Lost(format!("message {} did not come", blob.hash)), Content::Message);
        }
        match message(record) {
            Ok(Some(message)) => Content::Message(message.into_owned()),
            Ok(None) => Content::None,
            Err(why) => Content::Lost(why.to_string()),
        }
    }
}
