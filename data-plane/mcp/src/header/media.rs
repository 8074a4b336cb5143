//! Media types: what a client accepts and what a body is.

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};

/// Which of the two answers of Streamable HTTP a client takes (2025-11-25, "Transports": `Accept` must list both).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepts {
    /// `application/json`.
    pub json: bool,
    /// `text/event-stream`.
    pub event_stream: bool,
}

impl Accepts {
    /// Whether it takes both, as a POST must.
    #[must_use]
    pub fn both(self) -> bool {
        self.json && self.event_stream
    }
}

/// How closely a media range names a type; the closest decides (RFC 9110, section 12.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Closeness {
    Unnamed,
    Any,
    Type,
    Exact,
}

/// What decided about one media type so far.
struct Verdict {
    kind: &'static str,
    subtype: &'static str,
    closeness: Closeness,
    accepted: bool,
}

impl Verdict {
    const fn on(kind: &'static str, subtype: &'static str) -> Self {
        Self { kind, subtype, closeness: Closeness::Unnamed, accepted: false }
    }

    fn hear(&mut self, range: &str) {
        let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
        let Some((kind, subtype)) = name.trim().split_once('/') else {
            return;
        };
        let closeness = match (kind, subtype) {
            ("*", "*") => Closeness::Any,
            (kind, "*") if kind.eq_ignore_ascii_case(self.kind) => Closeness::Type,
            (kind, subtype) if kind.eq_ignore_ascii_case(self.kind) && subtype.eq_ignore_ascii_case(self.subtype) => {
                Closeness::Exact
            }
            _ => return,
        };
        if closeness > self.closeness {
            self.closeness = closeness;
            self.accepted = !refuses(parameters);
        }
    }
}

/// What the `Accept` fields say. No field at all means nothing was asked for, and is reported as neither: MCP wants it said.
#[must_use]
pub fn accepts(headers: &HeaderMap) -> Accepts {
    let mut json = Verdict::on("application", "json");
    let mut event_stream = Verdict::on("text", "event-stream");
    let fields = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    // A comma inside a quoted parameter splits a range in two; neither half then names a type that matters here.
    for range in fields.flat_map(|field| field.split(',')) {
        json.hear(range);
        event_stream.hear(range);
    }
    Accepts { json: json.accepted, event_stream: event_stream.accepted }
}

/// Whether the weight is zero: "not acceptable" (RFC 9110, section 12.4.2).
fn refuses(parameters: &str) -> bool {
    parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
        name.trim().eq_ignore_ascii_case("q") && value.trim().bytes().all(|byte| matches!(byte, b'0' | b'.'))
    })
}

/// Whether a `Content-Type` is `application/json`, whatever its case and parameters.
#[must_use]
pub fn is_json(content_type: &HeaderValue) -> bool {
    essence_is(content_type, b"application/json")
}

/// Whether a `Content-Type` is `text/event-stream`, whatever its case and parameters.
#[must_use]
pub fn is_event_stream(content_type: &HeaderValue) -> bool {
    essence_is(content_type, b"text/event-stream")
}

fn essence_is(content_type: &HeaderValue, essence: &[u8]) -> bool {
    let value = content_type.as_bytes();
    let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
    value[..end].trim_ascii().eq_ignore_ascii_case(essence)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::{accepts, is_event_stream, is_json};

    fn accepted(fields: &[&'static str]) -> (bool, bool) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append("accept", HeaderValue::from_static(field));
        }
        let accepts = accepts(&headers);
        (accepts.json, accepts.event_stream)
    }

    #[test]
    fn accept_is_read_over_fields_cases_parameters_and_wildcards() {
        assert_eq!(accepted(&["application/json, text/event-stream"]), (true, true));
        assert_eq!(accepted(&["Text/Event-Stream;q=0.5", "APPLICATION/JSON ; charset=utf-8"]), (true, true));
        assert_eq!(accepted(&["*/*"]), (true, true));
        assert_eq!(accepted(&["application/*"]), (true, false));
        assert_eq!(accepted(&["text/html, application/jsonl"]), (false, false));
        assert_eq!(accepted(&["", "json", ";;,/"]), (false, false));
        assert_eq!(accepted(&[]), (false, false));
    }

    #[test]
    fn the_closest_range_decides_and_weight_zero_refuses() {
        assert_eq!(accepted(&["*/*, text/event-stream; q=0"]), (true, false));
        assert_eq!(accepted(&["text/event-stream;q=0.000, */*;q=0.1"]), (true, false));
        assert_eq!(accepted(&["application/*;q=0, application/json"]), (true, false));
    }

    #[test]
    fn a_content_type_is_read_without_case_and_parameters() {
        assert!(is_json(&HeaderValue::from_static("Application/JSON; charset=utf-8")));
        assert!(is_event_stream(&HeaderValue::from_static("text/event-stream ;x")));
        assert!(!is_json(&HeaderValue::from_static("application/json-patch+json")));
        assert!(!is_json(&HeaderValue::from_static("")));
    }
}
