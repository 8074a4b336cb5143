//! The way to a child: whole lines, one after the other, whoever writes them.

use std::io;
use std::time::Duration;

use bytes::buf::Chain;
use bytes::{Buf, Bytes};
use memchr::memchr2;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long a child may leave its stdin unread once the pipe (64 KiB) is full. Servers read their input all the time, so
/// one that does not is stuck; the bound also ends the embrace of a child that writes while the gateway writes.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a message did not get through.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// The child is being stopped, or has closed its stdin.
    #[error("closed")]
    Closed,
    /// The child does not read.
    #[error("not read within {WRITE_TIMEOUT:?}")]
    Stuck,
}

/// A child's stdin.
pub(super) struct Stdin {
    /// The child's number.
    pub(super) number: u64,
    pipe: Mutex<Pipe>,
    closing: CancellationToken,
}

struct Pipe {
    /// Absent once closed.
    writer: Option<ChildStdin>,
    /// The rest of a line whose sender went away in the middle of it. The next sender writes it first: a line that was
    /// begun must be finished, or the next message would be glued to its torn end.
    unsent: Chain<Bytes, &'static [u8]>,
}

impl Stdin {
    /// To the child with this number. Refuses further lines, those being written included, once `closing` is cancelled.
    pub(super) fn new(number: u64, writer: Option<ChildStdin>, closing: CancellationToken) -> Self {
        Self { number, pipe: Mutex::new(Pipe { writer, unsent: Bytes::new().chain(b"") }), closing }
    }

    /// Writes a message as one line.
    pub(super) async fn send(&self, message: Bytes) -> Result<(), WriteError> {
        let line = one_line(message);
        let write = async { self.pipe.lock().await.write(line).await };
        tokio::select! {
            biased;
            () = self.closing.cancelled() => Err(WriteError::Closed),
            written = timeout(WRITE_TIMEOUT, write) => match written {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(WriteError::Closed),
                Err(_) => Err(WriteError::Stuck),
            },
        }
    }

    /// Closes the pipe: the child reads the end of its input. To be called after `closing` was cancelled.
    pub(super) async fn close(&self) {
        self.pipe.lock().await.writer = None;
    }
}

impl Pipe {
    async fn write(&mut self, line: Bytes) -> io::Result<()> {
        self.finish().await?;
        self.unsent = line.chain(b"\n");
        self.finish().await
    }

    async fn finish(&mut self) -> io::Result<()> {
        let writer = self.writer.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        while self.unsent.has_remaining() {
            writer.write_buf(&mut self.unsent).await?;
        }
        Ok(())
    }
}

/// The message without line ends. In valid JSON they stand between tokens only, where a space means the same.
fn one_line(message: Bytes) -> Bytes {
    if memchr2(b'\n', b'\r', &message).is_none() {
        return message;
    }
    message.iter().map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::one_line;

    #[test]
    fn a_message_of_several_lines_becomes_one() {
        assert_eq!(one_line(Bytes::from_static(b"{\r\n\"a\": 1\n}")), "{  \"a\": 1 }");
        assert_eq!(one_line(Bytes::from_static(b"{}")), "{}");
    }
}
