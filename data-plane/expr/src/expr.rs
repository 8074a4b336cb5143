//! An expression: compiled once, evaluated over many facts.

use std::fmt;

use cel::common::ast::IdedExpr;
use cel::common::types::CelBool;
use cel::{Context, ExecutionError, Value};

use crate::binding::Binding;
use crate::check::{Checked, check};
use crate::constant::ROOT;
use crate::demand::{Demand, demands};
use crate::facts::Facts;
use crate::mistake::Mistake;
use crate::names::{Name, Place};
use crate::parse::parse;
use crate::scan::scan;
use crate::trouble::Trouble;

#[cfg(test)]
mod tests;

/// A condition over the facts of a message or a call. Compiling takes some 20 µs and evaluating a fraction of one: keep
/// it, and share it between threads.
pub struct Expr {
    text: Box<str>,
    tree: IdedExpr,
    checked: Checked,
    demands: Vec<Demand>,
}

impl Expr {
    /// Compiles `text` for evaluation in `place`.
    ///
    /// # Errors
    ///
    /// The first [`Mistake`], with its line and column: not CEL, a name that is not known in `place`, a comparison that could
    /// never hold, or a bound of [`limits`](crate::limits) that is passed.
    pub fn compile(text: &str, place: Place) -> Result<Self, Mistake> {
        scan(text)?;
        let (mut tree, info) = parse(text)?;
        let checked = check(&mut tree, &info, place)?;
        let demands = demands(&tree, &checked.constants);
        Ok(Self { text: text.into(), tree, checked, demands })
    }

    /// The text that it was compiled from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names that it reads, each once: what is not here is never asked of [`Facts`].
    #[must_use]
    pub fn uses(&self) -> &[Name] {
        &self.checked.uses
    }

    /// Simple facts that must all be for the whole to hold. Implied by it, and not the whole of it: what an index finds by
    /// them is still to be asked [`holds`](Self::holds).
    #[must_use]
    pub fn demands(&self) -> &[Demand] {
        &self.demands
    }

    /// Whether it holds for `facts`.
    ///
    /// What is missing makes no match: where the answer hangs on a member, an element or a number that is not there, it is
    /// `false`, whichever way it is compared. `args.q == "x"` and `args.q != "x"` and `!(args.q == "x")` are all `false` where
    /// there is no `args.q`; `has(args.q)` asks for it. On the other side of a `||` that holds, or of an `&&` that does not,
    /// what is missing changes nothing.
    ///
    /// # Errors
    ///
    /// [`Trouble`], where the answer hangs on an operation that the values are not for. It counts as no match; callers count
    /// it too, because an expression that is always in trouble is a wrong one.
    pub fn holds(&self, facts: &dyn Facts) -> Result<bool, Trouble> {
        let binding = Binding::new(facts, &self.checked);
        let answer = {
            let root: &Context<'_, '_> = &ROOT;
            let mut context = root.new_inner_scope();
            context.set_variable_resolver(&binding);
            match Value::resolve_val(&self.tree, &context) {
                Ok(value) => match value.downcast_ref::<CelBool>() {
                    Some(answer) => Ok(*answer.inner()),
                    None => return Err(Trouble::NotBool { kind: value.get_type().name().to_owned() }),
                },
                Err(error) => Err(error),
            }
        };
        answer.or_else(|error| match (binding.into_trouble(), error) {
            (Some(trouble), _) => Err(trouble),
            (None, error) if is_missing(&error) => Ok(false),
            (None, error) => Err(Trouble::from_cel(&error)),
        })
    }
}

/// Whether an evaluation ended for want of a value. All names were checked, so one that cel does not know is an absent fact.
fn is_missing(error: &ExecutionError) -> bool {
    matches!(
        error,
        ExecutionError::NoSuchKey(_) | ExecutionError::IndexOutOfBounds(_) | ExecutionError::UndeclaredReference(_)
    )
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expr").field(&self.text).finish()
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
