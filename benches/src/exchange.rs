//! What is said in a measurement, in one place: upstream and load generator agree on it to the byte, so that every
//! answer can be checked by comparison.

use std::fmt::{Display, Write};

/// The version that is spoken: the last with sessions, in which a gateway has the most to do.
pub(crate) const PROTOCOL_VERSION: &str = "2025-11-25";

/// The header that names the session.
pub(crate) const SESSION_ID: &str = "mcp-session-id";

/// Where every server and proxy of a measurement serves MCP.
pub(crate) const PATH: &str = "/mcp";

/// Request ids start here and so keep seven digits: requests and answers have one size throughout.
pub(crate) const FIRST_ID: u64 = 1_000_000;

/// Brings an answer with a seven-digit id to 128 bytes.
const ANSWER_TEXT: &str = "the quick brown cat jumps over the lazy dog again";

/// Brings a `tools/call` with a seven-digit id to 128 bytes.
const CALL_TEXT: &str = "how often does the cat jump";

/// 64 bytes: what a progress event carries beside its frame.
const PROGRESS_TEXT: &str = "sixty-four bytes of news about work that goes on and on, as ever";

/// What a measured call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// One JSON answer.
    Json,
    /// A stream of so many progress events, then the answer.
    Sse {
        /// Progress events before the answer.
        events: u32,
    },
}

/// The request.
pub(crate) fn write_call(out: &mut String, call: Call, id: u64) {
    match call {
        Call::Json => write(
            out,
            format_args!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"echo","arguments":{{"text":"{CALL_TEXT}"}}}}}}"#
            ),
        ),
        Call::Sse { events } => write(
            out,
            format_args!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"events","arguments":{{"count":{events}}},"_meta":{{"progressToken":{id}}}}}}}"#
            ),
        ),
    }
}

/// The answer to either call.
pub(crate) fn write_answer(out: &mut String, id: impl Display) {
    write(
        out,
        format_args!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":"{ANSWER_TEXT}"}}]}}}}"#
        ),
    );
}

/// A progress notification; `progress` counts from one.
pub(crate) fn write_progress(out: &mut String, token: impl Display, progress: u32) {
    write(
        out,
        format_args!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{progress},"message":"{PROGRESS_TEXT}"}}}}"#
        ),
    );
}

/// The first request of a session.
pub(crate) fn initialize() -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{PROTOCOL_VERSION}","capabilities":{{}},"clientInfo":{{"name":"shadowcat-load","version":"0"}}}}}}"#
    )
}

/// The notification that ends the handshake.
pub(crate) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

fn write(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes whatever is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_answers_are_128_bytes_and_news_is_64() {
        let mut call = String::new();
        write_call(&mut call, Call::Json, FIRST_ID);
        let mut answer = String::new();
        write_answer(&mut answer, FIRST_ID);
        assert_eq!((call.len(), answer.len(), PROGRESS_TEXT.len()), (128, 128, 64), "{call}\n{answer}");
    }
}
