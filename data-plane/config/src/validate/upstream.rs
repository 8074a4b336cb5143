//! One upstream.

use std::collections::HashSet;

use http::Uri;
use shadowcat_proto::config::v1 as raw;

use super::scope::{Scope, optional};
use super::value::{Source, source};
use super::{header, url};
use crate::defaults::{
    CHILD_IDLE_TIMEOUT, CONNECT_TIMEOUT, CONNECTION_IDLE_TIMEOUT, DEFAULT_MAX_CONNECTIONS, FIRST_BYTE_TIMEOUT,
    MAX_CONNECTIONS, STREAM_IDLE_TIMEOUT,
};
use crate::limits::{MAX_ARGUMENT_BYTES, MAX_COMMAND_ARGUMENTS, MAX_ENVIRONMENT, MAX_HEADERS, MAX_REFERENCES};
use crate::source::substitute::{self, is_variable_name};
use crate::{
    Connections, EnvVar, HeaderSource, HttpUpstream, Sharing, StdioUpstream, Transport, UpstreamHeader,
    UpstreamTimeouts, ValueSource,
};

pub(crate) fn transport(raw: &raw::Upstream, scope: &Scope<'_>) -> Option<Transport> {
    unacted(raw, scope);
    let http_made = optional(raw.http.as_ref(), |raw| http(raw, &scope.field("http")));
    let stdio_made = optional(raw.stdio.as_ref(), |raw| stdio(raw, &scope.field("stdio")));
    match (&raw.http, &raw.stdio) {
        (Some(_), Some(_)) => scope.error("http and stdio are both set", "keep one of the two"),
        (None, None) => scope
            .missing("http or stdio", "write http: { endpoints: [{ url: URL }] }, or stdio: { command: [PROGRAM] }"),
        _ => {}
    }
    match (http_made?, stdio_made?) {
        (Some(http), None) => Some(Transport::Http(http)),
        (None, Some(stdio)) => Some(Transport::Stdio(stdio)),
        _ => None,
    }
}

/// What an upstream may have and nothing acts on yet.
fn unacted(raw: &raw::Upstream, scope: &Scope<'_>) {
    scope.not_yet_fields([
        ("load_balancing", raw.load_balancing.is_some(), "load balancing"),
        ("health_check", raw.health_check.is_some(), "health checks of upstreams"),
        ("circuit_breaker", raw.circuit_breaker.is_some(), "circuit breakers"),
        ("retry", raw.retry.is_some(), "retries"),
        ("limits", raw.limits.is_some(), "limits on calls in flight"),
    ]);
    if let Some(check) = &raw.health_check {
        scope.field("health_check").duration_form("interval", check.interval.as_deref());
    }
    if let Some(breaker) = &raw.circuit_breaker {
        let scope = scope.field("circuit_breaker");
        scope.duration_form("open_for", breaker.open_for.as_deref());
        scope.duration_form("max_open", breaker.max_open.as_deref());
    }
    if let Some(limits) = &raw.limits {
        scope.field("limits").duration_form("queue_wait", limits.queue_wait.as_deref());
    }
}

pub(crate) fn http(raw: &raw::upstream::Http, scope: &Scope<'_>) -> Option<HttpUpstream> {
    let url = endpoint(&raw.endpoints, scope);
    let headers = headers(&raw.headers, &scope.field("headers"));
    let connections = connections(raw.connections.as_ref(), &scope.field("connections"));
    let timeouts = timeouts(raw.timeouts.as_ref(), &scope.field("timeouts"));
    Some(HttpUpstream { url: url?, headers: headers?, connections, timeouts })
}

fn endpoint(raw: &[raw::upstream::http::Endpoint], scope: &Scope<'_>) -> Option<Uri> {
    let list = scope.field("endpoints");
    let Some((first, more)) = raw.split_first() else {
        scope.missing("endpoints", "write endpoints: [{ url: URL }]");
        return None;
    };
    if !list.within(raw.len(), MAX_REFERENCES) {
        return None;
    }
    if !more.is_empty() {
        list.item(1).not_yet("several endpoints of one upstream");
    }
    for (index, endpoint) in raw.iter().enumerate() {
        list.item(index).not_yet_fields([("weight", endpoint.weight.is_some(), "weights of endpoints")]);
    }
    let scope = list.item(0);
    if first.url.is_empty() {
        scope.missing("url", "as in http://127.0.0.1:3001/mcp");
        return None;
    }
    url::endpoint(&first.url, &scope.field("url"))
}

fn headers(raw: &[raw::upstream::http::Header], scope: &Scope<'_>) -> Option<Vec<UpstreamHeader>> {
    if !scope.within(raw.len(), MAX_HEADERS) {
        return None;
    }
    let mut seen = HashSet::new();
    scope.each(raw, |raw, scope| {
        let name = header::to_send(&raw.name, scope);
        let source = source(raw.value.as_deref(), raw.secret.as_deref(), scope);
        let value = match source {
            Some(Source::Value(text)) => header::value(text, scope).map(HeaderSource::Value),
            Some(Source::Secret(reference)) => Some(HeaderSource::Secret(reference)),
            None => None,
        };
        let name = name?;
        if header::is_credential(&name) && matches!(value, Some(HeaderSource::Value(_))) {
            scope.field("value").error(
                format!("{name} is a credential, written in plain text"),
                "write secret: env:NAME or secret: file:PATH",
            );
        }
        if !seen.insert(name.clone()) {
            scope.field("name").error(format!("{name} is set twice"), "remove one of the two");
        }
        Some(UpstreamHeader { name, value: value? })
    })
}

