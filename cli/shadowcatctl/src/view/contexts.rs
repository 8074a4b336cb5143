//! Control planes to work with, without their tokens.

use serde::Serialize;

use crate::connect::DEFAULT_FLEET;
use crate::context::{Context, Contexts};
use crate::output::{Cell, Facts, Page, Table, Tone, View, each};

/// All contexts.
#[derive(Debug, Clone, Serialize)]
pub struct ContextList {
    contexts: Vec<ContextShown>,
}

/// One context.
#[derive(Debug, Clone, Serialize)]
pub struct ContextShown {
    name: String,
    current: bool,
    server: String,
    fleet: String,
    /// Whether there is one.
    token: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
}

impl ContextShown {
    /// `context` as it may be shown; `current` is the name of the current one.
    #[must_use]
    pub fn of(context: &Context, current: Option<&str>) -> Self {
        Self {
            name: context.name.clone(),
            current: current == Some(context.name.as_str()),
            server: context.server.clone(),
            fleet: context.fleet.clone().unwrap_or_else(|| DEFAULT_FLEET.to_owned()),
            token: context.token.is_some(),
            ca: context.ca.map(|ca| ca.to_string()),
        }
    }

    fn token(&self) -> &'static str {
        if self.token { "kept" } else { "none" }
    }
}

impl From<&Contexts> for ContextList {
    fn from(contexts: &Contexts) -> Self {
        let current = contexts.current.as_deref();
        Self { contexts: contexts.contexts.iter().map(|context| ContextShown::of(context, current)).collect() }
    }
}

impl View for ContextList {
    fn text(&self, page: &Page) -> String {
        let headings = ["CURRENT", "NAME", "FLEET", "TOKEN", "SERVER"];
        let mut table = Table::new(
            &headings,
            "no contexts: make one with `shadowcatctl context set NAME --server URL --token TOKEN`",
        );
        for context in &self.contexts {
            table.row([
                Cell::toned(Tone::Good, if context.current { "*" } else { " " }),
                Cell::from(&context.name),
                Cell::from(&context.fleet),
                context.token().into(),
                Cell::from(&context.server),
            ]);
        }
        table.render(page.paint)
    }

    fn lines(&self) -> Result<Vec<String>, serde_json::Error> {
        each(&self.contexts)
    }
}

impl View for ContextShown {
    fn text(&self, page: &Page) -> String {
        Facts::new()
            .fact("name", &self.name)
            .fact("current", if self.current { "yes" } else { "no" })
            .fact("server", &self.server)
            .fact("fleet", &self.fleet)
            .fact("token", self.token())
            .fact("ca", self.ca.clone().unwrap_or_default())
            .render(page.paint)
    }
}
