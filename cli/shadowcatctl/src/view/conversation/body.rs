//! What a message says: the arguments of a request, the content of an answer, the words of an error.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::text::{json, paragraph};
use crate::output::{clean, count, cut, size};

/// Characters of a name, a type or an error's words that a line shows.
const WORDS_CHARACTERS: usize = 200;

/// Parts of a result that are shown: most have one, and a reader who wants all of many looks at the record.
const PARTS: usize = 8;

/// A JSON-RPC message, as far as people want to see it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow, default)]
    pub(super) params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
}

impl Envelope<'_> {
    pub(super) fn is_answer(&self) -> bool {
        self.result.is_some() || self.error.is_some()
    }
}

#[derive(Deserialize)]
struct Called<'a> {
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ProgressTold<'a> {
    progress: f64,
    total: Option<f64>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ErrorTold<'a> {
    code: i64,
    #[serde(borrow)]
    message: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Contents<'a> {
    #[serde(borrow, alias = "contents")]
    content: Vec<Content<'a>>,
    #[serde(borrow)]
    structured_content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, alias = "blob")]
    data: Option<Cow<'a, str>>,
    #[serde(borrow)]
    mime_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    uri: Option<Cow<'a, str>>,
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
}

/// The parameters of a request or a notification, without what its title says already.
pub(super) fn parameters(method: &str, params: &RawValue, width: usize) -> Vec<String> {
    let raw = params.get();
    match method {
        "tools/call" | "prompts/get" => match object::<Called<'_>>(raw) {
            Some(Called { arguments: Some(arguments) }) => json(arguments.get(), width),
            Some(Called { arguments: None }) => Vec::new(),
            None => json(raw, width),
        },
        "notifications/progress" => match object::<ProgressTold<'_>>(raw) {
            Some(told) => paragraph(&progress(&told), width),
            None => json(raw, width),
        },
        "resources/read" => Vec::new(),
        _ if raw == "{}" => Vec::new(),
        _ => json(raw, width),
    }
}

fn progress(told: &ProgressTold<'_>) -> String {
    let total = told.total.map_or_else(String::new, |total| format!("/{total}"));
    let message = told.message.as_deref().map_or_else(String::new, |message| format!(" {message}"));
    format!("{}{total}{message}", told.progress)
}

/// A result: texts as they are, what cannot be read by its type and size, everything else as JSON.
pub(super) fn result(result: &RawValue, width: usize) -> Vec<String> {
    let raw = result.get();
    let Some(contents) = object::<Contents<'_>>(raw) else {
        return if raw == "{}" { Vec::new() } else { json(raw, width) };
    };
    let mut lines = Vec::new();
    for (index, content) in contents.content.iter().enumerate() {
        if index == PARTS {
            lines.push(format!("… {} left out", count((contents.content.len() - PARTS) as u64, "part")));
            break;
        }
        lines.extend(shown(content, width));
    }
    // A server says the same as text, for clients that know no structure.
    if let (true, Some(structured)) = (lines.is_empty(), contents.structured_content) {
        lines = json(structured.get(), width);
    }
    lines
}

fn shown(content: &Content<'_>, width: usize) -> Vec<String> {
    let word =
        |text: &Option<Cow<'_, str>>| text.as_deref().map_or_else(String::new, |text| format!(" {}", words(text)));
    let mut lines = Vec::new();
    let title = format!("{}{}{}", words(&content.kind), word(&content.uri), word(&content.mime_type));
    match (&content.text, &content.data, content.resource) {
        (Some(text), _, _) => {
            if content.uri.is_some() {
                lines.push(title.trim_start().to_owned());
            }
            lines.extend(paragraph(text, width));
        }
        (None, Some(data), _) => lines.push(format!("{}, {} in base64", title.trim_start(), size(data.len() as u64))),
        (None, None, Some(resource)) => lines.extend(json(resource.get(), width)),
        (None, None, None) => lines.push(title.trim_start().to_owned()),
    }
    lines
}

/// A JSON-RPC error: its code and words, and under them what else it tells.
pub(super) fn error(error: &RawValue, width: usize) -> Vec<String> {
    let Some(told) = object::<ErrorTold<'_>>(error.get()) else { return json(error.get(), width) };
    let mut lines = paragraph(&format!("{} {}", told.code, told.message), width);
    lines.extend(told.data.into_iter().flat_map(|data| json(data.get(), width)));
    lines
}

/// What an object says; nothing if it is none, or of another shape. An array would do for a struct otherwise, and a batch for a message.
pub(super) fn object<'a, T: Deserialize<'a>>(raw: &'a str) -> Option<T> {
    raw.trim_start().starts_with('{').then(|| serde_json::from_str(raw).ok()).flatten()
}

/// Some words of a record on one line.
pub(super) fn words(text: &str) -> String {
    clean(&cut(text, WORDS_CHARACTERS)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).expect("JSON")
    }

    #[test]
    fn a_result_is_its_texts_and_what_else_it_has_by_type_and_size() {
        let told = result(
            raw(r#"{"content":[{"type":"text","text":"a\nb"},{"type":"audio","data":"AAAA","mimeType":"audio/wav"},
                {"type":"resource_link","uri":"file:///x"}],"structuredContent":{"a":1}}"#),
            80,
        );
        assert_eq!(told, ["a", "b", "audio audio/wav, 4 in base64", "resource_link file:///x"]);
        let read = result(raw(r#"{"contents":[{"uri":"file:///x","mimeType":"text/plain","text":"hello"}]}"#), 80);
        assert_eq!(read, ["file:///x text/plain", "hello"]);
        assert_eq!(result(raw(r#"{"content":[],"structuredContent":{"a":1}}"#), 80), [r#"{"a": 1}"#]);
        assert_eq!(result(raw("{}"), 80), Vec::<String>::new());
    }

    #[test]
    fn a_result_of_very_many_parts_says_how_many_are_left_out() {
        let parts = vec![r#"{"type":"text","text":"x"}"#; 100_000].join(",");
        let told = result(raw(&format!(r#"{{"content":[{parts}]}}"#)), 80);
        assert_eq!((told.len(), told[PARTS].as_str()), (PARTS + 1, "… 99992 parts left out"));
    }

    #[test]
    fn what_has_another_shape_than_usual_is_shown_as_json() {
        assert_eq!(parameters("tools/call", raw(r#"{"arguments":{"a":1}}"#), 80), [r#"{"a": 1}"#]);
        assert_eq!(parameters("tools/call", raw("[1]"), 80), ["[1]"]);
        assert_eq!(parameters("notifications/progress", raw(r#"{"progress":"x"}"#), 80), [r#"{"progress": "x"}"#]);
        assert_eq!(result(raw(r#"{"content":{"year":1}}"#), 80), [r#"{"content": {"year": 1}}"#]);
        assert_eq!(error(raw(r#"{"code":-32602,"message":"no"}"#), 80), ["-32602 no"]);
        assert_eq!(error(raw(r#""no""#), 80), [r#""no""#]);
    }
}
