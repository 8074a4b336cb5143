//! Redaction: secrets are blotted out of everything that is recorded, before it leaves the task that saw it.
//!
//! Promises, on which tapes build:
//!
//! - A secret is replaced by a tag, `⟦r:<kind>:<8 hex of HMAC-SHA256>⟧`. The kind follows from the secret's form, so equal
//!   secrets have equal tags wherever they stand, and what was equal on the wire is equal on the tape.
//! - A message keeps its shape: no member is removed, only scalars and parts of strings are replaced (and parts of names,
//!   where a name holds a secret). Everything else stays byte for byte: order, duplicates, white space, escapes, numbers.
//! - What has been redacted is not changed by redacting it again.
//! - No input is refused and none panics. What is not JSON is text; what is not UTF-8 is searched as bytes. The time is
//!   linear in the input.
//!
//! Not here: secrets without a name or a form, which nobody can tell from other text, and guesses by entropy. Values that
//! somebody else chose to encode (base64, gzip) are not decoded.
//!
//! | Module | Holds |
//! |---|---|
//! | `rules` | what a recording wants blotted out |
//! | `keys` | names whose values are secrets, and what only looks like one |
//! | `forms`, `credentials`, `pem` | secrets that their form or their neighbour betrays |
//! | `assign`, `prose` | names and values in text, and words that are no values |
//! | `finder`, `scan` | one search for all of it, over text |
//! | `walk`, `frame`, `demand`, `escape`, `paths` | the pass over JSON text |
//! | `edit`, `tag` | what comes instead |
//! | `stream` | text that comes line by line |

mod assign;
mod bytes;
mod credentials;
mod demand;
mod edit;
mod escape;
mod finder;
mod forms;
mod frame;
mod keys;
mod paths;
mod pem;
mod prose;
mod rules;
mod scan;
mod stream;
mod tag;
mod walk;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

pub use rules::{Pattern, RuleError, Rules};
pub use stream::TextStream;
pub use tag::RedactionKey;

use crate::record::Redacted;
use edit::{Edit, apply, merge};
use finder::Finder;
use keys::{Keys, fold};
use paths::Paths;
use rules::Rule;
use scan::Search;
use tag::Tagger;
use walk::{LEVELS_MAX, Walk};

/// Headers that are never recorded (folded): there is nothing in them but credentials.
const NEVER_RECORDED: [&[u8]; 4] = [b"authorization", b"proxyauthorization", b"cookie", b"setcookie"];

/// Blots out what one recording's rules say. Made once per recording, used by all tasks.
pub struct Redactor {
    search: Search,
    paths: Paths,
    own_places: bool,
    tagger: Tagger,
}

/// A body as it may be written, and what is no longer in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaned<'a> {
    /// Borrowed if nothing was removed.
    pub bytes: Cow<'a, [u8]>,
    /// In the order of the body, one for each tag that was put in; empty if nothing was removed. Inside a string that
    /// holds JSON, the place is the string's. A place of more than 512 bytes ends at a container above it.
    pub removed: Vec<Redacted<'static>>,
}

impl Redactor {
    /// Prepares the rules.
    ///
    /// # Errors
    ///
    /// A glob without letters, a path that is not JSONPath, or more globs than one automaton takes.
    pub fn new(rules: &Rules, key: &RedactionKey) -> Result<Self, RuleError> {
        let keys = Keys::new(&rules.keys)?;
        let wanted = |pattern| rules.values.contains(&pattern);
        let (cookies, private_keys) = (wanted(Pattern::Cookie), wanted(Pattern::Pem));
        let search = Search { finder: Finder::new(rules)?, keys, cookies, private_keys };
        let own_places = !rules.keys.is_empty() || !rules.paths.is_empty();
        Ok(Self { search, paths: Paths::new(&rules.paths)?, own_places, tagger: Tagger::new(key) })
    }

