//! `greet`: a tool that needs an answer from the person at the client.
//!
//! The two eras ask differently. Until 2025-11-25 the server sends an `elicitation/create` request while the call waits; from
//! 2026-07-28 on it answers `input_required` and the client repeats the call with the answer (MCP 2026-07-28, "Multi round-trip
//! requests"). The call is stateless in the second case: everything it needs comes with the repetition.

use std::collections::BTreeMap;
use std::time::Duration;

use rmcp::elicit_safe;
use rmcp::model::{
    CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, ElicitRequest, ElicitRequestParams,
    ElicitResult, ElicitationAction, ElicitationSchema, InputRequest, InputRequiredResult, ProtocolVersion,
};
use rmcp::schemars::{self, JsonSchema};
use rmcp::service::{ElicitationError, RequestContext};
use rmcp::{ErrorData, Peer, RoleServer};
use serde::Deserialize;

/// What the person reads.
const QUESTION: &str = "What shall I call you?";

/// The name of the one question in an `input_required` result.
const KEY: &str = "name";

/// A person who has not answered after this time has walked away: the call ends rather than hold its stream for ever.
const ANSWER_WITHIN: Duration = Duration::from_secs(300);

#[derive(Debug, Deserialize, JsonSchema)]
struct Name {
    /// The name to greet.
    name: String,
}

elicit_safe!(Name);

/// What became of the question.
enum Answer {
    Name(String),
    Declined,
    Dismissed,
}

/// Asks in the way of the call's era, and greets.
pub(super) async fn greet(
    answers: Option<BTreeMap<String, serde_json::Value>>,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let modern = context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
    if !modern {
        return Ok(ask(&context.peer).await?.into());
    }
    match answers.and_then(|mut answers| answers.remove(KEY)) {
        Some(answer) => Ok(greeting(read(answer)?).into()),
        None => Ok(input_required(context)?.into()),
    }
}

/// Legacy: a request of our own, answered while the call waits.
async fn ask(peer: &Peer<RoleServer>) -> Result<CallToolResult, ErrorData> {
    let answer = match peer.elicit_with_timeout::<Name>(QUESTION, Some(ANSWER_WITHIN)).await {
        Ok(Some(Name { name })) => Answer::Name(name),
        Err(ElicitationError::UserDeclined) => Answer::Declined,
        Ok(None) | Err(ElicitationError::UserCancelled) => Answer::Dismissed,
        Err(ElicitationError::CapabilityNotSupported) => {
            return Ok(failure(
                "greet asks a question, and this client did not declare the `elicitation` capability when it initialized",
            ));
        }
        Err(error) => return Ok(failure(format!("the question was not answered: {error}"))),
    };
    Ok(greeting(answer))
}

/// Modern: the question as the result of this call.
fn input_required(context: &RequestContext<RoleServer>) -> Result<InputRequiredResult, ErrorData> {
    let can_answer = context.client_capabilities().is_some_and(|capabilities| capabilities.elicitation.is_some());
    if !can_answer {
        let needed = ClientCapabilities::builder().enable_elicitation().build();
        return Err(ErrorData::missing_required_client_capability(needed));
    }
    let form = ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: QUESTION.into(),
        requested_schema: ElicitationSchema::from_type::<Name>()
            .map_err(|error| ErrorData::internal_error(format!("the question has no schema: {error}"), None))?,
    };
    let question = InputRequest::Elicitation(ElicitRequest::new(form));
    Ok(InputRequiredResult::from_input_requests(BTreeMap::from([(KEY.to_owned(), question)])))
}

/// Reads the answer that came with a repeated call.
fn read(answer: serde_json::Value) -> Result<Answer, ErrorData> {
    let unreadable = |error: serde_json::Error| {
        ErrorData::invalid_params(format!("inputResponses.{KEY} is no answer to the form that was sent: {error}"), None)
    };
    let result: ElicitResult = serde_json::from_value(answer).map_err(unreadable)?;
    Ok(match result.action {
        ElicitationAction::Accept => {
            let content = result.content.unwrap_or_default();
            Answer::Name(serde_json::from_value::<Name>(content).map_err(unreadable)?.name)
        }
        ElicitationAction::Decline => Answer::Declined,
        _ => Answer::Dismissed,
    })
}

fn greeting(answer: Answer) -> CallToolResult {
    let text = match answer {
        Answer::Name(name) => format!("Hello, {name}!"),
        Answer::Declined => "Hello, whoever you are: you declined to say.".to_owned(),
        Answer::Dismissed => "Hello: you closed the question without an answer.".to_owned(),
    };
    CallToolResult::success(vec![ContentBlock::text(text)])
}

fn failure(text: impl Into<String>) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}
