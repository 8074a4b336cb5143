//! Recordings.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json_path::JsonPath;
use shadowcat_proto::config::v1 as raw;
use shadowcat_proto::config::v1::recording::redact::Value;
use shadowcat_proto::config::v1::recording::{
    Capture as RawCapture, Overflow as RawOverflow, Principals as RawPrincipals,
};

use super::names::Names;
use super::scope::Scope;
use crate::defaults::{DEFAULT_MAX_MESSAGE, MAX_MESSAGE_SIZE, RETENTION};
use crate::limits::{MAX_REDACTED, MAX_REDACTED_BYTES, MAX_SHARED};
use crate::{Capture, Name, Overflow, Principals, Recording, Redact, Retention, SecretForm};

/// The recordings, and which of them routes have named.
#[derive(Default)]
pub(crate) struct Recordings<'r> {
    by_name: HashMap<&'r str, Option<Arc<Recording>>>,
    names: Vec<&'r str>,
    used: HashSet<&'r str>,
    /// Whether a route named one that is not there: then an unused one is most likely the one it meant.
    dangling: bool,
}

impl<'r> Recordings<'r> {
    pub(crate) fn check(raw: &'r [raw::Recording], scope: &Scope<'_>) -> Self {
        let mut recordings = Self::default();
        if !scope.within(raw.len(), MAX_SHARED) {
            recordings.dangling = true;
            return recordings;
        }
        let mut names = Names::default();
        for (index, raw) in raw.iter().enumerate() {
            let scope = scope.item(index);
            let name = names.check(&raw.name, &scope);
            let made = recording(raw, name, &scope).map(Arc::new);
            recordings.by_name.entry(&raw.name).or_insert(made);
            recordings.names.push(&raw.name);
        }
        recordings
    }

    /// The recording that a route names; `None` also when it is there and wrong, which has been reported.
    pub(crate) fn named(&mut self, name: &str, scope: &Scope<'_>) -> Option<Arc<Recording>> {
        let Some((known, recording)) = self.by_name.get_key_value(name) else {
            self.dangling = true;
            scope.unresolved("recording", name, self.names.iter().copied());
            return None;
        };
        self.used.insert(known);
        recording.clone()
    }

    pub(crate) fn report_unused(&self, scope: &Scope<'_>) {
        for (index, name) in self.names.iter().enumerate() {
            if !self.dangling && !name.is_empty() && !self.used.contains(name) {
                scope.item(index).error(
                    format!("no route uses the recording {name:?}"),
                    "write recording: NAME under a route, or remove it",
                );
            }
        }
    }
}

fn recording(raw: &raw::Recording, name: Option<Name>, scope: &Scope<'_>) -> Option<Recording> {
    const PERCENT: u32 = 100;
    let capture = known(raw.capture, "capture", "FULL, METADATA or HEADERS", scope).map(|capture| match capture {
        RawCapture::Full => Capture::Full,
        RawCapture::Metadata => Capture::Metadata,
        RawCapture::Headers => Capture::Headers,
    });
    let on_overflow = known(raw.on_overflow, "on_overflow", "GAP or REQUIRED", scope).map(|overflow| match overflow {
        RawOverflow::Gap => Overflow::Gap,
        RawOverflow::Required => Overflow::Required,
    });
    let principals = known(raw.principals, "principals", "HASHED or PLAIN", scope).map(|principals| match principals {
        RawPrincipals::Hashed => Principals::Hashed,
        RawPrincipals::Plain => Principals::Plain,
    });
    let percent = raw.sample_percent.unwrap_or(PERCENT);
    if percent > PERCENT {
        scope.field("sample_percent").error(format!("{percent} is out of range"), format!("from 0 to {PERCENT}"));
    }
    let max_message = scope.size("max_message", raw.max_message.as_deref()).unwrap_or(DEFAULT_MAX_MESSAGE);
    if max_message > MAX_MESSAGE_SIZE {
        scope.field("max_message").error("more than a message can have", "at most 4Mi");
    }
    let redact = redact(raw.redact.as_ref(), &scope.field("redact"));
    let retention = retention(raw.retention.as_ref(), &scope.field("retention"));
    Some(Recording {
        name: name?,
        capture: capture?,
        sample_percent: u8::try_from(percent).ok()?,
        max_message,
        redact: redact?,
        principals: principals?,
        retention,
        on_overflow: on_overflow?,
    })
}

/// The value of an enumeration, absent as its first.
fn known<E: TryFrom<i32>>(raw: Option<i32>, field: &'static str, values: &str, scope: &Scope<'_>) -> Option<E> {
    let value = E::try_from(raw.unwrap_or_default()).ok();
    if value.is_none() {
        scope.field(field).error("unknown value", values);
    }
    value
}

