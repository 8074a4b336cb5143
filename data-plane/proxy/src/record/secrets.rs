//! What a recording blots out, compiled once for each.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::value::{RawValue, to_raw_value};
use shadowcat_config::{Recording, Redact, SecretForm};
use shadowcat_mcp::header::{METHOD, NAME, PARAM_PREFIX, decoded};
use shadowcat_tape::record::Redacted;
use shadowcat_tape::redact::{Pattern, RedactionKey, Redactor, Rules};

use super::call::Headers;

/// Recordings whose rules are kept compiled. Those that no configuration has any more go first; a fleet has a handful.
const KEPT_MAX: usize = 64;

/// Short texts that are remembered, of each kind; then all are forgotten. Clients have a few, and one that makes up new ones costs no
/// more than it would without.
const SEEN_MAX: usize = 1024;

/// A longer text is not remembered: it is not one that comes again and again, and clients choose how long it is.
const SEEN_BYTES_MAX: usize = 256;

/// The rules of all recordings, under the fleet's key.
#[derive(Debug)]
pub(super) struct Secrets {
    key: RedactionKey,
    kept: Vec<Cleaner>,
    /// For rules that cannot be compiled: everything that can be known as a secret goes.
    strictest: Arc<Redactor>,
}

impl Secrets {
    pub(super) fn new(key: RedactionKey) -> Self {
        let strictest = Redactor::new(&Rules::default(), &key).expect("the rules of the program are sound");
        Self { key, kept: Vec::new(), strictest: Arc::new(strictest) }
    }

    /// Tags are made with this key from now on.
    pub(super) fn rekey(&mut self, key: RedactionKey) {
        *self = Self::new(key);
    }

    /// Which key it is.
    pub(super) fn key_id(&self) -> String {
        self.strictest.key_id().to_owned()
    }

    /// The rules of a recording.
    pub(super) fn of(&mut self, recording: &Arc<Recording>) -> &mut Cleaner {
        let known = self.kept.iter().position(|kept| Arc::ptr_eq(&kept.recording, recording));
        let at = known.unwrap_or_else(|| self.add(recording));
        &mut self.kept[at]
    }

    fn add(&mut self, recording: &Arc<Recording>) -> usize {
        // A new version of the configuration has the same rules in another place.
        let same = self.kept.iter().find(|kept| kept.recording.redact == recording.redact);
        let redactor = same.map_or_else(|| self.compiled(&recording.redact), |kept| Arc::clone(&kept.redactor));
        self.kept.retain(|kept| Arc::strong_count(&kept.recording) > 1);
        if self.kept.len() >= KEPT_MAX {
            self.kept.remove(0);
        }
        let (headers, names, key) = (Seen::default(), Seen::default(), Vec::new());
        self.kept.push(Cleaner { recording: Arc::clone(recording), redactor, headers, names, key });
        self.kept.len() - 1
    }

    fn compiled(&self, redact: &Redact) -> Arc<Redactor> {
        match Redactor::new(&rules(redact), &self.key) {
            Ok(redactor) => Arc::new(redactor),
            Err(error) => {
                tracing::error!(%error, "a recording's redaction is not usable; what is known as secret by itself goes");
                Arc::clone(&self.strictest)
            }
        }
    }
}

/// The rules of one recording, and what they have made of the short texts that come again and again.
#[derive(Debug)]
pub(super) struct Cleaner {
    recording: Arc<Recording>,
    redactor: Arc<Redactor>,
    headers: Seen,
    names: Seen,
    /// Where keys are put together.
    key: Vec<u8>,
}

impl Cleaner {
    pub(super) fn redactor(&self) -> Arc<Redactor> {
        Arc::clone(&self.redactor)
    }

    /// Whether what stands beside a message can be cleaned only by one who has read the message, kept or not.
    pub(super) fn needs_message(&self, headers: Option<&Headers>) -> bool {
        let mirrors = |headers: &Headers| headers.iter().any(|(name, _)| name.starts_with(PARAM_PREFIX));
        self.redactor.has_own_places() || headers.is_some_and(mirrors)
    }

