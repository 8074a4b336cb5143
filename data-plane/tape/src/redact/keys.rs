//! Names whose values are secrets.
//!
//! A name is first searched for the literal parts of all globs, and only one that has some is compared glob by glob. The
//! same literals are what `finder` looks for in whole messages, so a message that it passes over has no such name.

use super::rules::RuleError;

/// Which values of a name are secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grade {
    /// Strings: numbers under such names are counters and sizes.
    Strings,
    /// Numbers as well.
    Scalars,
}

/// Names of secrets whatever a recording says. Numbers under them are counters, as in `max_tokens`.
const STRINGS: &[&str] = &[
    "*token*",
    "*secret*",
    "*api_key*",
    "*authorization",
    "cookie",
    "set_cookie",
    "cookies",
    "*private_key*",
    "credential*",
    "*_credential",
    "*_credentials",
    "*session_key*",
    "*access_key*",
    "*signing_key*",
    "*encryption_key*",
    "*account_key",
    "*auth_key",
    "*master_key",
    "*service_role_key",
    "*bearer",
    "*jwt",
    "*connection_string",
    "client_assertion",
    "code_verifier",
    "x_amz_signature",
    "x_goog_signature",
    "*mnemonic",
    "sig",
];

/// Names of secrets that people also write as numbers.
const SCALARS: &[&str] = &["*password*", "*passwd*", "*passphrase*", "*passcode", "*pwd", "pgpass"];

/// What the globs above also match and is no secret.
#[rustfmt::skip]
const INNOCENT: &[&str] = &[
    // Words of which the globs are parts.
    "*tokeniz*", "*tokenis*", "*secretar*",
    // Counters, also where somebody writes them as strings.
    "max*tokens", "min*tokens", "num*tokens", "*input_tokens", "*output_tokens", "*total_tokens", "*prompt_tokens",
    "*completion_tokens", "*cached_tokens", "*reasoning_tokens", "*thinking_tokens", "*token_count", "*token_counts",
    "*token_limit", "*token_usage", "*token_budget", "*tokens_used", "*tokens_per_second", "*tokens_remaining",
    // What OAuth and its metadata say in the open (RFC 6749, section 5.1; RFC 8414, section 2).
    "token_type", "token_types", "token_type_hint", "token_endpoint", "token_endpoint_auth*", "token_url", "token_uri",
    "*bearer_methods_supported", "subject_token_type", "requested_token_type", "*token_expires*", "*token_expiry*",
];

/// Members of the protocol that mean no secret to it, exact in case. Not even a recording's own globs match them: without
/// them a tape cannot be replayed.
const PROTOCOL: [&str; 5] = ["progressToken", "nextCursor", "requestState", "taskId", "cursor"];

/// Letters in a row that a glob must have: with fewer, nearly every message would be searched in full.
const LITERAL_MIN: usize = 2;

/// Places of a glob's longest part that may hold `-`, `_` or nothing, all forms of which are searched for. A part with
/// more is searched for by its longest word.
const SEPARATORS_MAX: usize = 2;

/// A name with `*` in it: its parts, folded.
#[derive(Debug, Clone)]
struct Glob(Vec<Vec<u8>>);

impl Glob {
    fn new(text: &str) -> Self {
        Self(text.split('*').map(|part| fold(part.as_bytes())).collect())
    }

    /// Whether a folded name matches. Each part is looked for behind the one before.
    fn matches(&self, name: &[u8]) -> bool {
        let [first, middle @ .., last] = self.0.as_slice() else {
            return self.0.first().is_some_and(|whole| whole.len() == name.len() && begins_with(name, whole));
        };
        if name.len() < first.len() + last.len() || !begins_with(name, first) {
            return false;
        }
        let (mut rest, end) = name[first.len()..].split_at(name.len() - first.len() - last.len());
        begins_with(end, last)
            && middle.iter().all(|part| {
                let found = (0..rest.len()).find(|at| begins_with(&rest[*at..], part));
                rest = found.map_or(&[], |at| &rest[at + part.len()..]);
                found.is_some()
            })
    }
}

