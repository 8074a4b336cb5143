//! Comparisons: what could never hold is a mistake, and most often a missing `duration(…)` or quotation mark.

use cel::common::ast::{Expr, IdedExpr};
use cel::common::types::{CelDouble, CelInt, CelList, CelUInt};
use cel::common::value::Val;

use super::Checker;
use crate::constant::{text_of, type_of};
use crate::mistake::{Mistake, did_you_mean};
use crate::names::Name;
use crate::types::Type;

impl Checker<'_> {
    /// `==` and `!=`.
    pub(super) fn equality(
        &mut self,
        here: &IdedExpr,
        left: &mut IdedExpr,
        right: &mut IdedExpr,
    ) -> Result<Type, Mistake> {
        let kinds = (self.value(left)?, self.value(right)?);
        self.comparable(here, (left, kinds.0), (right, kinds.1))?;
        Ok(Type::Bool)
    }

    /// `<` and its like.
    pub(super) fn order(
        &mut self,
        here: &IdedExpr,
        left: &mut IdedExpr,
        right: &mut IdedExpr,
    ) -> Result<Type, Mistake> {
        let kinds = (self.value(left)?, self.value(right)?);
        self.comparable(here, (left, kinds.0), (right, kinds.1))?;
        for kind in [kinds.0, kinds.1] {
            if !kind.is_ordered() {
                return Err(self.mistake(here, format!("{} is not less or more than another", kind.one())));
            }
        }
        Ok(Type::Bool)
    }

    /// `in`: an element of a list, or a key of a map.
    pub(super) fn membership(&mut self, left: &mut IdedExpr, right: &mut IdedExpr) -> Result<Type, Mistake> {
        let kind = self.value(left)?;
        let container = self.value(right)?;
        let Some(element) = container.element() else {
            let hint = match container {
                Type::String => "to search a string: string.contains(\"…\")",
                _ => "a list is written [\"a\", \"b\"]",
            };
            return Err(self.mistake(right, format!("nothing is in {}", container.one())).hint(hint));
        };
        match self.known(right).and_then(<dyn Val>::downcast_ref::<CelList<'_>>) {
            Some(list) => {
                for value in list.inner() {
                    self.one(right, (left, kind), &**value, type_of(&**value))?;
                }
            }
            None if !kind.fits(element) => return Err(self.never(right, (kind, None), (element, None))),
            None => {}
        }
        Ok(Type::Bool)
    }

    fn comparable(&self, here: &IdedExpr, left: (&IdedExpr, Type), right: (&IdedExpr, Type)) -> Result<(), Mistake> {
        match (self.known(left.0), self.known(right.0)) {
            (_, Some(value)) => self.one(right.0, left, value, right.1),
            (Some(value), None) => self.one(left.0, right, value, left.1),
            (None, None) if !left.1.fits(right.1) => Err(self.never(here, (left.1, None), (right.1, None))),
            (None, None) => Ok(()),
        }
    }

    /// Whether `side` could be `value`, which is written at `place`.
    fn one(&self, place: &IdedExpr, side: (&IdedExpr, Type), value: &dyn Val, of: Type) -> Result<(), Mistake> {
        if !side.1.fits(of) {
            return Err(self.never(place, (side.1, None), (of, Some(value))));
        }
        let Expr::Ident(identifier) = &side.0.expr else { return Ok(()) };
        let Some(values) = Name::parse(identifier).map(|name| name.row().values) else { return Ok(()) };
        match text_of(value) {
            Some(text) if !values.is_empty() && !text.is_empty() && !values.contains(&text) => {
                let what = format!("`{identifier}` is never {text:?}");
                let hint = did_you_mean(text, values.iter().copied())
                    .unwrap_or_else(|| format!("it is one of {}", values.join(", ")));
                Err(self.mistake(place, what).hint(hint))
            }
            _ => Ok(()),
        }
    }

    fn never(&self, place: &IdedExpr, left: (Type, Option<&dyn Val>), right: (Type, Option<&dyn Val>)) -> Mistake {
        let what = format!("{} and {} cannot be compared", left.0.one(), right.0.one());
        let literal = right.1.and_then(written);
        self.mistake(place, what).hint_if(literal.and_then(|literal| cure(left.0, right.0, &literal)))
    }
}

/// What to write instead of `literal`, to compare it with a value of type `with`.
fn cure(with: Type, of: Type, literal: &str) -> Option<String> {
    match (with, of) {
        (Type::Duration, number) if number.is_number() => Some(format!("write duration(\"{literal}s\")")),
        (Type::Duration, Type::String) => Some(format!("write duration({literal})")),
        (Type::Timestamp, Type::String) => Some(format!("write timestamp({literal})")),
        (Type::String, number) if number.is_number() => Some(format!("write \"{literal}\"")),
        (Type::String, Type::Null) => Some("what is absent is the empty string: \"\"".to_owned()),
        (number, Type::String) if number.is_number() => Some(format!("write {}", literal.trim_matches('"')))
            .filter(|_| literal.trim_matches('"').parse::<f64>().is_ok()),
        (list, Type::String) if list.is_list() => Some(format!("write {literal} in …")),
        _ => None,
    }
}

/// A scalar as it is written.
fn written(value: &dyn Val) -> Option<String> {
    if let Some(text) = text_of(value) {
        return Some(format!("{text:?}"));
    }
    let int = value.downcast_ref::<CelInt>().map(|number| number.inner().to_string());
    let uint = || value.downcast_ref::<CelUInt>().map(|number| number.inner().to_string());
    let double = || value.downcast_ref::<CelDouble>().map(|number| number.inner().to_string());
    int.or_else(uint).or_else(double).or_else(|| (type_of(value) == Type::Null).then(|| "null".to_owned()))
}
