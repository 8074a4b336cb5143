//! What the reference upstream says to a message, whatever carries it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::exchange::{PROTOCOL_VERSION, write_answer, write_progress};

/// An answer is rendered as a whole: more events than this are not sent, whatever was asked for.
const MOST_EVENTS: u32 = 10_000;

/// What a message is answered with.
pub(super) enum Reply {
    /// A session begins with this message.
    Initialize(String),
    /// One message.
    Message(String),
    /// Several messages in order, the answer last.
    Events(Vec<String>),
    /// Notifications and responses are only taken note of.
    Nothing,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Params<'a>,
}

#[derive(Deserialize, Default)]
struct Params<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(default)]
    arguments: Arguments,
    #[serde(borrow, default, rename = "_meta")]
    meta: Meta<'a>,
}

#[derive(Deserialize, Default)]
struct Arguments {
    count: Option<u32>,
}

#[derive(Deserialize, Default)]
struct Meta<'a> {
    #[serde(borrow, rename = "progressToken")]
    progress_token: Option<&'a RawValue>,
}

impl Reply {
    /// Reads a message and answers it.
    pub(super) fn to(message: &[u8]) -> serde_json::Result<Self> {
        let message: Message<'_> = serde_json::from_slice(message)?;
        let (Some(id), Some(method)) = (message.id, message.method) else {
            return Ok(Self::Nothing);
        };
        let id = id.get();
        Ok(match &*method {
            "tools/call" if message.params.name.as_deref() == Some("events") => Self::events(id, &message.params),
            "tools/call" => Self::Message(answer(id)),
            "initialize" => Self::Initialize(result(
                id,
                &format!(
                    r#"{{"protocolVersion":"{PROTOCOL_VERSION}","capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"reference","version":"0"}}}}"#
                ),
            )),
            "tools/list" => Self::Message(result(
                id,
                r#"{"tools":[{"name":"echo","inputSchema":{"type":"object"}},{"name":"events","inputSchema":{"type":"object"}}]}"#,
            )),
            "ping" => Self::Message(result(id, "{}")),
            _ => Self::Message(format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"the reference upstream does not know this method"}}}}"#
            )),
        })
    }

    fn events(id: &str, params: &Params<'_>) -> Self {
        let token = params.meta.progress_token.map_or("0", RawValue::get);
        let progress = (1..=params.arguments.count.unwrap_or(0).min(MOST_EVENTS)).map(|progress| {
            let mut message = String::new();
            write_progress(&mut message, token, progress);
            message
        });
        Self::Events(progress.chain([answer(id)]).collect())
    }
}

fn answer(id: &str) -> String {
    let mut answer = String::new();
    write_answer(&mut answer, id);
    answer
}

fn result(id: &str, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}
