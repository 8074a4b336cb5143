//! Lines of a pipe, each a slice of what was read.

use std::io;

use bytes::{Bytes, BytesMut};
use memchr::memchr;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What one read asks for: the size at which a Linux pipe is drained in eight reads, and what an idle child costs.
const READ: usize = 8 * 1024;

/// A buffer that grew beyond this for one long line is given back after it.
const KEEP: usize = 64 * 1024;

/// What becomes of a line longer than the cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overlong {
    /// It is an error: half a message is none.
    Refuse,
    /// It comes in pieces: text for people.
    Split,
}

/// Why there is no further line.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("a line is longer than {0} bytes")]
    TooLong(usize),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads lines of at most `cap` bytes. Dropping a pending [`next`](Self::next) loses nothing.
pub(super) struct Lines<R> {
    reader: R,
    buffer: BytesMut,
    /// Bytes at the front of the buffer that hold no line feed.
    scanned: usize,
    cap: usize,
    overlong: Overlong,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R, cap: usize, overlong: Overlong) -> Self {
        Self { reader, buffer: BytesMut::new(), scanned: 0, cap, overlong }
    }

    /// The next line without its line end; `None` at the end. A last line without a line feed counts.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, LineError> {
        loop {
            if let Some(line) = self.buffered()? {
                return Ok(Some(line));
            }
            self.buffer.reserve(READ);
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                self.scanned = 0;
                let rest = self.buffer.split().freeze();
                return Ok((!rest.is_empty()).then(|| trimmed(rest)));
            }
        }
    }

    fn buffered(&mut self) -> Result<Option<Bytes>, LineError> {
        let line = match memchr(b'\n', &self.buffer[self.scanned..]) {
            Some(at) if self.scanned + at <= self.cap => {
                let mut line = self.buffer.split_to(self.scanned + at + 1);
                line.truncate(line.len() - 1);
                line
            }
            None if self.buffer.len() <= self.cap => {
                self.scanned = self.buffer.len();
                return Ok(None);
            }
            _ if self.overlong == Overlong::Refuse => return Err(LineError::TooLong(self.cap)),
            _ => self.buffer.split_to(self.cap),
        };
        self.scanned = 0;
        if line.len() > KEEP {
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        Ok(Some(trimmed(line.freeze())))
    }
}

/// Without the carriage return of a CRLF.
fn trimmed(mut line: Bytes) -> Bytes {
    if line.last() == Some(&b'\r') {
        line.truncate(line.len() - 1);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{LineError, Lines, Overlong};

    async fn all(text: &str, cap: usize, overlong: Overlong) -> Result<Vec<String>, LineError> {
        let mut lines = Lines::new(text.as_bytes(), cap, overlong);
        let mut out = Vec::new();
        while let Some(line) = lines.next().await? {
            out.push(String::from_utf8_lossy(&line).into_owned());
        }
        Ok(out)
    }

    #[tokio::test]
    async fn lines_end_at_line_feeds_and_the_last_one_at_the_end() {
        assert_eq!(all("a\r\n\nbc\nd", 9, Overlong::Refuse).await.expect("lines"), ["a", "", "bc", "d"]);
        assert!(all("", 9, Overlong::Refuse).await.expect("nothing").is_empty());
    }

    #[tokio::test]
    async fn a_line_beyond_the_cap_is_refused_and_one_at_the_cap_is_not() {
        assert_eq!(all("abcd\n", 4, Overlong::Refuse).await.expect("fits"), ["abcd"]);
        assert!(matches!(all("abcde\n", 4, Overlong::Refuse).await, Err(LineError::TooLong(4))));
        assert!(matches!(all("abcde", 4, Overlong::Refuse).await, Err(LineError::TooLong(4))));
    }

    #[tokio::test]
    async fn a_line_beyond_the_cap_may_come_in_pieces() {
        assert_eq!(all("abcdefghij\nk\n", 4, Overlong::Split).await.expect("pieces"), ["abcd", "efgh", "ij", "k"]);
    }

    #[tokio::test]
    async fn lines_longer_than_a_read_come_whole() {
        let long = "x".repeat(100_000);
        assert_eq!(
            all(&format!("{long}\ny\n{long}\n"), 200_000, Overlong::Refuse).await.expect("lines"),
            [&long, "y", &long]
        );
    }
}