    /// Headers without their secrets, those of `removed` among them: what was blotted out of the message beside them. One that is
    /// never recorded, or is no text, is left out.
    pub(super) fn headers<'a>(&mut self, headers: &'a Headers, removed: &[Redacted<'_>]) -> Vec<(&'a str, Arc<str>)> {
        let mut clean = |name: &str, value: &[u8]| match is_mirror(name) {
            true => self.mirror(name, value, removed),
            false => self.header(name, value),
        };
        headers.iter().filter_map(|(name, value)| Some((name, clean(name, value)?))).collect()
    }

    /// A header that repeats a part of the message, perhaps encoded.
    fn mirror(&mut self, name: &str, value: &[u8], removed: &[Redacted<'_>]) -> Option<Arc<str>> {
        let value = str::from_utf8(value).ok()?;
        let decoded = decoded(value);
        if decoded.is_none() && removed.is_empty() {
            return self.header(name, value.as_bytes());
        }
        let plain = decoded.as_deref().unwrap_or(value);
        let repeated = self.redactor.repeated(plain, removed);
        let clean = self.redactor.header(name, &repeated)?;
        // As it came, where nothing has to go.
        Some(if clean == plain { value.into() } else { clean.into() })
    }

    fn header(&mut self, name: &str, value: &[u8]) -> Option<Arc<str>> {
        self.key.clear();
        self.key.extend_from_slice(name.as_bytes());
        self.key.push(b':');
        self.key.extend_from_slice(value);
        let clean = || Some(self.redactor.header(name, str::from_utf8(value).ok()?)?.into());
        self.headers.get(&self.key, clean)
    }

    /// An id without its secrets, if it has any. Whoever makes ids of keys has them in every answer.
    pub(super) fn id(&self, id: &RawValue) -> Option<Box<RawValue>> {
        cleaned_id(&self.redactor, id)
    }

    /// The name of a method or a tool, a resource's URI, without their secrets.
    pub(super) fn name(&mut self, name: &str) -> Arc<str> {
        let clean = || Some(self.redactor.text(name).into());
        self.names.get(name.as_bytes(), clean).unwrap_or_default()
    }
}

/// Whether a header repeats what stands in the message.
fn is_mirror(name: &str) -> bool {
    name.starts_with(PARAM_PREFIX) || [METHOD, NAME].iter().any(|mirror| mirror == name)
}

/// An id without its secrets, if it has any.
pub(super) fn cleaned_id(redactor: &Redactor, id: &RawValue) -> Option<Box<RawValue>> {
    // A number is no secret, and most ids are numbers.
    let text: String = id.get().starts_with('"').then(|| serde_json::from_str(id.get()).ok()).flatten()?;
    match redactor.text(&text) {
        Cow::Borrowed(_) => None,
        Cow::Owned(clean) => Some(to_raw_value(&clean).expect("a string is JSON")),
    }
}

/// What was made of what was seen last, so that it is not made again. Keys are copies: a header's value would keep the whole buffer
/// alive in which its head arrived.
#[derive(Debug, Default)]
struct Seen(HashMap<Box<[u8]>, Option<Arc<str>>>);

impl Seen {
    fn get(&mut self, key: &[u8], make: impl FnOnce() -> Option<Arc<str>>) -> Option<Arc<str>> {
        if key.len() > SEEN_BYTES_MAX {
            return make();
        }
        if let Some(seen) = self.0.get(key) {
            return seen.clone();
        }
        if self.0.len() >= SEEN_MAX {
            self.0.clear();
        }
        let made = make();
        self.0.insert(key.into(), made.clone());
        made
    }
}

fn rules(redact: &Redact) -> Rules {
    let texts = |texts: &[Box<str>]| texts.iter().map(ToString::to_string).collect();
    let values = match &*redact.values {
        [] => Rules::default().values,
        some => some.iter().map(|form| pattern(*form)).collect(),
    };
    Rules { keys: texts(&redact.keys), paths: texts(&redact.paths), values }
}

const fn pattern(form: SecretForm) -> Pattern {
    match form {
        SecretForm::Bearer => Pattern::Bearer,
        SecretForm::Basic => Pattern::Basic,
        SecretForm::AwsKey => Pattern::AwsKey,
        SecretForm::Jwt => Pattern::Jwt,
        SecretForm::Pem => Pattern::Pem,
        SecretForm::ApiKey => Pattern::ApiKey,
        SecretForm::UrlCredentials => Pattern::UrlCredentials,
        SecretForm::Cookie => Pattern::Cookie,
    }
}
