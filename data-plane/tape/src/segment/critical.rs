//! What a reader must know to read a segment, and what it says when it does not.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error;

use crate::line;
use crate::record::{FORMAT_MAJOR, Head, Kind};

/// Every member of a record that this build knows.
const MEMBERS: [&str; 38] = [
    "k",
    "seq",
    "t",
    "dir",
    "stage",
    "of",
    "tape",
    "conn",
    "xchg",
    "op",
    "op_link",
    "id",
    "m",
    "name",
    "re",
    "lat",
    "out",
    "code",
    "route",
    "upstream",
    "endpoint",
    "session",
    "principal",
    "version",
    "era",
    "tp",
    "http",
    "recording",
    "red",
    "sz",
    "head",
    "clock",
    "gap",
    "life",
    "text",
    "blob",
    "b64",
    "body",
];

/// Why a segment is not read, although it is intact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It has a format that this build was made before.
    #[error("its format is {major}.{minor}, and this build reads {FORMAT_MAJOR}: a newer Shadowcat reads it")]
    NewerFormat {
        /// The major version.
        major: u32,
        /// The minor version.
        minor: u32,
    },
    /// It cannot be understood without something that this build does not know.
    #[error("its head calls `{0}` critical, and this build knows no such kind or member: a newer Shadowcat does")]
    Critical(String),
}

/// Whether records after this head can be understood.
pub(super) fn accept(head: &Head<'_>) -> Result<(), Refused> {
    let (major, minor) = head.format;
    if major > FORMAT_MAJOR {
        return Err(Refused::NewerFormat { major, minor });
    }
    let unknown = head.critical.iter().find(|name| !is_known(name));
    unknown.map_or(Ok(()), |name| Err(Refused::Critical(name.to_string())))
}

/// The format that an intact line tells, although this build cannot read its record.
pub(super) fn accept_unreadable(bytes: &[u8]) -> Result<(), Refused> {
    #[derive(Deserialize)]
    struct AnyRecord<'a> {
        #[serde(borrow)]
        k: Cow<'a, str>,
        head: AnyHead,
    }
    #[derive(Deserialize)]
    struct AnyHead {
        format: (u32, u32),
    }
    match line::read::<AnyRecord<'_>>(bytes) {
        Ok(AnyRecord { k, head: AnyHead { format: (major, minor) } }) if k == "head" && major > FORMAT_MAJOR => {
            Err(Refused::NewerFormat { major, minor })
        }
        _ => Ok(()),
    }
}

fn is_known(name: &str) -> bool {
    let kind: Result<Kind, Error> = Kind::deserialize(name.into_deserializer());
    MEMBERS.contains(&name) || name == "c" || kind.is_ok_and(|kind| kind != Kind::Unknown)
}

#[cfg(test)]
mod tests {
    use super::{MEMBERS, is_known};
    use crate::line;

    #[test]
    fn every_member_of_a_record_is_known() {
        let body = serde_json::value::RawValue::from_string("1".into()).unwrap();
        let mut members = Vec::new();
        line::write_members(&line::tests::full(&body), &mut members);
        members.push(b'}');
        let written: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&members).unwrap();
        let mut known = MEMBERS.to_vec();
        known.sort_unstable();
        assert_eq!(written.keys().map(String::as_str).collect::<Vec<_>>(), known);
    }

    #[test]
    fn kinds_are_known_by_their_names() {
        assert!(is_known("msg") && is_known("stderr") && is_known("c"));
        assert!(!is_known("hologram") && !is_known(""));
    }
}
