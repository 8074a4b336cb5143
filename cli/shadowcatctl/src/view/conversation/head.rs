//! The head of a conversation: whose it is, where it passed, and when.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use shadowcat_proto::admin::v1::Frame;
use shadowcat_tape::record::Record;

use super::Conversation;
use super::body::{Envelope, object, words};
use crate::output::{Page, Paint, Tone, count, instant};

/// Different values of one kind that the head names; a selection may span more.
const NAMED: usize = 3;

/// Requests that are asked who their client is: it says so in the first one, or in each.
const ASKED: usize = 20;

/// Between two facts.
const GAP: &str = "  ";

pub(super) fn head(conversation: &Conversation, page: &Page) -> String {
    let frames = || conversation.records.iter().map(|recorded| &recorded.frame);
    let named = |value: fn(&Frame) -> &String| distinct(frames().map(value));
    let facts = [
        ("tape", named(|frame| &frame.tape)),
        ("route", named(|frame| &frame.route)),
        ("upstream", named(|frame| &frame.upstream)),
        ("session", named(|frame| &frame.session)),
        ("principal", named(|frame| &frame.principal)),
        ("protocol", named(|frame| &frame.era)),
        ("client", client(conversation)),
        ("node", named(|frame| &frame.node)),
    ];
    let known: Vec<(&str, String)> = facts.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let span = (frames().next(), frames().next_back());
    let (Some(first), Some(last)) = span else { return String::new() };
    let when = format!("{} to {}", instant(first.at.as_ref()), instant(last.at.as_ref()));
    format!("{}{when}, {}\n\n", lines(&known, page), count(conversation.records.len() as u64, "frame"))
}

/// The facts in lines that fit the width.
fn lines(facts: &[(&str, String)], page: &Page) -> String {
    let mut text = String::new();
    let mut column = 0;
    for (name, value) in facts {
        let wide = name.len() + 1 + value.chars().count();
        if column > 0 && column + GAP.len() + wide > page.width {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push_str(GAP);
            column += GAP.len();
        }
        column += wide;
        text.push_str(&fact(page.paint, name, value));
    }
    if column > 0 {
        text.push('\n');
    }
    text
}

fn fact(paint: Paint, name: &str, value: &str) -> String {
    format!("{} {value}", paint.apply(Tone::Faint, name))
}

fn distinct<'a>(values: impl Iterator<Item = &'a String>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for value in values.filter(|value| !value.is_empty()) {
        if !seen.contains(&value.as_str()) {
            seen.push(value);
        }
        if seen.len() > NAMED {
            break;
        }
    }
    let more = if seen.len() > NAMED { ", …" } else { "" };
    seen.into_iter().take(NAMED).map(words).collect::<Vec<_>>().join(", ") + more
}

/// The client as it calls itself, in `initialize` or in the `_meta` of any request (protocol version 2026-07-28).
fn client(conversation: &Conversation) -> String {
    let requests = conversation.records.iter().filter(|recorded| recorded.frame.direction == "c2s").take(ASKED);
    requests.filter_map(|recorded| named(&recorded.line)).next().unwrap_or_default()
}

fn named(line: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Introduced {
        #[serde(rename = "clientInfo")]
        client: Option<Value>,
        #[serde(rename = "_meta")]
        meta: Option<Value>,
    }
    let record: Record<'_> = serde_json::from_slice(line).ok()?;
    let envelope: Envelope<'_> = object(record.body.map(RawValue::get)?)?;
    let introduced: Introduced = object(envelope.params?.get())?;
    let meta = || introduced.meta?.get("io.modelcontextprotocol/clientInfo").cloned();
    let client = introduced.client.or_else(meta)?;
    let part = |name: &str| client.get(name).and_then(Value::as_str).map(words);
    Some(format!("{} {}", part("name")?, part("version").unwrap_or_default()).trim_end().to_owned())
}
