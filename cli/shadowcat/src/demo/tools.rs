//! The tools, and the server that offers them.

use std::sync::Arc;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::tool::InputResponses;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResponse, ProgressNotificationParam, ProgressToken};
use rmcp::schemars::{self, JsonSchema};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, Json, Peer, RoleServer, ServerHandler, tool, tool_handler, tool_router};
use serde::{Deserialize, Serialize};

use super::question;

/// A call of `count` can send this many progress notifications: enough to watch a stream of 10 000 events, few enough that a typing
/// error does not fill a terminal for an hour.
const STEPS_MAX: u32 = 10_000;

/// Steps of `count` when the call names none.
const DEFAULT_STEPS: u32 = 5;

/// The longest pause between two steps of `count`: half of the 60 s after which common clients give up on a silent call.
const DELAY_MS_MAX: u64 = 30_000;

/// The pause when the call names none: five steps then take a second, slow enough to see them arrive one by one.
const DEFAULT_DELAY_MS: u64 = 200;

/// The demo server. Clones share their tools.
#[derive(Debug, Clone)]
pub struct DemoServer {
    router: Arc<ToolRouter<Self>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Echo {
    /// The text to give back.
    text: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Add {
    /// The first number.
    a: f64,
    /// The second number.
    b: f64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Sum {
    /// a + b.
    sum: f64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Now {
    /// The time in UTC, RFC 3339, with milliseconds.
    utc: String,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    unix_ms: i64,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Count {
    /// How far to count.
    #[serde(default = "default_steps")]
    #[schemars(range(min = 1, max = STEPS_MAX))]
    to: u32,
    /// The pause before each step, in milliseconds.
    #[serde(default = "default_delay_ms")]
    #[schemars(range(max = DELAY_MS_MAX))]
    delay_ms: u64,
}

#[tool_router]
impl DemoServer {
    /// A server with all its tools.
    #[must_use]
    pub fn new() -> Self {
        Self { router: Arc::new(Self::tool_router()) }
    }

    #[tool(
        description = "Gives the text back as it came.",
        annotations(title = "Echo", read_only_hint = true, open_world_hint = false)
    )]
    async fn echo(&self, Parameters(Echo { text }): Parameters<Echo>) -> String {
        text
    }

    #[tool(
        description = "Adds two numbers.",
        annotations(title = "Add", read_only_hint = true, open_world_hint = false)
    )]
    async fn add(&self, Parameters(Add { a, b }): Parameters<Add>) -> Json<Sum> {
        Json(Sum { sum: a + b })
    }

    #[tool(
        description = "Tells the time of the machine the server runs on.",
        annotations(title = "Now", read_only_hint = true, open_world_hint = false)
    )]
    async fn now(&self) -> Json<Now> {
        let now = Utc::now();
        Json(Now { utc: now.to_rfc3339_opts(SecondsFormat::Millis, true), unix_ms: now.timestamp_millis() })
    }

    #[tool(
        description = "Counts to a number, step by step, with a progress notification for each step when the call carries a progress token.",
        annotations(title = "Count", read_only_hint = true, open_world_hint = false)
    )]
    async fn count(
        &self,
        Parameters(count): Parameters<Count>,
        context: RequestContext<RoleServer>,
    ) -> Result<String, String> {
        count.check()?;
        let token = context.meta.get_progress_token();
        for step in 1..=count.to {
            tokio::select! {
                () = context.ct.cancelled() => return Err(format!("cancelled after {} of {} steps", step - 1, count.to)),
                () = tokio::time::sleep(Duration::from_millis(count.delay_ms)) => {}
            }
            if let Some(token) = &token {
                report(&context.peer, token.clone(), step, count.to).await?;
            }
        }
        Ok(format!("counted to {}", count.to))
    }

    #[tool(
        description = "Asks you, through your client, what to call you, and greets you by that name.",
        annotations(title = "Greet", read_only_hint = true, open_world_hint = false)
    )]
    async fn greet(
        &self,
        InputResponses(answers): InputResponses,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        question::greet(answers, &context).await
    }
}

#[tool_handler(
    router = self.router,
    name = "shadowcat-demo",
    instructions = "A demonstration: echo, add and now answer at once, count reports progress while it runs, greet asks you a question."
)]
impl ServerHandler for DemoServer {}

impl Default for DemoServer {
    fn default() -> Self {
        Self::new()
    }
}

impl Count {
    /// The schema states the same bounds; clients need not heed it.
    fn check(&self) -> Result<(), String> {
        if !(1..=STEPS_MAX).contains(&self.to) {
            return Err(format!("`to` is {}: give a number from 1 to {STEPS_MAX}", self.to));
        }
        if self.delay_ms > DELAY_MS_MAX {
            return Err(format!("`delay_ms` is {}: give at most {DELAY_MS_MAX}", self.delay_ms));
        }
        Ok(())
    }
}

/// Sends one progress notification; waits while the client does not read.
async fn report(peer: &Peer<RoleServer>, token: ProgressToken, step: u32, steps: u32) -> Result<(), String> {
    let progress = ProgressNotificationParam::new(token, f64::from(step))
        .with_total(f64::from(steps))
        .with_message(format!("{step} of {steps}"));
    peer.notify_progress(progress).await.map_err(|error| format!("the client is gone: {error}"))
}

fn default_steps() -> u32 {
    DEFAULT_STEPS
}

fn default_delay_ms() -> u64 {
    DEFAULT_DELAY_MS
}
