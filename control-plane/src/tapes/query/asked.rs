//! Requests that were seen as they were written, for the answers that follow.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

/// Requests that are kept: calls of a busy fleet that are under way at once.
const REQUESTS_MAX: usize = 4096;

/// Bytes of their messages: each is below 64 KiB, and most are far below.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// The last requests. Of more, or of larger ones, the oldest are forgotten: their answers cannot be judged by them.
#[derive(Default)]
pub(super) struct Asked {
    messages: HashMap<(String, u64), Bytes>,
    order: VecDeque<(String, u64)>,
    bytes: usize,
}

impl Asked {
    /// Keeps the message of the record `seq` of an instance.
    pub(super) fn keep(&mut self, instance: &str, seq: u64, message: Bytes) {
        let key = (instance.to_owned(), seq);
        self.bytes += message.len();
        if let Some(before) = self.messages.insert(key.clone(), message) {
            self.bytes -= before.len();
        } else {
            self.order.push_back(key);
        }
        while self.order.len() > REQUESTS_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            self.bytes -= self.messages.remove(&oldest).map_or(0, |message| message.len());
        }
    }

    /// The message of the record `seq` of an instance, if it is still kept.
    pub(super) fn of(&self, instance: &str, seq: u64) -> Option<Bytes> {
        self.messages.get(&(instance.to_owned(), seq)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_by_number_and_by_bytes() {
        let mut asked = Asked::default();
        for seq in 0..=REQUESTS_MAX as u64 {
            asked.keep("boot", seq, Bytes::from_static(b"{}"));
        }
        assert_eq!((asked.of("boot", 0), asked.of("other", 1)), (None, None));
        assert_eq!(asked.of("boot", 1).as_deref(), Some(&b"{}"[..]));
        asked.keep("boot", 5000, Bytes::from(vec![b'x'; BYTES_MAX + 1]));
        assert_eq!((asked.messages.len(), asked.bytes), (0, 0), "nothing is kept that is larger than all");
        asked.keep("boot", 7, Bytes::from_static(b"{}"));
        assert_eq!((asked.messages.len(), asked.order.len(), asked.bytes), (1, 1, 2));
    }
}