fn connections(raw: Option<&raw::upstream::http::Connections>, scope: &Scope<'_>) -> Connections {
    let idle_timeout = raw.and_then(|raw| raw.idle_timeout.as_deref());
    Connections {
        max: scope.count("max", raw.and_then(|raw| raw.max), MAX_CONNECTIONS, DEFAULT_MAX_CONNECTIONS),
        idle_timeout: scope.duration("idle_timeout", idle_timeout, &CONNECTION_IDLE_TIMEOUT),
    }
}

fn timeouts(raw: Option<&raw::upstream::http::Timeouts>, scope: &Scope<'_>) -> UpstreamTimeouts {
    UpstreamTimeouts {
        connect: scope.duration("connect", raw.and_then(|raw| raw.connect.as_deref()), &CONNECT_TIMEOUT),
        first_byte: scope.duration("first_byte", raw.and_then(|raw| raw.first_byte.as_deref()), &FIRST_BYTE_TIMEOUT),
        idle: scope.duration("idle", raw.and_then(|raw| raw.idle.as_deref()), &STREAM_IDLE_TIMEOUT),
    }
}

pub(crate) fn stdio(raw: &raw::upstream::Stdio, scope: &Scope<'_>) -> Option<StdioUpstream> {
    let command = command(&raw.command, scope);
    let env = environment(&raw.env, &scope.field("env"));
    let sharing = match raw::upstream::stdio::Sharing::try_from(raw.sharing.unwrap_or_default()) {
        Ok(raw::upstream::stdio::Sharing::PerSession) => Some(Sharing::PerSession),
        Ok(raw::upstream::stdio::Sharing::Shared) => Some(Sharing::Shared),
        Ok(raw::upstream::stdio::Sharing::PerPrincipal) => {
            scope.not_yet_fields([("sharing", true, "one child per principal")]);
            None
        }
        Err(_) => {
            scope.field("sharing").error("unknown value", "PER_SESSION or SHARED");
            None
        }
    };
    scope.not_yet_fields([("memory_limit", raw.memory_limit.is_some(), "memory limits of children")]);
    scope.size("memory_limit", raw.memory_limit.as_deref());
    let stop_when_idle_for =
        scope.duration("stop_when_idle_for", raw.stop_when_idle_for.as_deref(), &CHILD_IDLE_TIMEOUT);
    Some(StdioUpstream { command: command?, env: env?, sharing: sharing?, stop_when_idle_for })
}

fn command(raw: &[String], scope: &Scope<'_>) -> Option<Vec<String>> {
    let list = scope.field("command");
    let Some(program) = raw.first() else {
        scope.missing("command", "write command: [PROGRAM, ARGUMENT, …]");
        return None;
    };
    if !list.within(raw.len(), MAX_COMMAND_ARGUMENTS) {
        return None;
    }
    if program.is_empty() {
        list.item(0).error("the program has no name", "write command: [PROGRAM, ARGUMENT, …]");
        return None;
    }
    if raw.len() == 1 && program.contains(' ') && !program.contains('/') {
        let words: Vec<&str> = program.split_whitespace().collect();
        list.item(0).error(
            format!("no program is called {program:?}"),
            format!("no shell reads it: write [{}]", words.join(", ")),
        );
        return None;
    }
    list.each(raw, |argument, scope| passable(argument, scope).then(|| argument.clone()))
}

fn environment(raw: &[raw::upstream::stdio::EnvVar], scope: &Scope<'_>) -> Option<Vec<EnvVar>> {
    if !scope.within(raw.len(), MAX_ENVIRONMENT) {
        return None;
    }
    let mut seen = HashSet::new();
    scope.each(raw, |raw, scope| {
        if raw.name.is_empty() {
            scope.missing("name", "every variable has one");
        } else if !is_variable_name(&raw.name) {
            let message = format!("{:?} is not the name of a variable", raw.name);
            scope.field("name").error(message, "letters, digits and underscores, not starting with a digit");
        } else if !seen.insert(raw.name.as_str()) {
            scope.field("name").error(format!("{} is set twice", raw.name), "remove one of the two");
        }
        let value = match source(raw.value.as_deref(), raw.secret.as_deref(), scope)? {
            Source::Value(text) => passable(text, &scope.field("value")).then(|| ValueSource::Value(text.to_owned())),
            Source::Secret(reference) => Some(ValueSource::Secret(reference)),
        };
        Some(EnvVar { name: raw.name.clone(), value: value? })
    })
}

/// Whether the operating system takes the text as an argument or an environment value.
fn passable(text: &str, scope: &Scope<'_>) -> bool {
    if text.contains('\0') {
        scope.error("it holds a NUL byte", "the operating system ends text there");
    } else if substitute::uses_mask(text) {
        scope.error(substitute::MASK_IN_TEXT, substitute::MASK_IN_TEXT_HINT);
    } else if text.len() > MAX_ARGUMENT_BYTES {
        scope.error("it is too long", format!("at most {MAX_ARGUMENT_BYTES} bytes"));
    } else {
        return true;
    }
    false
}
