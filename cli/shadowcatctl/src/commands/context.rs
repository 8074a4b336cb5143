//! `context`: control planes by name.

use super::Desk;
use crate::Failure;
use crate::args::ContextCommand;
use crate::connect::Server;
use crate::context::{Context, Contexts, path};
use crate::view::{ContextList, ContextShown};

pub(super) fn run(desk: &Desk, command: ContextCommand) -> Result<(), Failure> {
    let path = path()?;
    let mut contexts = Contexts::load(&path)?;
    let done = match command {
        ContextCommand::List => return desk.show(&ContextList::from(&contexts)),
        ContextCommand::Show { name } => return desk.show(&shown(&contexts, name.as_deref())?),
        ContextCommand::Use { name } => {
            known(&contexts, &name)?;
            contexts.current = Some(name.clone());
            format!("{name} is the current context")
        }
        ContextCommand::Set { name } => set(desk, &mut contexts, &name)?,
        ContextCommand::Remove { name } => {
            known(&contexts, &name)?;
            contexts.remove(&name);
            format!("{name} is removed")
        }
    };
    contexts.save(&path)?;
    desk.printer.say(&done)
}

/// Changes what was said of a context, and keeps the rest; but a token and a fingerprint belong to their server.
fn set(desk: &Desk, contexts: &mut Contexts, name: &str) -> Result<String, Failure> {
    if name.is_empty() || name.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return Err(Failure::usage("a context's name is a word; give one without spaces"));
    }
    let said = desk.said.clone();
    let known = contexts.get(name).cloned();
    let moved = |before: &Context, server: &Server| before.server.parse::<Server>().ok().as_ref() != Some(server);
    let mut context = match (known, &said.server) {
        (Some(before), None) => before,
        (Some(before), Some(server)) if !moved(&before, server) => before,
        (before, Some(server)) => Context {
            name: name.to_owned(),
            server: server.to_string(),
            token: None,
            fleet: before.and_then(|before| before.fleet),
            ca: None,
        },
        (None, None) => return Err(Failure::usage(format!("there is no context {name:?} yet; give its --server"))),
    };
    context.token = said.token.or(context.token);
    context.fleet = said.fleet.or(context.fleet);
    context.ca = said.ca.or(context.ca);
    contexts.put(context);
    if contexts.current().is_none() {
        contexts.current = Some(name.to_owned());
    }
    Ok(match contexts.current.as_deref() == Some(name) {
        true => format!("{name} is set, and the current context"),
        false => format!("{name} is set; `shadowcatctl context use {name}` makes it the current one"),
    })
}

fn known<'c>(contexts: &'c Contexts, name: &str) -> Result<&'c Context, Failure> {
    contexts.get(name).ok_or_else(|| {
        let names: Vec<&str> = contexts.contexts.iter().map(|context| context.name.as_str()).collect();
        let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Failure::usage(format!("there is no context {name:?}; there is: {there}"))
    })
}

fn shown(contexts: &Contexts, name: Option<&str>) -> Result<ContextShown, Failure> {
    let context = match name {
        Some(name) => known(contexts, name)?,
        None => {
            contexts.current().ok_or_else(|| Failure::usage("no context is current; `shadowcatctl context use` one"))?
        }
    };
    Ok(ContextShown::of(context, contexts.current.as_deref()))
}

impl Desk {
    /// Shows what has to do with no fleet and no server.
    fn show<V: crate::output::View>(&self, view: &V) -> Result<(), Failure> {
        self.printer.show(view, &self.printer.page("", ""))
    }
}
