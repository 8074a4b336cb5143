//! The identifiers that stand, in a checked tree, for what is no name of the table. None can be written: `@` has no meaning
//! outside a string.
//!
//! A checked tree differs from the parsed one in six points, each for speed or for a bound:
//! - `principal.subject` is one identifier, so that it is looked up once and no text is joined;
//! - lists of literals, `duration("…")` and `timestamp("…")` are made once, at compile time, and referred to by number;
//! - the pattern of `matches` is compiled once, with a bound on its size;
//! - `has(principal.subject)` is an identifier too, since `principal` itself is no value;
//! - `has(a.b.c)` asks for `a.b` first, so that it is no error where that is missing;
//! - each step of a loop looks [`STEP`] up, by which the work of an evaluation is counted and stopped.

use cel::common::ast::operators;
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SelectExpr};

use crate::names::Name;

/// Looked up at each step of a loop.
pub(crate) const STEP: &str = "@step";

/// Looked up at each step of a loop within a loop, which costs more: what it walks is walked again for each step outside.
pub(crate) const INNER_STEP: &str = "@inner";

/// The function that `matches` with a compiled pattern is.
pub(crate) const MATCHES: &str = "@matches";

const HAS: &str = "@has:";

/// What an identifier stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning<'a> {
    Step,
    InnerStep,
    Has(&'a str),
    Constant(usize),
    /// Of the table, or a loop's variable.
    Name(&'a str),
}

pub(crate) fn constant(index: usize) -> Expr {
    Expr::Ident(format!("@{index}"))
}

pub(crate) fn has(name: Name) -> Expr {
    Expr::Ident(format!("{HAS}{name}"))
}

pub(crate) fn meaning(identifier: &str) -> Meaning<'_> {
    match identifier.strip_prefix('@') {
        None => Meaning::Name(identifier),
        Some("step") => Meaning::Step,
        Some("inner") => Meaning::InnerStep,
        Some(rest) => match (identifier.strip_prefix(HAS), rest.parse()) {
            (Some(name), _) => Meaning::Has(name),
            (None, Ok(index)) => Meaning::Constant(index),
            // `@result`, the accumulator of cel's loops.
            (None, Err(_)) => Meaning::Name(identifier),
        },
    }
}

/// `has(a.b) && has(a.b.c)` in place of `has(a.b.c)`, for each member on the way.
pub(crate) fn ask_the_way(node: &mut IdedExpr) {
    let Expr::Select(SelectExpr { operand, .. }) = &node.expr else { return };
    if !matches!(operand.expr, Expr::Select(_)) {
        return;
    }
    let mut before = (**operand).clone();
    if let Expr::Select(select) = &mut before.expr {
        select.test = true;
    }
    ask_the_way(&mut before);
    let id = node.id;
    let args = vec![before, std::mem::take(node)];
    let call = CallExpr { func_name: operators::LOGICAL_AND.to_owned(), target: None, args };
    *node = IdedExpr { id, expr: Expr::Call(call) };
}

/// `step ? node : false` in place of `node`. When the work is used up, `step` is an error, and a `?:` passes an error of its
/// condition on at once, where `&&` would still look at the other side.
pub(crate) fn count(node: &mut IdedExpr, step: &str) {
    let id = node.id;
    let counted = std::mem::take(node);
    let step = IdedExpr { id, expr: Expr::Ident(step.to_owned()) };
    let otherwise = IdedExpr { id, expr: Expr::Literal(LiteralValue::Boolean(false.into())) };
    let call =
        CallExpr { func_name: operators::CONDITIONAL.to_owned(), target: None, args: vec![step, counted, otherwise] };
    *node = IdedExpr { id, expr: Expr::Call(call) };
}
