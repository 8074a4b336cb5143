//! Secrets in text that is not JSON, and the question whether raw JSON may have any.
//!
//! Both go from literal to literal of the one automaton and let the forms decide. Finds are disjoint and in order. Each
//! form reads on from its literal by a bounded number of bytes, or to the end of what it takes, so the whole is linear.

use std::ops::Range;

use super::bytes::{end_of, is_blank};
use super::finder::{Class, Finder, Hit};
use super::keys::{Grade, Keys, fold};
use super::rules::{Pattern, Rule};
use super::{assign, credentials, forms, pem, tag};

/// A secret in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Find {
    pub(super) at: Range<usize>,
    pub(super) rule: Rule,
}

/// What is looked for.
pub(super) struct Search {
    pub(super) finder: Finder,
    pub(super) keys: Keys,
    /// Whether lines of cookies go as a whole.
    pub(super) cookies: bool,
    /// Whether private keys go.
    pub(super) private_keys: bool,
}

impl Search {
    /// Every secret in a text.
    pub(super) fn finds(&self, text: &[u8]) -> Vec<Find> {
        let mut scan = Scan { search: self, text, floor: 0 };
        let mut finds = Vec::new();
        let mut at = 0;
        while let Some(hit) = self.finder.find(text, at) {
            at = hit.start + 1;
            if let Some(end) = hit.class.has(Class::TAG).then(|| tag::end_of_tag(text, hit.start)).flatten() {
                scan.floor = end;
                at = end;
            } else if let Some(find) = scan.judge(&hit) {
                finds.extend(scan.between(&hit, &find));
                scan.floor = find.at.end;
                at = find.at.end.max(at);
                finds.push(find);
            }
        }
        finds
    }

    /// Whether the slow way over a JSON text could find anything. `false` is certain; `true` is not.
    pub(super) fn suspects(&self, json: &[u8]) -> bool {
        let scan = Scan { search: self, text: json, floor: 0 };
        let mut at = 0;
        while let Some(hit) = self.finder.find(json, at) {
            if scan.suspects(&hit) {
                return true;
            }
            at = hit.start + 1;
        }
        false
    }

    /// Whether values under this name are secrets.
    pub(super) fn grade(&self, name: &[u8]) -> Option<Grade> {
        // A tag in a name names nothing.
        let name = tag::without_tags(name);
        if self.finder.has_key(&name) { self.keys.grade(&name) } else { None }
    }
}

/// Where the secret is, if the literal at this place is the beginning of one.
type Form = fn(&[u8], usize) -> Option<Range<usize>>;

/// The forms, in the order in which they are tried.
const FORMS: [(Class, Pattern, Form); 7] = [
    (Class::PEM, Pattern::Pem, private_key),
    (Class::JWT, Pattern::Jwt, |text, at| Some(at..forms::end_of_jwt(text, at)?)),
    (Class::AWS, Pattern::AwsKey, |text, at| Some(at..forms::end_of_aws_key(text, at)?)),
    (Class::API_KEY, Pattern::ApiKey, |text, at| Some(at..forms::end_of_api_key(text, at)?)),
    (Class::BEARER, Pattern::Bearer, credentials::bearer),
    (Class::BASIC, Pattern::Basic, credentials::basic),
    (Class::URL, Pattern::UrlCredentials, credentials::in_url),
];

fn private_key(text: &[u8], at: usize) -> Option<Range<usize>> {
    Some(at..pem::end_of_block(text, pem::end_of_begin(text, at)?)?)
}

/// One pass over one text.
struct Scan<'a> {
    search: &'a Search,
    text: &'a [u8],
    /// Where the last find or tag ended: nothing reaches back over it.
    floor: usize,
}

impl Scan<'_> {
    /// The secret that a hit is the beginning of, or the name of.
    fn judge(&self, hit: &Hit) -> Option<Find> {
        self.formed(hit).or_else(|| hit.class.has(Class::KEY).then(|| self.named(hit)).flatten())
    }

    /// Secrets between a hit and the find it led to: a name may hold one, as in `password_AKIA…: …`.
    fn between(&self, hit: &Hit, find: &Find) -> Vec<Find> {
        let gap = Scan { text: &self.text[..find.at.start], ..*self };
        let mut finds = Vec::new();
        let mut at = hit.start + 1;
        while let Some(hit) = self.search.finder.find(gap.text, at.min(gap.text.len())) {
            let found = gap.formed(&hit);
            at = found.as_ref().map_or(hit.start + 1, |found| found.at.end);
            finds.extend(found);
        }
        finds
    }

    /// The secret that a hit is the beginning of.
    fn formed(&self, hit: &Hit) -> Option<Find> {
        FORMS.iter().filter(|(class, ..)| hit.class.has(*class)).find_map(|(_, pattern, form)| {
            let at = form(self.text, hit.start)?;
            // Beside a tag, what is left of a longer word may look like a secret of its own.
            let word = hit.start.min(at.start)..at.end;
            (!tag::touches(self.text, &word)).then_some(Find { at, rule: Rule::Pattern(*pattern) })
        })
    }

    /// The value of the name that a hit is a part of.
    fn named(&self, hit: &Hit) -> Option<Find> {
        let name = self.name(hit);
        self.search.keys.grade(&self.text[name.clone()])?;
        if self.search.cookies && is_cookie(&self.text[name.clone()]) && self.text.get(name.end) == Some(&b':') {
            let start = end_of(self.text, name.end + 1, is_blank);
            let at = assign::rest_of_line(self.text, &name, start);
            let bare = at.is_empty() || tag::end_of_tag(self.text, start).is_some();
            return (!bare).then_some(Find { at, rule: Rule::Pattern(Pattern::Cookie) });
        }
        let at = assign::value(self.text, &name)?;
        Some(Find { at, rule: Rule::Key })
    }

    fn name(&self, hit: &Hit) -> Range<usize> {
        assign::name_around(self.text, &(hit.start..hit.end), self.floor)
    }

    /// Whether a hit in raw JSON is worth the slow way. Escapes may stand where text has none, so whatever they could
    /// change is not judged here; nor is whether a value follows a name.
    fn suspects(&self, hit: &Hit) -> bool {
        let (text, at) = (self.text, hit.start);
        hit.class.has(Class::ESCAPE)
            || hit.class.has(Class::PEM)
            || hit.class.has(Class::BEARER) && may_be_scheme(text, hit)
            || hit.class.has(Class::BASIC) && may_be_scheme(text, hit)
            || hit.class.has(Class::KEY) && self.search.keys.grade(&text[self.name(hit)]).is_some()
            || FORMS.iter().any(|(class, _, form)| hit.class.has(*class) && form(text, at).is_some())
    }
}

/// Whether a blank follows, as it is or escaped.
fn may_be_scheme(text: &[u8], hit: &Hit) -> bool {
    text.get(hit.end).is_some_and(|next| is_blank(*next) || *next == b'\\')
}

fn is_cookie(name: &[u8]) -> bool {
    matches!(fold(name).as_slice(), b"cookie" | b"setcookie")
}
