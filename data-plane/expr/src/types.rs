//! The types that names and parts of expressions have before anything is evaluated.

use std::fmt;

/// What kind of value a name or a part of an expression has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Type {
    /// Known only when it is evaluated: what is inside an open map.
    Any,
    /// `true` or `false`.
    Bool,
    /// A signed integer of 64 bits.
    Int,
    /// An unsigned integer of 64 bits, written `1u`.
    Uint,
    /// A floating-point number of 64 bits.
    Double,
    /// Text.
    String,
    /// A span of time, written `duration("1.5s")`.
    Duration,
    /// A moment, written `timestamp("2026-11-21T00:00:00Z")`.
    Timestamp,
    /// JSON's `null`.
    Null,
    /// A list of strings.
    Strings,
    /// A list of anything.
    List,
    /// An open map: any member, of any type.
    Map,
    /// An open map of strings.
    StringMap,
}

impl Type {
    /// Whether a value of this type could be one of `other`.
    pub(crate) fn fits(self, other: Self) -> bool {
        self == other
            || self == Self::Any
            || other == Self::Any
            || (self.is_number() && other.is_number())
            || (self.is_list() && other.is_list())
            || (self.is_map() && other.is_map())
    }

    /// Whether `<` and its like can be asked of two values of this type.
    pub(crate) fn is_ordered(self) -> bool {
        self.is_number() || matches!(self, Self::Any | Self::Bool | Self::String | Self::Duration | Self::Timestamp)
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double)
    }

    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::Strings | Self::List)
    }

    pub(crate) fn is_map(self) -> bool {
        matches!(self, Self::Map | Self::StringMap)
    }

    /// The type of what a loop over such a value walks, if a loop can: a map's loop walks its keys.
    pub(crate) fn element(self) -> Option<Self> {
        match self {
            Self::Strings | Self::Map | Self::StringMap => Some(Self::String),
            Self::List | Self::Any => Some(Self::Any),
            _ => None,
        }
    }

    /// The type of a member of such a value, if it has members.
    pub(crate) fn member(self) -> Option<Self> {
        match self {
            Self::StringMap => Some(Self::String),
            Self::Map | Self::Any => Some(Self::Any),
            _ => None,
        }
    }

    /// The type of a value that is one of this or one of `other`.
    pub(crate) fn or(self, other: Self) -> Self {
        if self == other { self } else { Self::Any }
    }

    /// With its article, as in `an int`.
    pub(crate) fn one(self) -> String {
        let article = if matches!(self, Self::Int | Self::Any) { "an" } else { "a" };
        format!("{article} {self}")
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Any => "unknown",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Duration => "duration",
            Self::Timestamp => "timestamp",
            Self::Null => "null",
            Self::Strings => "list of strings",
            Self::List => "list",
            Self::Map => "map",
            Self::StringMap => "map of strings",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}
