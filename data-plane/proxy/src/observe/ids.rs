//! By what names a call is found again: in logs, in traces, in a client's error.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};
use shadowcat_mcp::header::SESSION_ID;

/// The W3C Trace Context header.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The request's name where a proxy in front of us gave it one.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// As much of a session id as goes into a log: whoever knows the whole of it can use the session.
pub(crate) const SESSION_CHARS: usize = 8;

/// Hexadecimal digits of a trace id.
const TRACE_CHARS: usize = 32;

/// A request's name longer than this is no name, and is left out.
const REQUEST_ID_MAX: usize = 128;

/// Requests that came without a name, so far.
static REQUESTS: AtomicU64 = AtomicU64::new(1);

/// The names that came with a call, copied: a header's value would keep the whole buffer alive in which the head arrived, and a
/// call can last as long as a stream.
#[derive(Debug)]
pub(crate) struct CallIds {
    request: Request,
    trace: Option<[u8; TRACE_CHARS]>,
    session: Option<[u8; SESSION_CHARS]>,
}

/// A session as logs show it: the beginning of its id.
pub(crate) struct Short<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Short<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_string().get(..SESSION_CHARS).unwrap_or_default())
    }
}

/// A request's name: the one it came with, or a number within this process.
#[derive(Debug)]
pub(crate) enum Request {
    Named(Box<str>),
    Numbered(u64),
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(id) => f.write_str(id),
            Self::Numbered(number) => write!(f, "{number}"),
        }
    }
}

impl CallIds {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = text(headers, &REQUEST_ID).filter(|id| id.len() <= REQUEST_ID_MAX);
        Self {
            request: given.map_or_else(
                || Request::Numbered(REQUESTS.fetch_add(1, Ordering::Relaxed)),
                |id| Request::Named(id.into()),
            ),
            trace: text(headers, &TRACEPARENT).and_then(trace_id),
            session: headers.get(SESSION_ID).and_then(beginning),
        }
    }

    /// Notes the session that the call has opened.
    pub(crate) fn opened(&mut self, session: &HeaderValue) {
        self.session = beginning(session);
    }

    /// The request's name.
    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    /// The beginning of the session's id.
    pub(crate) fn session(&self) -> Option<&str> {
        std::str::from_utf8(self.session.as_ref()?).ok()
    }

    /// The same, as it stands in records.
    pub(crate) const fn session_bytes(&self) -> Option<[u8; SESSION_CHARS]> {
        self.session
    }

    /// The trace's id, as it stands in records.
    pub(crate) const fn trace_bytes(&self) -> Option<[u8; TRACE_CHARS]> {
        self.trace
    }

    /// The trace's id.
    pub(crate) fn trace(&self) -> Option<&str> {
        std::str::from_utf8(self.trace.as_ref()?).ok()
    }
}

/// The trace id of a `traceparent` (W3C Trace Context, section 3.2.2): after a version of two digits, 32 hexadecimal digits, not all zero;
/// then the parent's id and flags, and in later versions more.
fn trace_id(traceparent: &str) -> Option<[u8; TRACE_CHARS]> {
    const PARENT_CHARS: usize = 16;
    let hexadecimal = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut parts = traceparent.split('-');
    let (version, trace, parent) = (parts.next()?, parts.next()?, parts.next()?);
    let formed = version.len() == 2 && version != "ff" && parent.len() == PARENT_CHARS && parts.next().is_some();
    let digits = [version, trace, parent].into_iter().all(hexadecimal);
    let trace: [u8; TRACE_CHARS] = trace.as_bytes().try_into().ok()?;
    (formed && digits && trace.iter().any(|byte| *byte != b'0')).then_some(trace)
}

fn beginning(session: &HeaderValue) -> Option<[u8; SESSION_CHARS]> {
    session.to_str().ok()?.as_bytes().first_chunk().copied()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(traceparent: &'static str) -> Option<String> {
        let headers = HeaderMap::from_iter([(TRACEPARENT, HeaderValue::from_static(traceparent))]);
        CallIds::of(&headers).trace().map(str::to_owned)
    }

    #[test]
    fn a_log_shows_the_beginning_of_a_session() {
        assert_eq!(Short("0123456789abcdef").to_string(), "01234567");
        assert_eq!(Short("short").to_string(), "");
    }

    #[test]
    fn only_a_valid_traceparent_names_a_trace() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").as_deref(), Some(id));
        for bad in [
            "",
            "00",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-x-01",
            "00-00000000000000000000000000000000-x-01",
            "00-4bf9-x-01",
            "sk-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(trace(bad), None, "{bad}");
        }
    }
}