    /// Which key made the tags: the first eight hexadecimal digits of its BLAKE3. Tags of different keys cannot be compared.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.tagger.key_id()
    }

    /// The tag of a secret, under a kind of the caller's, as in `principal`. Equal secrets have equal hashes in all kinds.
    #[must_use]
    pub fn tag(&self, kind: &str, secret: &str) -> String {
        self.tagger.tag(kind, secret.as_bytes())
    }

    /// A message's body. JSON is read as JSON as far as it is JSON; the rest is text.
    #[must_use]
    pub fn message<'a>(&self, body: &'a [u8]) -> Cleaned<'a> {
        let selection = self.paths.select(body);
        if selection.is_none() && !self.search.suspects(body) {
            return Cleaned { bytes: Cow::Borrowed(body), removed: Vec::new() };
        }
        let walked = Walk::new(self, body, 0, selection.as_ref()).run();
        let edits = if walked.whole { walked.edits } else { merge(walked.edits, self.plain(body)) };
        if edits.is_empty() {
            return Cleaned { bytes: Cow::Borrowed(body), removed: Vec::new() };
        }
        let bytes = Cow::Owned(apply(body, &edits));
        Cleaned { bytes, removed: edits.into_iter().map(|edit| edit.note).collect() }
    }

    /// A line of stderr, an argument, a URI, or any other text. If it is JSON, it is read as JSON. For a private key that
    /// comes line by line see [`TextStream`].
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let edits = self.nested(text.as_bytes(), 1);
        if edits.is_empty() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(String::from_utf8_lossy(&apply(text.as_bytes(), &edits)).into_owned())
    }

    /// The value of a header as it may be recorded; `None` for those that never are.
    #[must_use]
    pub fn header<'a>(&self, name: &str, value: &'a str) -> Option<Cow<'a, str>> {
        if NEVER_RECORDED.contains(&fold(name.as_bytes()).as_slice()) {
            return None;
        }
        if self.search.grade(name.as_bytes()).is_none() {
            return Some(self.text(value));
        }
        Some(match self.blot(value.as_bytes(), Rule::Key) {
            None => Cow::Borrowed(value),
            Some((at, tag, _)) => Cow::Owned(format!("{}{tag}{}", &value[..at.start], &value[at.end..])),
        })
    }

    /// A value that stands beside a message and may repeat what stood in it, as a header does that mirrors an argument: if that is
    /// among what was `removed` from the message, its tag stands here too.
    #[must_use]
    pub fn repeated<'a>(&self, value: &'a str, removed: &[Redacted<'_>]) -> Cow<'a, str> {
        if removed.is_empty() {
            return Cow::Borrowed(value);
        }
        let whole = value.len() - value.trim_start().len()..value.trim_end().len();
        for at in [credentials::without_scheme(value.as_bytes(), whole.clone()), whole] {
            let Some(secret) = value.get(at.clone()).filter(|secret| !secret.is_empty()) else { continue };
            let (tag, _) = self.tagged(secret.as_bytes(), Rule::Key);
            if removed.iter().any(|removed| removed.tag == tag) {
                return Cow::Owned(format!("{}{tag}{}", &value[..at.start], &value[at.end..]));
            }
        }
        Cow::Borrowed(value)
    }

    /// Whether the place of a value alone may say that it goes, by a glob or a path of the recording's own.
    #[must_use]
    pub fn has_own_places(&self) -> bool {
        self.own_places
    }

    /// Text that comes line by line, as stderr does.
    #[must_use]
    pub fn stream(&self) -> TextStream<'_> {
        TextStream::new(self)
    }

    /// Edits of a text that may be JSON, at this level of JSON in strings.
    fn nested(&self, text: &[u8], level: u8) -> Vec<Edit> {
        if self.search.finder.find(text, 0).is_none() {
            return Vec::new();
        }
        let start = bytes::end_of(text, 0, |byte| byte.is_ascii_whitespace());
        let json = matches!(text.get(start), Some(b'{' | b'[' | b'"'));
        if !json || level > LEVELS_MAX {
            return self.plain(text);
        }
        let walked = Walk::new(self, text, level, None).run();
        if walked.whole { walked.edits } else { merge(walked.edits, self.plain(text)) }
    }

    /// Edits of a text that is no JSON.
    fn plain(&self, text: &[u8]) -> Vec<Edit> {
        let edit = |find: scan::Find| {
            let secret = &text[find.at.clone()];
            let (with, note) = self.tagged(secret, find.rule);
            Edit { at: find.at, with, note }
        };
        self.search.finds(text).into_iter().map(edit).collect()
    }

    /// What to put for a value that must go whole, and for which part of it: all but the scheme of an authorization.
    /// `None` if it is empty or has gone already.
    fn blot(&self, value: &[u8], rule: Rule) -> Option<(Range<usize>, String, Redacted<'static>)> {
        let at = credentials::without_scheme(value, 0..value.len());
        let secret = &value[at.clone()];
        if secret.is_empty() || tag::is_tag(secret) {
            return None;
        }
        let (with, note) = self.tagged(secret, rule);
        Some((at, with, note))
    }

    /// The tag of a secret and the note about it. White space around a secret is no part of it: a key in PEM ends in a
    /// line end in one place and not in another.
    fn tagged(&self, secret: &[u8], rule: Rule) -> (String, Redacted<'static>) {
        let bare = bytes::trim(secret, |byte| byte.is_ascii_whitespace());
        let tag = self.tagger.tag(forms::kind_of(bare), bare);
        let note = Redacted {
            ptr: Cow::Borrowed(""),
            rule: Cow::Borrowed(rule.as_str()),
            tag: Cow::Owned(tag.clone()),
            len: secret.len() as u64,
        };
        (tag, note)
    }
}

/// Shows which key made the tags, and nothing of it.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("key_id", &self.key_id()).finish_non_exhaustive()
    }
}