fn redact(raw: Option<&raw::recording::Redact>, scope: &Scope<'_>) -> Option<Redact> {
    let Some(raw) = raw else { return Some(Redact::default()) };
    let keys = texts(&raw.keys, &scope.field("keys"), key);
    let paths = texts(&raw.paths, &scope.field("paths"), path);
    let list = scope.field("values");
    let values = list.each(&raw.values, |value, scope| {
        let form = Value::try_from(*value).map(form);
        if form.is_err() {
            scope.error("unknown value", "BEARER, BASIC, AWS_KEY, JWT, PEM, API_KEY, URL_CREDENTIALS or COOKIE");
        }
        form.ok()
    });
    Some(Redact { keys: keys?, paths: paths?, values: values? })
}

fn form(value: Value) -> SecretForm {
    match value {
        Value::Bearer => SecretForm::Bearer,
        Value::Basic => SecretForm::Basic,
        Value::AwsKey => SecretForm::AwsKey,
        Value::Jwt => SecretForm::Jwt,
        Value::Pem => SecretForm::Pem,
        Value::ApiKey => SecretForm::ApiKey,
        Value::UrlCredentials => SecretForm::UrlCredentials,
        Value::Cookie => SecretForm::Cookie,
    }
}

fn texts(raw: &[String], scope: &Scope<'_>, check: impl Fn(&str, &Scope<'_>) -> bool) -> Option<Vec<Box<str>>> {
    if !scope.within(raw.len(), MAX_REDACTED) {
        return None;
    }
    scope.each(raw, |text, scope| {
        if text.len() > MAX_REDACTED_BYTES {
            scope.error("the text is too long", format!("at most {MAX_REDACTED_BYTES} bytes"));
            return None;
        }
        check(text, scope).then(|| text.as_str().into())
    })
}

fn key(text: &str, scope: &Scope<'_>) -> bool {
    let names_something = text.chars().any(|letter| letter != '*');
    if !names_something {
        scope.error(
            format!("{text:?} is every field"),
            "name fields, as in \"*token*\"; to keep no content at all, write capture: METADATA",
        );
    }
    names_something
}

fn path(text: &str, scope: &Scope<'_>) -> bool {
    match JsonPath::parse(text) {
        Ok(_) => true,
        Err(error) => {
            scope.error(
                format!("{text:?} is not a JSONPath ({})", error.message()),
                "write it as RFC 9535 has it, as in $.params.arguments.ssn",
            );
            false
        }
    }
}

fn retention(raw: Option<&raw::recording::Retention>, scope: &Scope<'_>) -> Retention {
    let Some(raw) = raw else { return Retention::default() };
    Retention {
        keep: scope.duration("keep", raw.keep.as_deref(), &RETENTION),
        max_size: scope.size("max_size", raw.max_size.as_deref()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use crate::{Capture, Overflow, Principals, Recording, Retention, SecretForm, parse_local_in};

    fn recorded(recording: &str) -> Arc<Recording> {
        let text = format!(
            "routes: [{{ name: r, match: {{ path: /mcp }}, targets: [{{ upstream: u }}], recording: all }}]\n\
             upstreams: [{{ name: u, stdio: {{ command: [x] }} }}]\nrecordings: [{{ name: all{recording} }}]"
        );
        let config = parse_local_in(&text, "", &|_| None).expect("valid").config;
        config.routes()[0].recording.clone().expect("it is recorded")
    }

    #[test]
    fn what_is_not_said_of_a_recording_is_kept_whole_for_a_week_without_its_secrets() {
        let all = recorded("");
        assert_eq!(*all, Recording::named(all.name.clone()));
        assert_eq!((all.capture, all.on_overflow, all.principals), (Capture::Full, Overflow::Gap, Principals::Hashed));
    }

    #[test]
    fn what_is_said_of_a_recording_becomes_its_types() {
        let said = recorded(
            ", capture: HEADERS, sample_percent: 0, max_message: 64Ki, principals: PLAIN, on_overflow: REQUIRED, \
             retention: { keep: 1h, max_size: 1Gi }, redact: { keys: ['*pin*'], paths: ['$.a.b'], values: [JWT, COOKIE] }",
        );
        assert_eq!((said.capture, said.sample_percent, said.max_message), (Capture::Headers, 0, 64 * 1024));
        assert_eq!((said.principals, said.on_overflow), (Principals::Plain, Overflow::Required));
        assert_eq!(said.retention, Retention { keep: Duration::from_hours(1), max_size: Some(1 << 30) });
        assert_eq!((&*said.redact.keys[0], &*said.redact.paths[0]), ("*pin*", "$.a.b"));
        assert_eq!(said.redact.values, [SecretForm::Jwt, SecretForm::Cookie]);
    }
}
