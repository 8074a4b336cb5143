//! One search for everything that may be a secret: the literals that each pattern and each name needs, in one automaton.
//!
//! It runs over every recorded message, so nearly all of its time is spent on messages that have nothing. What it finds
//! is a suspicion; the forms decide.

use aho_corasick::{AhoCorasick, AhoCorasickKind, Anchored, Input, MatchKind, StartKind};

use super::keys::Keys;
use super::rules::{Pattern, RuleError, Rules};
use super::{forms, pem, tag};

/// What a literal may be the beginning of. A set, because one literal may begin another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Class(u16);

impl Class {
    /// A name of a secret.
    pub(super) const KEY: Self = Self(1);
    /// A tag: what is in it has been blotted out.
    pub(super) const TAG: Self = Self(1 << 1);
    /// An escape that may hide a literal. Nothing in plain text, much in raw JSON.
    pub(super) const ESCAPE: Self = Self(1 << 2);
    pub(super) const PEM: Self = Self(1 << 3);
    pub(super) const JWT: Self = Self(1 << 4);
    pub(super) const AWS: Self = Self(1 << 5);
    pub(super) const API_KEY: Self = Self(1 << 6);
    pub(super) const URL: Self = Self(1 << 7);
    pub(super) const BEARER: Self = Self(1 << 8);
    pub(super) const BASIC: Self = Self(1 << 9);

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A literal that was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) class: Class,
}

/// The automaton of one recording.
pub(super) struct Finder {
    automaton: AhoCorasick,
    /// By number of the literal.
    classes: Vec<Class>,
}

impl Finder {
    pub(super) fn new(rules: &Rules) -> Result<Self, RuleError> {
        let literals = literals(rules);
        // An automaton reports one literal for each place where some begin; it stands for all that may begin there.
        let classes = literals.iter().map(|(literal, _)| class_at(literal, &literals)).collect();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .start_kind(StartKind::Unanchored)
            .match_kind(MatchKind::LeftmostFirst)
            .build(literals.iter().map(|(literal, _)| literal))
            .map_err(|e| RuleError::TooManyGlobs { globs: rules.keys.len(), why: e.to_string() })?;
        Ok(Self { automaton, classes })
    }

    /// The first literal that begins at or behind `at`.
    pub(super) fn find(&self, text: &[u8], at: usize) -> Option<Hit> {
        let input = Input::new(text).span(at..text.len()).anchored(Anchored::No);
        let found = self.automaton.find(input)?;
        let class = self.classes[found.pattern().as_usize()];
        Some(Hit { start: found.start(), end: found.end(), class })
    }

    /// Whether a literal of some name is in it.
    pub(super) fn has_key(&self, name: &[u8]) -> bool {
        let mut at = 0;
        while let Some(hit) = self.find(name, at) {
            if hit.class.has(Class::KEY) {
                return true;
            }
            at = hit.start + 1;
        }
        false
    }
}

/// Every literal of these rules, and what it may begin.
fn literals(rules: &Rules) -> Vec<(String, Class)> {
    let wanted = |pattern| rules.values.contains(&pattern);
    let mut all: Vec<(String, Class)> = Vec::new();
    let mut add = |class, literals: &mut dyn Iterator<Item = &str>| all.extend(literals.map(|l| (l.to_owned(), class)));
    add(Class::KEY, &mut Keys::literals(&rules.keys).iter().map(String::as_str));
    add(Class::TAG, &mut [tag::OPEN].into_iter());
    // Literals are ASCII, and so are their escapes; only a name of a recording's own may be more.
    let ascii = rules.keys.iter().all(|glob| glob.is_ascii());
    add(Class::ESCAPE, &mut [if ascii { r"\u00" } else { r"\u" }, r"\/"].into_iter());
    for pattern in Pattern::ALL.into_iter().filter(|pattern| wanted(*pattern)) {
        match pattern {
            Pattern::Bearer => add(Class::BEARER, &mut ["bearer"].into_iter()),
            Pattern::Basic => add(Class::BASIC, &mut ["basic"].into_iter()),
            Pattern::AwsKey => add(Class::AWS, &mut forms::aws_prefixes()),
            Pattern::Jwt => add(Class::JWT, &mut [forms::JWT_PREFIX].into_iter()),
            Pattern::Pem => add(Class::PEM, &mut [pem::BEGIN].into_iter()),
            Pattern::ApiKey => add(Class::API_KEY, &mut forms::issued_prefixes()),
            Pattern::UrlCredentials => add(Class::URL, &mut ["://", r":\/\/"].into_iter()),
            // The word is among the names.
            Pattern::Cookie => {}
        }
    }
    all
}

/// Everything that may begin where this literal does.
fn class_at(literal: &str, all: &[(String, Class)]) -> Class {
    let begins = |a: &str, b: &str| a.get(..b.len()).is_some_and(|start| start.eq_ignore_ascii_case(b));
    let alike = all.iter().filter(|(other, _)| begins(literal, other) || begins(other, literal));
    Class(alike.fold(0, |set, (_, class)| set | class.0))
}
