//! What a recording blots out, compiled once for each.

use std::sync::Arc;

use shadowcat_config::{Recording, Redact, SecretForm};
use shadowcat_tape::redact::{Pattern, RedactionKey, Redactor, Rules};

/// Recordings whose rules are kept compiled. Those that no configuration has any more go first; a fleet has a handful.
const KEPT_MAX: usize = 64;

/// The rules of all recordings, under the fleet's key.
#[derive(Debug)]
pub(super) struct Secrets {
    key: RedactionKey,
    kept: Vec<(Arc<Recording>, Arc<Redactor>)>,
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
    pub(super) fn of(&mut self, recording: &Arc<Recording>) -> Arc<Redactor> {
        if let Some((_, redactor)) = self.kept.iter().find(|(known, _)| Arc::ptr_eq(known, recording)) {
            return Arc::clone(redactor);
        }
        // A new version of the configuration has the same rules in another place.
        let same = self.kept.iter().find(|(known, _)| known.redact == recording.redact);
        let redactor = same.map_or_else(|| self.compiled(&recording.redact), |(_, redactor)| Arc::clone(redactor));
        self.kept.retain(|(known, _)| Arc::strong_count(known) > 1);
        if self.kept.len() >= KEPT_MAX {
            self.kept.remove(0);
        }
        self.kept.push((Arc::clone(recording), Arc::clone(&redactor)));
        redactor
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
