//! What is asked of whoever evaluates an expression: one fact for each name that it reads, when it reads it.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use serde_json::value::RawValue;

use crate::names::Name;

/// The facts about one message or call.
///
/// Each name is asked at most once in an evaluation, and only if the evaluation comes to it: in
/// `tool == "search" && text.contains("acme")` the text of a call of another tool is never asked for. It is `Sync` because cel
/// wants whatever it asks to be.
pub trait Facts: Sync {
    /// What is known about `name`, as the type that its row of the table says.
    fn fact(&self, name: Name) -> Fact<'_>;
}

/// What is known about a name.
#[derive(Debug, Clone)]
pub enum Fact<'a> {
    /// Nothing. A string is then empty, and so are lists and maps; a comparison of anything else does not hold.
    Absent,
    /// A string.
    Text(Cow<'a, str>),
    /// A list of strings.
    Texts(Vec<&'a str>),
    /// A map of strings by lower-case name. A name that comes twice has both values, with `, ` between them (RFC 9110,
    /// section 5.3).
    Fields(Vec<(&'a str, &'a str)>),
    /// An integer.
    Int(i64),
    /// A span of time.
    Duration(Duration),
    /// A moment. Outside of the years 1 to 9999 it counts as absent, as CEL has no others.
    Time(SystemTime),
    /// A JSON object, read when it is asked for; `null` is an empty one.
    Json(&'a RawValue),
}

impl<'a> From<&'a str> for Fact<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Fact<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<i64> for Fact<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<Duration> for Fact<'_> {
    fn from(span: Duration) -> Self {
        Self::Duration(span)
    }
}

impl From<SystemTime> for Fact<'_> {
    fn from(moment: SystemTime) -> Self {
        Self::Time(moment)
    }
}

impl<'a, T: Into<Fact<'a>>> From<Option<T>> for Fact<'a> {
    fn from(fact: Option<T>) -> Self {
        fact.map_or(Self::Absent, Into::into)
    }
}
