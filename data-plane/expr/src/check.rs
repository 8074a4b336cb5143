//! From a parsed tree to a checked one: every name exists here, every comparison could hold, and the cost is bounded.
//!
//! cel itself checks nothing before it evaluates, so this is where a slip is told. One walk gives each node its [`Type`], as
//! far as it is known, and lowers the tree as [`lowered`](crate::lowered) says. The first mistake ends it.

mod call;
mod compare;
mod loops;
mod path;

use std::collections::BTreeSet;

use cel::common::ast::{EntryExpr, Expr, IdedExpr, ListExpr, LiteralValue, MapExpr, SourceInfo};
use cel::common::value::{CowVal, Val};

use crate::constant::{Constant, type_of};
use crate::limits::{MAX_DEPTH, MAX_NODES};
use crate::lowered::{self, Meaning};
use crate::mistake::Mistake;
use crate::names::{Name, Place};
use crate::types::Type;

/// What the walk found out, beside the tree that it lowered.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) uses: Vec<Name>,
    /// Nodes of the tree as it was written.
    pub(crate) nodes: usize,
    pub(crate) constants: Vec<Constant>,
}

/// Checks and lowers `tree`, which was parsed from `info.source`.
pub(crate) fn check(tree: &mut IdedExpr, info: &SourceInfo, place: Place) -> Result<Checked, Mistake> {
    let mut checker = Checker {
        info,
        place,
        nodes: 0,
        depth: 0,
        sums: 0,
        loops: Vec::new(),
        uses: BTreeSet::new(),
        constants: Vec::new(),
    };
    let kind = checker.value(tree)?;
    if !kind.fits(Type::Bool) {
        let what = format!("the whole is {} and not true or false", kind.one());
        return Err(Mistake::at(&info.source, 0, what).hint("compare it with something"));
    }
    let uses = checker.uses.into_iter().collect();
    Ok(Checked { uses, nodes: checker.nodes, constants: checker.constants })
}

struct Checker<'a> {
    info: &'a SourceInfo,
    place: Place,
    nodes: usize,
    depth: usize,
    /// Uses of `+`.
    sums: usize,
    /// The loops around the node that is looked at, outermost first.
    loops: Vec<Loop>,
    uses: BTreeSet<Name>,
    constants: Vec<Constant>,
}

/// A loop around a node.
struct Loop {
    variable: String,
    element: Type,
    part: Part,
}

/// The part of a loop that a node is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A condition.
    Condition,
    /// What `map` makes of an element.
    Product,
}

impl Checker<'_> {
    /// A mistake where `node` is written.
    fn mistake(&self, node: &IdedExpr, what: impl Into<String>) -> Mistake {
        let offset = self.info.offset_for(node.id).map_or(0, |(start, _)| start as usize);
        Mistake::at(&self.info.source, offset, what)
    }

    /// Checks a node and everything below it.
    fn value(&mut self, node: &mut IdedExpr) -> Result<Type, Mistake> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(self.mistake(node, format!("the expression has more than {MAX_NODES} parts")));
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let what = format!("the expression nests deeper than {MAX_DEPTH} levels");
            return Err(self.mistake(node, what).hint("join conditions with && instead of nesting them"));
        }
        let kind = self.node(node);
        self.depth -= 1;
        kind
    }

    fn node(&mut self, node: &mut IdedExpr) -> Result<Type, Mistake> {
        match &mut node.expr {
            Expr::Literal(LiteralValue::Bytes(_)) => Err(self.mistake(node, "bytes have no place here")),
            Expr::Literal(literal) => Ok(type_of(known_literal(literal))),
            Expr::Ident(_) => self.identifier(node),
            Expr::Select(select) if select.test => self.has(node),
            Expr::Select(_) => self.select(node),
            Expr::Call(_) => self.call(node),
            Expr::List(_) => self.list(node),
            Expr::Map(_) => self.map(node),
            Expr::Comprehension(_) => self.comprehension(node),
            Expr::Struct(_) | Expr::Unspecified => {
                Err(self.mistake(node, "messages with fields have no place here").hint("write a map: {\"a\": 1}"))
            }
        }
    }

    fn list(&mut self, node: &mut IdedExpr) -> Result<Type, Mistake> {
        self.product_is_plain(node, "a list")?;
        let Expr::List(ListExpr { elements, .. }) = &mut node.expr else { return Ok(Type::Any) };
        let mut kinds = BTreeSet::new();
        for element in elements.iter_mut() {
            kinds.insert(self.value(element)?.text());
        }
        let literal = elements.iter().all(|element| self.known(element).is_some());
        if literal {
            let values = elements.iter().filter_map(|element| self.known(element));
            let constant = Constant::list(values);
            self.keep(node, constant);
        }
        let strings = kinds.len() == 1 && kinds.contains(Type::String.text());
        Ok(if strings { Type::Strings } else { Type::List })
    }

    fn map(&mut self, node: &mut IdedExpr) -> Result<Type, Mistake> {
        self.product_is_plain(node, "a map")?;
        let Expr::Map(MapExpr { entries }) = &mut node.expr else { return Ok(Type::Any) };
        for entry in entries {
            let EntryExpr::MapEntry(entry) = &mut entry.expr else { continue };
            let key = self.value(&mut entry.key)?;
            if !key.fits(Type::String) {
                return Err(self.mistake(&entry.key, format!("a map's key is a string and not {}", key.one())));
            }
            self.value(&mut entry.value)?;
        }
        Ok(Type::Map)
    }

    /// What `node` is, where that is known now: a literal, or what was made of literals.
    fn known<'n>(&'n self, node: &'n IdedExpr) -> Option<&'n dyn Val> {
        known(node, &self.constants)
    }

    /// Puts a constant in place of `node`.
    fn keep(&mut self, node: &mut IdedExpr, constant: Constant) {
        node.expr = lowered::constant(self.constants.len());
        self.constants.push(constant);
    }
}

/// What `node` of a checked tree is, where that was known when it was checked.
pub(crate) fn known<'n>(node: &'n IdedExpr, constants: &'n [Constant]) -> Option<&'n dyn Val> {
    match &node.expr {
        Expr::Literal(literal) => Some(known_literal(literal)),
        Expr::Ident(identifier) => match lowered::meaning(identifier) {
            Meaning::Constant(index) => constants.get(index).map(Constant::value),
            _ => None,
        },
        _ => None,
    }
}

fn known_literal(literal: &LiteralValue) -> &dyn Val {
    match literal.to_val() {
        CowVal::Borrowed(value) => value,
        // cel lends every literal; were one made anew, it would be none that a check knows.
        CowVal::Owned(_) => &cel::common::types::CelNull,
    }
}
