//! By what names a call is found again: in logs, in traces, in a client's error.

use http::{HeaderMap, HeaderName, HeaderValue};
use shadowcat_mcp::header::SESSION_ID;

/// The W3C Trace Context header.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The request's name where a proxy in front of us gave it one.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// As much of a session id as goes into a log: whoever knows the whole of it can use the session.
const SESSION_CHARS: usize = 8;

/// The names that came with a call. They are made into text only when somebody asks.
#[derive(Debug, Default)]
pub(crate) struct CallIds {
    request: Option<HeaderValue>,
    traceparent: Option<HeaderValue>,
    session: Option<HeaderValue>,
}

impl CallIds {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self {
            request: headers.get(REQUEST_ID).cloned(),
            traceparent: headers.get(TRACEPARENT).cloned(),
            session: headers.get(SESSION_ID).cloned(),
        }
    }

    /// The request's name, if it has one.
    pub(crate) fn request(&self) -> Option<&str> {
        text(self.request.as_ref())
    }

    /// The beginning of the session's id.
    pub(crate) fn session(&self) -> Option<&str> {
        text(self.session.as_ref()).map(|id| id.get(..SESSION_CHARS).unwrap_or(id))
    }

    /// The trace id of `traceparent` (W3C Trace Context, section 3.2.2.3): 32 hexadecimal digits, not all zero.
    pub(crate) fn trace(&self) -> Option<&str> {
        let mut fields = text(self.traceparent.as_ref())?.split('-');
        let (_version, trace) = (fields.next()?, fields.next()?);
        let hexadecimal = trace.len() == 32 && trace.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (hexadecimal && trace.bytes().any(|byte| byte != b'0')).then_some(trace)
    }
}

fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value.and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(traceparent: &'static str) -> Option<String> {
        let ids = CallIds { traceparent: Some(HeaderValue::from_static(traceparent)), ..CallIds::default() };
        ids.trace().map(str::to_owned)
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
        ] {
            assert_eq!(trace(bad), None, "{bad}");
        }
    }
}
