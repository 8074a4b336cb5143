//! Records as they are written, for whoever follows the traffic. Best effort: the spool has them all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use shadowcat_tape::line::{Message, encode, encode_message};
use shadowcat_tape::record::Record;
use tokio::sync::mpsc;

/// Records that wait for a line that follows. At the bound they are left out, and the line says how many.
const WAITING_MAX: usize = 1024;

/// A record that is longer goes without its message, which the spool keeps apart: what waits is bounded by both, at 64 MiB, and a message
/// has room for several.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of the records of one message, whose bound is one MiB.
const AT_ONCE_BYTES: usize = 512 * 1024;

/// The thread's end.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// Looked at for every record.
    wanted: AtomicBool,
    to: Mutex<Option<mpsc::Sender<Bytes>>>,
    skipped: Arc<AtomicU64>,
}

impl Followed {
    /// A line follows from now on; one that did before does no more.
    pub(super) fn follow(&self) -> Live {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        *self.to.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        self.skipped.store(0, Ordering::Relaxed);
        self.wanted.store(true, Ordering::Release);
        Live { receiver, skipped: Arc::clone(&self.skipped) }
    }

    /// Whether anybody follows.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Hands a record over, if there is room. Who follows sees by its size that it had a message.
    pub(super) fn tell_record(&self, record: &Record<'_>, message: Option<Message<'_>>) {
        let mut line = Vec::new();
        match message {
            Some(message) => encode_message(record, message, &mut line),
            None => encode(record, &mut line),
        }
        if line.len() > LINE_BYTES_MAX {
            line.clear();
            encode(record, &mut line);
        }
        line.pop();
        self.tell(line.into());
    }

    fn tell(&self, line: Bytes) {
        if line.len() > LINE_BYTES_MAX {
            self.skipped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        match to.as_ref().map(|sender| sender.try_send(line)) {
            Some(Err(mpsc::error::TrySendError::Full(_))) => _ = self.skipped.fetch_add(1, Ordering::Relaxed),
            Some(Ok(())) => {}
            Some(Err(mpsc::error::TrySendError::Closed(_))) | None => {
                *to = None;
                self.wanted.store(false, Ordering::Release);
            }
        }
    }
}

/// The line's end.
#[derive(Debug)]
pub(crate) struct Live {
    receiver: mpsc::Receiver<Bytes>,
    skipped: Arc<AtomicU64>,
}

impl Live {
    /// The next records, at most so many, and how many were left out before them. Never, once the recorder has ended.
    pub(crate) async fn next(&mut self, most: usize) -> (Vec<Bytes>, u64) {
        let Some(first) = self.receiver.recv().await else { return std::future::pending().await };
        let mut bytes = first.len();
        let mut records = vec![first];
        // Nothing is awaited from here on: what was taken is told.
        while records.len() < most
            && bytes < AT_ONCE_BYTES
            && let Ok(record) = self.receiver.try_recv()
        {
            bytes += record.len();
            records.push(record);
        }
        (records, self.skipped.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use shadowcat_tape::line::decode;

    use super::*;

    #[tokio::test]
    async fn a_record_with_a_large_message_is_told_without_it() {
        let followed = Followed::default();
        let mut live = followed.follow();
        let record = Record { seq: 7, sz: Some(LINE_BYTES_MAX as u64), ..Record::default() };
        let message = format!("\"{}\"", "x".repeat(LINE_BYTES_MAX));
        followed.tell_record(&record, Some(Message::of(b"{}")));
        followed.tell_record(&record, Some(Message::of(message.as_bytes())));
        let (lines, skipped) = live.next(10).await;
        let told: Vec<_> = lines.iter().map(|line| decode(line).unwrap()).collect();
        assert_eq!((told.len(), skipped, told[0].body.is_some(), told[1].body.is_some()), (2, 0, true, false));
        assert_eq!((told[1].seq, told[1].sz), (7, Some(LINE_BYTES_MAX as u64)));
    }

    #[tokio::test]
    async fn who_follows_too_slowly_is_told_how_much_was_left_out() {
        let followed = Followed::default();
        assert!(!followed.is_wanted());
        let mut live = followed.follow();
        followed.tell(vec![b' '; LINE_BYTES_MAX + 1].into());
        for _ in 0..WAITING_MAX + 3 {
            followed.tell(Bytes::from_static(b"{}"));
        }
        let (records, skipped) = live.next(10).await;
        assert_eq!((records.len(), skipped), (10, 4));
        let mut live = followed.follow();
        for _ in 0..20 {
            followed.tell(vec![b' '; LINE_BYTES_MAX].into());
        }
        assert_eq!(live.next(256).await.0.len(), AT_ONCE_BYTES / LINE_BYTES_MAX, "a message has room for them");
        drop(live);
        followed.tell(Bytes::new());
        assert!(!followed.is_wanted(), "nobody follows any more");
    }
}