/// Names differ in their first bytes, so this loop ends before `memcmp` or a searcher would have begun: a name is compared
/// with a hundred parts.
fn begins_with(name: &[u8], part: &[u8]) -> bool {
    name.len() >= part.len() && name.iter().zip(part).all(|(a, b)| a == b)
}

/// The names of a recording.
#[derive(Debug)]
pub(super) struct Keys {
    own: Vec<Glob>,
    strings: Vec<Glob>,
    scalars: Vec<Glob>,
    innocent: Vec<Glob>,
}

impl Keys {
    /// The built-in names, and these.
    pub(super) fn new(own: &[String]) -> Result<Self, RuleError> {
        let vague = own.iter().find(|glob| literals(glob).iter().any(|literal| literal.len() < LITERAL_MIN));
        if let Some(glob) = vague {
            return Err(RuleError::VagueGlob { glob: glob.clone(), least: LITERAL_MIN });
        }
        let globs = |texts: &[&str]| texts.iter().map(|text| Glob::new(text)).collect();
        Ok(Self {
            own: own.iter().map(|text| Glob::new(text)).collect(),
            strings: globs(STRINGS),
            scalars: globs(SCALARS),
            innocent: globs(INNOCENT),
        })
    }

    /// What must stand in a text that has a name of a secret, whatever the case.
    pub(super) fn literals(own: &[String]) -> Vec<String> {
        let built_in = STRINGS.iter().chain(SCALARS).map(|glob| (*glob).to_owned());
        let mut all: Vec<String> = built_in.chain(own.iter().cloned()).flat_map(|glob| literals(&glob)).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Whether values under this name are secrets. Of a dotted name, as in `db.pool.password`, the last part counts too.
    ///
    /// For names that hold one of the [`literals`](Self::literals); others need not be asked about.
    pub(super) fn grade(&self, name: &[u8]) -> Option<Grade> {
        if PROTOCOL.iter().any(|own| own.as_bytes() == name) {
            return None;
        }
        let last = memchr::memrchr(b'.', name).map(|dot| &name[dot + 1..]);
        self.grade_folded(&fold(name)).or_else(|| self.grade_folded(&fold(last?)))
    }

    fn grade_folded(&self, name: &[u8]) -> Option<Grade> {
        let any = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(name));
        if any(&self.own) {
            return Some(Grade::Scalars);
        }
        let grade = if any(&self.scalars) {
            Grade::Scalars
        } else if any(&self.strings) {
            Grade::Strings
        } else {
            return None;
        };
        (!any(&self.innocent)).then_some(grade)
    }
}

/// A name as names are compared: ASCII in lower case, without `-` and `_`.
pub(super) fn fold(name: &[u8]) -> Vec<u8> {
    name.iter().filter(|byte| !matches!(byte, b'-' | b'_')).map(u8::to_ascii_lowercase).collect()
}

/// What to search for where a glob may match: its longest part, in every form that its separators may take.
fn literals(glob: &str) -> Vec<String> {
    if glob == "sig" {
        // Azure's signature in a URL. The bare word stands in too many others.
        return vec!["sig=".to_owned()];
    }
    let part = glob.split('*').max_by_key(|part| part.len()).unwrap_or_default();
    let part = part.trim_matches(['-', '_']);
    let words: Vec<&str> = part.split(['-', '_']).filter(|word| !word.is_empty()).collect();
    if words.len() > SEPARATORS_MAX + 1 {
        return words.into_iter().max_by_key(|word| word.len()).map(str::to_ascii_lowercase).into_iter().collect();
    }
    words.into_iter().fold(vec![String::new()], |forms, word| {
        let joined = |form: &String| match form.as_str() {
            "" => vec![word.to_ascii_lowercase()],
            form => ["", "-", "_"].map(|between| format!("{form}{between}{}", word.to_ascii_lowercase())).to_vec(),
        };
        forms.iter().flat_map(joined).collect()
    })
}
