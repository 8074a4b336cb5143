//! What an expression can ask about a frame.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::value::RawValue;
use shadowcat_expr::{Fact, Facts, Name};
use shadowcat_tape::line::message;
use shadowcat_tape::record::Record;

use super::hex;
use crate::tapes::index::{FoundFrame, codes};

/// The first protocol version in which each request tells its version.
const MODERN_FROM: &str = "2026-07-28";

/// A frame's record, and what its message says.
pub(crate) struct Content<'a> {
    record: &'a Record<'a>,
    body: Cow<'a, [u8]>,
    /// The message of the request that it answers.
    request: Option<&'a [u8]>,
}

/// A JSON-RPC message, as far as it is asked about.
#[derive(Default, serde::Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<ErrorObject<'a>>,
}

#[derive(serde::Deserialize)]
struct ErrorObject<'a> {
    #[serde(default)]
    code: Option<i64>,
    #[serde(borrow, default)]
    message: Option<Cow<'a, str>>,
}

#[derive(Default, serde::Deserialize)]
struct Params<'a> {
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<&'a RawValue>,
}

impl<'a> Content<'a> {
    /// Of a record, whose message may be `apart`, and the message of the request that it answers.
    pub(crate) fn new(record: &'a Record<'a>, apart: Option<&'a [u8]>, request: Option<&'a [u8]>) -> Self {
        let body = apart.map(Cow::Borrowed).or_else(|| message(record).ok().flatten()).unwrap_or_default();
        Self { record, body, request }
    }

    /// What text is looked for in: the message, or what stands in its place.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match &self.record.text {
            Some(text) if self.body.is_empty() => Cow::Borrowed(text),
            _ => String::from_utf8_lossy(&self.body),
        }
    }

    /// What text is looked for in, too, where calls are looked for.
    pub(super) fn asked(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.request.unwrap_or_default())
    }

    fn message(&self) -> Message<'_> {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Of the message, or of the request that it answers.
    fn params(&self) -> Params<'_> {
        let of = self.request.unwrap_or(&self.body);
        let found = serde_json::from_slice::<Message<'_>>(of).ok().and_then(|message| message.params);
        found.and_then(|params| serde_json::from_str(params.get()).ok()).unwrap_or_default()
    }
}

/// A frame, and its content where that was needed.
pub(super) struct Known<'a> {
    pub(super) frame: &'a FoundFrame,
    pub(super) content: Option<&'a Content<'a>>,
}

impl Known<'_> {
    /// The frame's name, if its method is one of these.
    fn named(&self, methods: &str) -> Fact<'_> {
        if self.frame.method.starts_with(methods) { some(&self.frame.name) } else { Fact::Absent }
    }

    fn of_content(&self, name: Name) -> Fact<'_> {
        let Some(content) = self.content else { return Fact::Absent };
        let http = content.record.http.as_ref();
        match name {
            Name::Text => Fact::Text(content.text()),
            Name::Args => content.params().arguments.map_or(Fact::Absent, Fact::Json),
            Name::Meta => content.params().meta.map_or(Fact::Absent, Fact::Json),
            Name::Result => content.message().result.map_or(Fact::Absent, Fact::Json),
            Name::ErrorMessage => {
                let told = content.message().error.and_then(|error| error.message);
                told.map_or(Fact::Absent, |told| Fact::Text(Cow::Owned(told.into_owned())))
            }
            Name::HttpMethod => http.and_then(|http| http.method.as_deref()).into(),
            Name::HttpPath => http.and_then(|http| http.path.as_deref()).into(),
            Name::Status => http.and_then(|http| http.status).map(i64::from).into(),
            Name::HttpHeaders => http.map_or(Fact::Absent, |http| {
                Fact::Fields(http.headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect())
            }),
            _ => Fact::Absent,
        }
    }
}

impl Facts for Known<'_> {
    fn fact(&self, name: Name) -> Fact<'_> {
        let frame = self.frame;
        match name {
            Name::Method => some(&frame.method),
            Name::Tool => self.named("tools/"),
            Name::Resource => self.named("resources/"),
            Name::Prompt => self.named("prompts/"),
            Name::Version => some(&frame.era),
            Name::Era if frame.era.is_empty() => Fact::Absent,
            Name::Era if *frame.era < *MODERN_FROM => "legacy".into(),
            Name::Era => "modern".into(),
            Name::Session => some(&frame.session),
            Name::Route => some(&frame.route),
            Name::Upstream => some(&frame.upstream),
            Name::Subject => some(&frame.principal),
            Name::Node => some(&frame.node),
            Name::Now => SystemTime::now().into(),
            Name::ErrorCode => match frame.code {
                Some(code) => code.into(),
                None => self.content.and_then(|content| content.message().error?.code).into(),
            },
            Name::Outcome => frame.outcome.map(codes::outcome_name).into(),
            Name::Direction => frame.direction.map(codes::direction_name).into(),
            Name::Latency => frame.latency.map(Duration::from_micros).into(),
            Name::Time => {
                u64::try_from(frame.at).ok().and_then(|at| UNIX_EPOCH.checked_add(Duration::from_micros(at))).into()
            }
            Name::Size => i64::try_from(frame.size).unwrap_or(i64::MAX).into(),
            Name::ConfigVersion => frame.version.and_then(|version| i64::try_from(version).ok()).into(),
            Name::Trace => frame.trace.as_deref().map(hex).into(),
            _ => self.of_content(name),
        }
    }
}

/// What is empty in the index was nowhere.
fn some(text: &str) -> Fact<'_> {
    if text.is_empty() { Fact::Absent } else { text.into() }
}
