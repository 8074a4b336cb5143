//! One route.

use std::collections::HashSet;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use shadowcat_proto::config::v1 as raw;

use super::header;
use super::scope::{Scope, optional};
use super::url::is_host;
use crate::defaults::{DEFAULT_MAX_SESSIONS, MAX_SESSIONS, REQUEST_TIMEOUT, SESSION_IDLE_TIMEOUT, STREAM_IDLE_TIMEOUT};
use crate::limits::{MAX_HEADERS, MAX_ORIGINS, MAX_PATH_BYTES};
use crate::{
    AllowedOrigin, Cors, HostPattern, Name, Origin, Route, RouteMatch, RouteTimeouts, SessionMode, Sessions, Upstream,
};

/// Paths that the gateway itself answers, and all below them.
const OWN_PATHS: [&str; 2] = ["/health", "/metrics"];

pub(crate) fn route(
    raw: &raw::Route,
    name: Option<Name>,
    target: Option<Arc<Upstream>>,
    scope: &Scope<'_>,
) -> Option<Route> {
    let matches = match &raw.r#match {
        Some(raw) => matches(raw, &scope.field("match")),
        None => {
            scope.missing("match", "write match: { path: /mcp }");
            None
        }
    };
    let sessions = sessions(raw.sessions.as_ref(), &scope.field("sessions"));
    let cors = optional(raw.cors.as_ref(), |raw| cors(raw, &scope.field("cors")));
    let timeouts = timeouts(raw.timeouts.as_ref(), &scope.field("timeouts"));
    Some(Route {
        name: name?,
        matches: matches?,
        target: target?,
        sessions: sessions?,
        cors: cors?,
        timeouts,
        recording: None,
    })
}

fn matches(raw: &raw::route::Match, scope: &Scope<'_>) -> Option<RouteMatch> {
    let path = path(&raw.path, scope);
    let host = optional(raw.host.as_deref(), |text| host(text, &scope.field("host")));
    let headers = match_headers(&raw.headers, &scope.field("headers"));
    Some(RouteMatch { path: path?, host: host?, headers: headers? })
}

fn path(text: &str, scope: &Scope<'_>) -> Option<Box<str>> {
    if text.is_empty() {
        scope.missing("path", "as in /mcp");
        return None;
    }
    let scope = scope.field("path");
    let own = |own: &&str| text.strip_prefix(*own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if !text.starts_with('/') {
        scope.error(format!("{text:?} is not a path"), "a path starts with /");
    } else if text.len() > MAX_PATH_BYTES {
        scope.error("the path is too long", format!("at most {MAX_PATH_BYTES} bytes"));
    } else if text.contains(['*', '{', '}']) {
        scope
            .error(format!("{text:?} looks like a pattern"), "a path is matched byte for byte; patterns are not known");
    } else if !text.bytes().all(is_path_byte) || text.split('/').any(|segment| matches!(segment, "." | "..")) {
        scope.error(
            format!("{text:?} is not a path"),
            "no query, no fragment, no . or .. and nothing that a URL would escape",
        );
    } else if OWN_PATHS.iter().any(own) {
        scope.error(
            format!("{text} belongs to the gateway"),
            "/health and /metrics tell of the gateway itself: take another path",
        );
    } else {
        return Some(text.into());
    }
    None
}

/// `pchar` and `/` of RFC 3986, 3.3, percent escapes included.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&byte)
}

fn host(text: &str, scope: &Scope<'_>) -> Option<HostPattern> {
    let lower = text.to_ascii_lowercase();
    let below = lower.strip_prefix('*').filter(|suffix| suffix.starts_with('.'));
    let (name, pattern) = match below {
        Some(suffix) => (&suffix[1..], HostPattern::Below(suffix.into())),
        None => (lower.as_str(), HostPattern::Exactly(lower.as_str().into())),
    };
    if is_host(name) {
        return Some(pattern);
    }
    scope.error(format!("{text:?} is not a host"), "write mcp.example.com or *.example.com, without scheme and port");
    None
}

fn match_headers(raw: &[raw::route::r#match::Header], scope: &Scope<'_>) -> Option<Vec<(HeaderName, HeaderValue)>> {
    if !scope.within(raw.len(), MAX_HEADERS) {
        return None;
    }
    let mut seen = HashSet::new();
    scope.each(raw, |raw, scope| {
        let name = header::to_match(&raw.name, scope);
        let value = header::value(&raw.value, scope);
        let name = name?;
        if !seen.insert(name.clone()) {
            scope.field("name").error(format!("{name} is matched twice"), "one header has one value to match");
            return None;
        }
        Some((name, value?))
    })
}

fn sessions(raw: Option<&raw::route::Sessions>, scope: &Scope<'_>) -> Option<Sessions> {
    let Some(raw) = raw else {
        return Some(Sessions::default());
    };
    let mode = match raw::route::sessions::Mode::try_from(raw.mode.unwrap_or_default()) {
        Ok(raw::route::sessions::Mode::Required) => Some(SessionMode::Required),
        Ok(raw::route::sessions::Mode::Optional) => Some(SessionMode::Optional),
        Err(_) => {
            scope.field("mode").error("unknown value", "REQUIRED or OPTIONAL");
            None
        }
    };
    let idle_timeout = scope.duration("idle_timeout", raw.idle_timeout.as_deref(), &SESSION_IDLE_TIMEOUT);
    let max = scope.count("max", raw.max, MAX_SESSIONS, DEFAULT_MAX_SESSIONS);
    Some(Sessions { mode: mode?, idle_timeout, max })
}

fn cors(raw: &raw::route::Cors, scope: &Scope<'_>) -> Option<Cors> {
    if raw.allow_origins.is_empty() {
        scope.missing("allow_origins", "name the origins whose pages may call, or remove cors");
        return None;
    }
    let list = scope.field("allow_origins");
    if !list.within(raw.allow_origins.len(), MAX_ORIGINS) {
        return None;
    }
    let origins = list.each(&raw.allow_origins, |text, scope| origin(text, scope))?;
    for (index, origin) in origins.iter().enumerate() {
        if origins[..index].contains(origin) {
            list.item(index).error("the origin is named twice", "remove one of the two");
        } else if *origin == AllowedOrigin::Any && origins.len() > 1 {
            list.item(index).error("* is every origin", "write * alone, or only the origins you mean");
        }
    }
    Some(Cors { allow_origins: origins })
}

fn origin(text: &str, scope: &Scope<'_>) -> Option<AllowedOrigin> {
    if text == "*" {
        return Some(AllowedOrigin::Any);
    }
    let origin = Origin::new(text).map(AllowedOrigin::Exactly);
    if origin.is_none() {
        let hint = "write scheme://host[:port] with http or https and no path, or * for every origin";
        scope.error(format!("{text:?} is not an origin"), hint);
    }
    origin
}

fn timeouts(raw: Option<&raw::route::Timeouts>, scope: &Scope<'_>) -> RouteTimeouts {
    RouteTimeouts {
        request: scope.duration("request", raw.and_then(|raw| raw.request.as_deref()), &REQUEST_TIMEOUT),
        idle: scope.duration("idle", raw.and_then(|raw| raw.idle.as_deref()), &STREAM_IDLE_TIMEOUT),
    }
}
