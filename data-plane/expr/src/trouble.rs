//! Why an expression could not be evaluated over some facts. Nothing here quotes a fact: what was in a message or a header
//! stays out of logs and counters' labels.

use cel::ExecutionError;

use crate::limits::MAX_WORK;
use crate::names::Name;
use crate::types::Type;

/// Why there is no answer. Callers take it for "does not hold", and count it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// An operator or a function met values that it is not for, as in `args.q > 5` where `q` is a string.
    #[error("{operation} is not for {}: test with has() or type first, or convert, as in int(…)", types.join(" and "))]
    Types {
        /// The operator or function, as it is written.
        operation: String,
        /// The types it met, in order.
        types: Vec<String>,
    },
    /// The whole was no condition, as in `args.flag` where `flag` is a string.
    #[error("the answer is of type {kind} and not true or false: compare it")]
    NotBool {
        /// The type that it had.
        kind: String,
    },
    /// A conversion or a calculation has no result: `int("x")`, a division by zero, an overflow.
    #[error("{operation} has no result here")]
    NoResult {
        /// What was calculated.
        operation: String,
    },
    /// A JSON fact could not be read.
    #[error("{name} could not be read: {reason}")]
    Json {
        /// Which.
        name: Name,
        /// Why.
        reason: String,
    },
    /// The evaluation passed [`MAX_WORK`].
    #[error("loops took more than {MAX_WORK} steps: walk a shorter list, or nest no loops")]
    TooMuchWork,
    /// The caller gave a fact of another type than the table says: a fault of the program, not of the expression.
    #[error("the fact {name} was not given as {expected}")]
    WrongFact {
        /// Which.
        name: Name,
        /// The type in the table.
        expected: Type,
    },
}

impl Trouble {
    /// What cel says, without the values that it quotes.
    pub(crate) fn from_cel(error: &ExecutionError) -> Self {
        match error {
            ExecutionError::NoSuchOverload(overload) => {
                Self::Types { operation: written(overload.function()), types: overload.argument_types().to_vec() }
            }
            ExecutionError::UnexpectedType { got, .. } => {
                Self::Types { operation: "a condition or a loop".to_owned(), types: vec![got.clone()] }
            }
            ExecutionError::UnsupportedBinaryOperator(operator, left, right) => Self::Types {
                operation: arithmetic(operator).to_owned(),
                types: vec![left.type_of().to_string(), right.type_of().to_string()],
            },
            ExecutionError::ValuesNotComparable(left, right) => Self::Types {
                operation: "a comparison".to_owned(),
                types: vec![left.type_of().to_string(), right.type_of().to_string()],
            },
            ExecutionError::FunctionError { function, .. } => Self::NoResult { operation: written(function) },
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
                Self::NoResult { operation: "a division by zero".to_owned() }
            }
            ExecutionError::Overflow(operator, ..) => Self::NoResult { operation: arithmetic(operator).to_owned() },
            _ => Self::NoResult { operation: "the expression".to_owned() },
        }
    }
}

/// An operator as it is written: cel calls `>` `_>_`, and `[]` `_[_]`.
fn written(function: &str) -> String {
    match function {
        "_._" => "a member".to_owned(),
        "_[_]" => "an index".to_owned(),
        "@matches" => "matches".to_owned(),
        _ => function.trim_matches(['_', '@']).to_owned(),
    }
}

fn arithmetic(operator: &str) -> &str {
    match operator {
        "add" => "+",
        "sub" => "-",
        "mul" => "*",
        "div" => "/",
        "rem" => "%",
        other => other,
    }
}
