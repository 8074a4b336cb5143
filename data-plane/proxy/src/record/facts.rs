//! What a message says of the call it belongs to, read only where the envelope's pass has not told.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;
use shadowcat_mcp::{Envelope, ErrorKind, Fault, Kind};
use shadowcat_tape::record::Outcome;

/// What stands in every result that is not the last word.
static UNFINISHED: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [r#""input_required""#, r#""task""#].map(Finder::new));

/// The names of what ties rounds together.
static TIES: LazyLock<[Finder<'static>; 4]> = LazyLock::new(|| {
    [r#""requestState""#, r#""inputRequests""#, r#""inputResponses""#, r#""taskId""#].map(Finder::new)
});

/// How the call ends that `answer` answers, and the code of its error.
pub(super) fn outcome(answer: &Envelope) -> (Outcome, Option<i64>) {
    match answer.kind() {
        Kind::Response if answer.is_error_result() => (Outcome::ToolError, None),
        Kind::Response => (of_result(answer.body()), None),
        Kind::ErrorResponse => (Outcome::RpcError, code(answer.body())),
        Kind::Request | Kind::Notification => (Outcome::None, None),
    }
}

/// How a call ends that the gateway answers itself.
pub(super) fn refused(kind: ErrorKind) -> Outcome {
    match (kind, kind.fault()) {
        (ErrorKind::UpstreamTimedOut | ErrorKind::TooSlow, _) => Outcome::Timeout,
        (_, Fault::Client) => Outcome::Refused,
        (_, Fault::Gateway | Fault::Upstream) => Outcome::Failed,
    }
}

/// `result.resultType` (2026-07-28, "Multi round-trip requests"; "Tasks"), and the task of 2025-11-25.
fn of_result(body: &[u8]) -> Outcome {
    if !UNFINISHED.iter().any(|word| word.find(body).is_some()) {
        return Outcome::Ok;
    }
    let Ok(Answer { result: Some(result), .. }) = serde_json::from_slice(body) else { return Outcome::Ok };
    match result.result_type {
        Some("input_required") => Outcome::InputRequired,
        Some("task") => Outcome::Task,
        _ if result.task.is_some() => Outcome::Task,
        _ => Outcome::Ok,
    }
}

fn code(body: &[u8]) -> Option<i64> {
    let answer: Answer<'_> = serde_json::from_slice(body).ok()?;
    answer.error?.code
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Option<ResultPart<'a>>,
    error: Option<ErrorPart>,
}

#[derive(Deserialize)]
struct ResultPart<'a> {
    #[serde(rename = "resultType", borrow, default)]
    result_type: Option<&'a str>,
    #[serde(borrow, default)]
    task: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ErrorPart {
    code: Option<i64>,
}

/// What ties the rounds of one operation together, where a message has any of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ties {
    /// `requestState`, as JSON text.
    pub(super) state: Option<Box<str>>,
    /// The names of the questions asked, or answered; sorted.
    pub(super) questions: Vec<Box<str>>,
    /// A task's id.
    pub(super) task: Option<Box<str>>,
}

impl Ties {
    /// Those of a message; a look at its bytes tells of most that there are none.
    pub(super) fn of(message: &Envelope) -> Self {
        let body = message.body();
        if !TIES.iter().any(|name| name.find(body).is_some()) {
            return Self::default();
        }
        let Ok(round) = serde_json::from_slice::<Round<'_>>(body) else { return Self::default() };
        let part = round.params.or(round.result).unwrap_or_default();
        let names = |object: Option<&RawValue>| -> Vec<Box<str>> {
            let members = object.and_then(|raw| serde_json::from_str::<serde_json::Map<_, _>>(raw.get()).ok());
            let mut names: Vec<Box<str>> = members.into_iter().flatten().map(|(name, _)| name.into()).collect();
            names.sort();
            names
        };
        let nested =
            part.task.and_then(|task| serde_json::from_str::<TaskPart>(task.get()).ok()).and_then(|task| task.id);
        Self {
            state: part.request_state.map(|state| state.get().into()),
            questions: names(part.input_requests.or(part.input_responses)),
            task: part.task_id.or(nested).map(Into::into),
        }
    }
}

#[derive(Deserialize)]
struct Round<'a> {
    #[serde(borrow, default)]
    params: Option<RoundPart<'a>>,
    #[serde(borrow, default)]
    result: Option<RoundPart<'a>>,
}

#[derive(Deserialize, Default)]
struct RoundPart<'a> {
    #[serde(rename = "requestState", borrow, default)]
    request_state: Option<&'a RawValue>,
    #[serde(rename = "inputRequests", borrow, default)]
    input_requests: Option<&'a RawValue>,
    #[serde(rename = "inputResponses", borrow, default)]
    input_responses: Option<&'a RawValue>,
    #[serde(rename = "taskId", default)]
    task_id: Option<String>,
    #[serde(borrow, default)]
    task: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct TaskPart {
    #[serde(rename = "taskId")]
    id: Option<String>,
}

#[cfg(test)]
mod tests {
    use shadowcat_mcp::Limits;

    use super::*;

    fn message(part: &str) -> Envelope {
        Envelope::read(format!(r#"{{"jsonrpc":"2.0","id":1,{part}}}"#).into(), Limits::default()).unwrap()
    }

    #[test]
    fn an_answer_tells_how_its_call_ended() {
        for (part, told) in [
            (r#""result":{}"#, (Outcome::Ok, None)),
            (r#""result":{"content":[{"type":"text","text":"\"task\" \"input_required\""}]}"#, (Outcome::Ok, None)),
            (r#""result":{"isError":true}"#, (Outcome::ToolError, None)),
            (r#""result":{"resultType":"input_required","inputRequests":{}}"#, (Outcome::InputRequired, None)),
            (r#""result":{"resultType":"task","taskId":"t"}"#, (Outcome::Task, None)),
            (r#""result":{"task":{"taskId":"t"}}"#, (Outcome::Task, None)),
            (r#""error":{"code":-32602,"message":"no"}"#, (Outcome::RpcError, Some(-32602))),
        ] {
            assert_eq!(outcome(&message(part)), told, "{part}");
        }
    }

    #[test]
    fn the_ties_between_rounds_are_read_where_there_are_any() {
        assert_eq!(Ties::of(&message(r#""method":"tools/call","params":{"name":"x"}"#)), Ties::default());
        let asked = Ties::of(&message(r#""result":{"inputRequests":{"b":{},"a":{}},"requestState":"s\u0031"}"#));
        assert_eq!((asked.state.as_deref(), asked.questions.join(",")), (Some(r#""s\u0031""#), "a,b".to_owned()));
        let answered = Ties::of(&message(r#""method":"m","params":{"inputResponses":{"a":1}}"#));
        assert_eq!((answered.state, answered.questions.join(",")), (None, "a".to_owned()));
        let task = Ties::of(&message(r#""result":{"task":{"taskId":"t-1"}}"#));
        assert_eq!(task.task.as_deref(), Some("t-1"));
        assert_eq!(Ties::of(&message(r#""method":"tasks/get","params":{"taskId":"t-1"}"#)).task, task.task);
    }
}
