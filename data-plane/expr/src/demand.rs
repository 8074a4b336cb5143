//! What must hold for the whole to hold, in a form that an index can answer.
//!
//! Only what is joined by `&&` at the top is a demand: what is under `||`, `!` or `?:` may be false while the whole is true.
//! A comparison that an absent string would satisfy, as the empty string does, is none either, because a store keeps nothing
//! where nothing was. So the demands are implied by the expression and never more than it, and may be fewer.

use std::time::{Duration, SystemTime};

use cel::common::ast::operators;
use cel::common::ast::{CallExpr, Expr, IdedExpr};
use cel::common::types::{CelDuration, CelInt, CelList, CelTimestamp, CelUInt};
use cel::common::value::Val;

use crate::check::known;
use crate::constant::{Constant, text_of};
use crate::names::Name;

/// A simple fact that must be for an expression to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// About what.
    pub name: Name,
    /// What it must be.
    pub test: Test,
}

/// What a name must be. The literals have the name's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// It stands in this relation to the literal: `size > 10000` is `Is(More, Int(10000))`.
    Is(Relation, Literal),
    /// It is one of these; with none, nothing fits.
    OneOf(Vec<Literal>),
}

/// How a name's value stands to a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `==`
    Equal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

/// A value that stands in an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// A string, compared byte by byte. Not empty in an equality.
    Text(String),
    /// An integer.
    Int(i64),
    /// A span of time.
    Duration(Duration),
    /// A moment.
    Time(SystemTime),
}

/// The demands of a checked tree, in the order in which they are written.
pub(crate) fn demands(tree: &IdedExpr, constants: &[Constant]) -> Vec<Demand> {
    let mut found = Vec::new();
    collect(tree, constants, &mut found);
    found
}

fn collect(node: &IdedExpr, constants: &[Constant], found: &mut Vec<Demand>) {
    let Expr::Call(CallExpr { func_name, target: None, args }) = &node.expr else { return };
    let [left, right] = args.as_slice() else { return };
    match func_name.as_str() {
        operators::LOGICAL_AND => {
            collect(left, constants, found);
            collect(right, constants, found);
        }
        operators::IN => found.extend(one_of(left, right, constants)),
        operator => {
            let Some(relation) = relation(operator) else { return };
            let written = compared(left, relation, right, constants);
            found.extend(written.or_else(|| compared(right, mirrored(relation), left, constants)));
        }
    }
}

fn relation(operator: &str) -> Option<Relation> {
    match operator {
        operators::EQUALS => Some(Relation::Equal),
        operators::LESS => Some(Relation::Less),
        operators::LESS_EQUALS => Some(Relation::AtMost),
        operators::GREATER => Some(Relation::More),
        operators::GREATER_EQUALS => Some(Relation::AtLeast),
        _ => None,
    }
}

/// `2 < size` is `size > 2`.
fn mirrored(relation: Relation) -> Relation {
    match relation {
        Relation::Equal => Relation::Equal,
        Relation::Less => Relation::More,
        Relation::AtMost => Relation::AtLeast,
        Relation::More => Relation::Less,
        Relation::AtLeast => Relation::AtMost,
    }
}

fn compared(side: &IdedExpr, relation: Relation, other: &IdedExpr, constants: &[Constant]) -> Option<Demand> {
    let name = name_of(side)?;
    let literal = literal(known(other, constants)?)?;
    let test = Test::Is(relation, literal);
    (!empty_passes(&test)).then_some(Demand { name, test })
}

fn one_of(side: &IdedExpr, list: &IdedExpr, constants: &[Constant]) -> Option<Demand> {
    let name = name_of(side)?;
    let list = known(list, constants)?.downcast_ref::<CelList<'_>>()?;
    let literals = list.inner().iter().map(|value| literal(&**value)).collect::<Option<Vec<_>>>()?;
    let test = Test::OneOf(literals);
    (!empty_passes(&test)).then_some(Demand { name, test })
}

fn name_of(node: &IdedExpr) -> Option<Name> {
    match &node.expr {
        Expr::Ident(identifier) => Name::parse(identifier),
        _ => None,
    }
}

/// Whether the empty string, which an absent one is, passes the test.
fn empty_passes(test: &Test) -> bool {
    match test {
        Test::Is(Relation::Less, Literal::Text(text)) => !text.is_empty(),
        Test::Is(Relation::AtMost, Literal::Text(_)) => true,
        Test::Is(Relation::Equal | Relation::AtLeast, Literal::Text(text)) => text.is_empty(),
        Test::Is(..) => false,
        Test::OneOf(literals) => {
            literals.iter().any(|literal| matches!(literal, Literal::Text(text) if text.is_empty()))
        }
    }
}

/// A literal that a store can compare with; none for what it would not keep, as a negative span or a fraction.
fn literal(value: &dyn Val) -> Option<Literal> {
    if let Some(text) = text_of(value) {
        return Some(Literal::Text(text.to_owned()));
    }
    if let Some(number) = value.downcast_ref::<CelInt>() {
        return Some(Literal::Int(*number.inner()));
    }
    if let Some(number) = value.downcast_ref::<CelUInt>() {
        return i64::try_from(*number.inner()).ok().map(Literal::Int);
    }
    if let Some(span) = value.downcast_ref::<CelDuration>() {
        return span.inner().to_std().ok().map(Literal::Duration);
    }
    let moment = value.downcast_ref::<CelTimestamp>()?.inner();
    let nanos = Duration::from_nanos(u64::from(moment.timestamp_subsec_nanos()));
    let seconds = Duration::from_secs(moment.timestamp().unsigned_abs());
    let second = match moment.timestamp() {
        0.. => SystemTime::UNIX_EPOCH.checked_add(seconds),
        _ => SystemTime::UNIX_EPOCH.checked_sub(seconds),
    };
    second?.checked_add(nanos).map(Literal::Time)
}
