//! The reference upstream over stdin and stdout: one message a line, answered in order.

use std::io::{BufRead as _, Write as _};

use super::reply::Reply;

/// Serves until stdin ends.
pub(crate) fn serve() -> anyhow::Result<()> {
    let (mut stdin, mut stdout) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut line = Vec::new();
    let mut out = Vec::new();
    while stdin.read_until(b'\n', &mut line)? > 0 {
        let messages = match Reply::to(&line)? {
            Reply::Initialize(message) | Reply::Message(message) => vec![message],
            Reply::Events(messages) => messages,
            Reply::Nothing => Vec::new(),
        };
        for message in messages {
            out.extend_from_slice(message.as_bytes());
            out.push(b'\n');
        }
        // All of an answer in one write: stdout's own line buffering would cost a call per event.
        stdout.write_all(&out)?;
        stdout.flush()?;
        line.clear();
        out.clear();
    }
    Ok(())
}
