//! What the place of a value in a message says about it.

use super::keys::Grade;
use super::rules::Rule;

/// Whether a value goes because of where it stands, whatever it looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// It stays, but for what has the form of a secret.
    None,
    /// Strings go, here and below.
    Strings,
    /// Strings and numbers go; below, strings.
    Scalars,
    /// A path selects it: everything goes but `null`, here and below.
    Path,
}

impl Demand {
    /// What a name's grade asks of its value.
    pub(super) fn of(grade: Option<Grade>) -> Self {
        match grade {
            None => Self::None,
            Some(Grade::Strings) => Self::Strings,
            Some(Grade::Scalars) => Self::Scalars,
        }
    }

    /// What it asks of the values inside a value.
    pub(super) fn below(self) -> Self {
        if self == Self::Scalars { Self::Strings } else { self }
    }

    /// The stricter of two.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Path, _) | (_, Self::Path) => Self::Path,
            (Self::Scalars, _) | (_, Self::Scalars) => Self::Scalars,
            (Self::Strings, _) | (_, Self::Strings) => Self::Strings,
            (Self::None, Self::None) => Self::None,
        }
    }

    /// What is written down as the reason.
    pub(super) fn rule(self) -> Rule {
        if self == Self::Path { Rule::Path } else { Rule::Key }
    }
}

/// Members that hold a JSON Schema in the protocol. In one, a name such as `password` is mostly that of a property, and
/// what is below says which passwords are asked for. Without it no client can call the tool.
pub(super) const SCHEMAS: [&str; 3] = ["inputSchema", "outputSchema", "requestedSchema"];

/// What a schema says of a property in the open. Its other words may hold values, as `default` and `examples` do.
const SCHEMA_WORDS: [&str; 12] = [
    "type",
    "title",
    "description",
    "format",
    "pattern",
    "required",
    "enum",
    "$ref",
    "$comment",
    "contentEncoding",
    "contentMediaType",
    "propertyNames",
];

/// Whether this member of a schema stays although the property's name is a secret's.
pub(super) fn is_schema_word(name: &[u8]) -> bool {
    SCHEMA_WORDS.iter().any(|word| word.as_bytes() == name)
}
