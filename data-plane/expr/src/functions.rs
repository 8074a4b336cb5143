//! The functions that an expression may call, and on what. Everything else that cel has (bytes, `type`, `dyn`, optionals)
//! has no use in a condition over messages and is refused by name.

use crate::types::Type;

/// One way to call a function.
pub(crate) struct Signature {
    pub(crate) name: &'static str,
    /// What it is called on, in the form `x.f()`; empty if it is called as `f(x)`.
    on: &'static [Type],
    /// What each argument may be.
    arguments: &'static [&'static [Type]],
    /// How many of the last arguments may be left out.
    optional: usize,
    pub(crate) result: Type,
}

/// The loops: the parser turns them into comprehensions where their form is right, so that one which is still a call is not.
pub(crate) const LOOPS: &[(&str, &str)] = &[
    ("exists", "list.exists(x, condition)"),
    ("all", "list.all(x, condition)"),
    ("exists_one", "list.exists_one(x, condition)"),
    ("existsOne", "list.existsOne(x, condition)"),
    ("filter", "list.filter(x, condition)"),
    ("map", "list.map(x, value)"),
];

const SIZED: &[Type] = &[Type::String, Type::Strings, Type::List, Type::Map, Type::StringMap];
const NUMBERS: &[Type] = &[Type::Int, Type::Uint, Type::Double, Type::String];
const PRINTED: &[Type] =
    &[Type::String, Type::Bool, Type::Int, Type::Uint, Type::Double, Type::Timestamp, Type::Duration];
const CLOCKED: &[Type] = &[Type::Timestamp, Type::Duration];
const INT_FROM: &[Type] = &[Type::Int, Type::Uint, Type::Double, Type::String, Type::Timestamp];
const TEXT: &[Type] = &[Type::String];
const MOMENT: &[Type] = &[Type::Timestamp];

const fn global(name: &'static str, arguments: &'static [&'static [Type]], result: Type) -> Signature {
    Signature { name, on: &[], arguments, optional: 0, result }
}

const fn member(
    name: &'static str,
    on: &'static [Type],
    arguments: &'static [&'static [Type]],
    result: Type,
) -> Signature {
    Signature { name, on, arguments, optional: 0, result }
}

/// A part of a moment or a span of time, in UTC or in the zone that the argument names.
const fn part(name: &'static str, on: &'static [Type]) -> Signature {
    Signature { name, on, arguments: &[TEXT], optional: 1, result: Type::Int }
}

const SIGNATURES: &[Signature] = &[
    global("size", &[SIZED], Type::Int),
    global("int", &[INT_FROM], Type::Int),
    global("uint", &[NUMBERS], Type::Uint),
    global("double", &[NUMBERS], Type::Double),
    global("string", &[PRINTED], Type::String),
    global("bool", &[&[Type::Bool, Type::String]], Type::Bool),
    global("duration", &[&[Type::String, Type::Duration]], Type::Duration),
    global("timestamp", &[&[Type::String, Type::Int, Type::Timestamp]], Type::Timestamp),
    global("matches", &[TEXT, TEXT], Type::Bool),
    member("size", SIZED, &[], Type::Int),
    member("contains", TEXT, &[TEXT], Type::Bool),
    member("startsWith", TEXT, &[TEXT], Type::Bool),
    member("endsWith", TEXT, &[TEXT], Type::Bool),
    member("matches", TEXT, &[TEXT], Type::Bool),
    part("getFullYear", MOMENT),
    part("getMonth", MOMENT),
    part("getDayOfYear", MOMENT),
    part("getDayOfMonth", MOMENT),
    part("getDate", MOMENT),
    part("getDayOfWeek", MOMENT),
    part("getHours", CLOCKED),
    part("getMinutes", CLOCKED),
    part("getSeconds", CLOCKED),
    part("getMilliseconds", CLOCKED),
];

impl Signature {
    /// Whether a call on `on`, with `arguments`, could be of this form.
    pub(crate) fn takes(&self, on: Option<Type>, arguments: &[Type]) -> bool {
        let is_one = |kind: Type, of: &[Type]| of.iter().any(|one| *one == kind || kind == Type::Any);
        let needed = self.arguments.len() - self.optional;
        on.is_none_or(|on| is_one(on, self.on))
            && (needed..=self.arguments.len()).contains(&arguments.len())
            && arguments.iter().zip(self.arguments).all(|(kind, of)| is_one(*kind, of))
    }

    /// How it is called, as in `string.contains(string)`.
    pub(crate) fn form(&self) -> String {
        let either = |types: &[Type]| types.iter().map(|kind| kind.text()).collect::<Vec<_>>().join("|");
        let on = if self.on.is_empty() { String::new() } else { format!("{}.", either(self.on)) };
        let arguments: Vec<_> = self.arguments.iter().map(|of| either(of)).collect();
        format!("{on}{}({})", self.name, arguments.join(", "))
    }
}

/// The functions that are called on something, or those that are not.
pub(crate) fn signatures(on: Option<Type>) -> impl Iterator<Item = &'static Signature> {
    SIGNATURES.iter().filter(move |signature| signature.on.is_empty() == on.is_none())
}

/// Every name that can be called.
pub(crate) fn known() -> impl Iterator<Item = &'static str> {
    let loops = LOOPS.iter().map(|(name, _)| *name);
    SIGNATURES.iter().map(|signature| signature.name).chain(loops).chain(["has"])
}
