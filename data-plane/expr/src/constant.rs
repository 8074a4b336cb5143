//! Values that are made when an expression is compiled, and lent to every evaluation.

use std::any::Any;
use std::sync::LazyLock;

use cel::common::ast::IdedExpr;
use cel::common::types::{
    self, CelBool, CelDouble, CelDuration, CelInt, CelList, CelMap, CelNull, CelString, CelTimestamp, CelUInt,
};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Context, Env, ExecutionError, Value};
use regex::{Regex, RegexBuilder};

use crate::limits::MAX_PATTERN_BYTES;
use crate::lowered::MATCHES;
use crate::types::Type;

/// The functions, once for the process: making them costs 25 µs, fifty times what a short expression costs to evaluate.
pub(crate) static ROOT: LazyLock<Context<'static, 'static>> = LazyLock::new(|| {
    let mut env = Env::default().with_optional_support(false).with_stdlib();
    env.add_member_overload(MATCHES, "matches_pattern", types::STRING_TYPE, vec![PATTERN], matches_pattern)
        .expect("nothing else of this name was added to a fresh environment");
    Context::with_env(std::sync::Arc::new(env))
});

/// A value that does not change from one evaluation to the next.
#[derive(Debug)]
pub(crate) struct Constant(Box<dyn Val>);

impl Constant {
    pub(crate) fn value(&self) -> &dyn Val {
        &*self.0
    }

    /// A list of constants.
    pub(crate) fn list<'n>(elements: impl Iterator<Item = &'n dyn Val>) -> Self {
        let elements: Vec<Box<dyn Val>> = elements.filter_map(owned).collect();
        Self(Box::new(CelList::from(elements)))
    }

    /// What a call of a function on literals gives.
    pub(crate) fn of(call: &IdedExpr) -> Result<Self, ExecutionError> {
        let value = Value::resolve(call, &ROOT)?;
        value.try_into().map(Self)
    }

    /// A pattern, compiled. The error is the parser's last line.
    pub(crate) fn pattern(text: &str) -> Result<Self, String> {
        let compiled = RegexBuilder::new(text).size_limit(MAX_PATTERN_BYTES).build();
        match compiled {
            Ok(pattern) => Ok(Self(Box::new(Pattern(pattern)))),
            Err(regex::Error::CompiledTooBig(_)) => {
                Err("it is too large when compiled: (?-u:\\w) is smaller than \\w".to_owned())
            }
            Err(error) => {
                let error = error.to_string();
                let last = error.lines().next_back().unwrap_or(&error);
                Err(last.trim_start_matches("error: ").to_owned())
            }
        }
    }
}

/// A copy that borrows nothing.
fn owned(value: &dyn Val) -> Option<Box<dyn Val>> {
    Value::try_from(value).ok()?.try_into().ok()
}

/// The type of a value that is known.
pub(crate) fn type_of(value: &dyn Val) -> Type {
    if value.downcast_ref::<CelString<'_>>().is_some() {
        Type::String
    } else if value.downcast_ref::<CelInt>().is_some() {
        Type::Int
    } else if value.downcast_ref::<CelUInt>().is_some() {
        Type::Uint
    } else if value.downcast_ref::<CelDouble>().is_some() {
        Type::Double
    } else if value.downcast_ref::<CelBool>().is_some() {
        Type::Bool
    } else if value.downcast_ref::<CelNull>().is_some() {
        Type::Null
    } else if value.downcast_ref::<CelDuration>().is_some() {
        Type::Duration
    } else if value.downcast_ref::<CelTimestamp>().is_some() {
        Type::Timestamp
    } else if value.downcast_ref::<CelList<'_>>().is_some() {
        Type::List
    } else if value.downcast_ref::<CelMap<'_>>().is_some() {
        Type::Map
    } else {
        Type::Any
    }
}

/// The text of a string that is known.
pub(crate) fn text_of(value: &dyn Val) -> Option<&str> {
    value.downcast_ref::<CelString<'_>>().map(CelString::inner)
}

const PATTERN: types::Type = types::Type::new_unspecified_type("pattern");

/// What `matches` looks for.
#[derive(Debug, Clone)]
struct Pattern(Regex);

impl Val for Pattern {
    fn get_type(&self) -> &types::Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static types::Type {
        static TYPE: types::Type = PATTERN;
        &TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}

#[expect(clippy::needless_pass_by_value, reason = "cel's type of a function")]
fn matches_pattern<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [text, pattern] = arguments.as_slice() else {
        return Err(ExecutionError::invalid_argument_count(2, arguments.len()));
    };
    match (text.downcast_ref::<CelString<'_>>(), pattern.downcast_ref::<Pattern>()) {
        (Some(text), Some(pattern)) => Ok(CowVal::owned(CelBool::from(pattern.0.is_match(text.inner())))),
        _ => Err(ExecutionError::no_such_member_overload(MATCHES, vec![text.get_type().name().to_owned()])),
    }
}
