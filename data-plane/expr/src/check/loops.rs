//! Loops: `exists`, `all`, `exists_one`, `filter`, `map`.
//!
//! What they may cost is bounded here, and where they run. No loop is in more than one other, in its body or in what it walks.
//! What `map` makes of an element reads that element alone and builds nothing, so its list is never larger than what it
//! walked, and no chain of loops grows what a client sent. Each step is counted.

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, ListExpr};

use super::{Checker, Loop, Part};
use crate::limits::MAX_LOOP_DEPTH;
use crate::lowered::{INNER_STEP, STEP, count};
use crate::mistake::Mistake;
use crate::names::{Name, members};
use crate::types::Type;

/// The parts of a comprehension that somebody wrote; the rest of it is cel's.
enum Written<'t> {
    /// `exists`, `all`, `exists_one`: a condition, and what goes round.
    Condition { condition: &'t mut IdedExpr, going_on: &'t mut IdedExpr },
    /// `filter`.
    Filter { condition: &'t mut IdedExpr },
    /// `map`, with or without a condition.
    Map { condition: Option<&'t mut IdedExpr>, product: &'t mut IdedExpr },
}

impl Checker<'_> {
    pub(super) fn comprehension(&mut self, node: &mut IdedExpr) -> Result<Type, Mistake> {
        let here = IdedExpr { id: node.id, expr: Expr::Unspecified };
        let Expr::Comprehension(comprehension) = &mut node.expr else { return Ok(Type::Any) };
        let height = height(&comprehension.iter_range);
        if self.loops.len() + height >= MAX_LOOP_DEPTH {
            let what = format!("more than {MAX_LOOP_DEPTH} loops in or after one another");
            return Err(self.mistake(&here, what).hint("join their conditions in one loop"));
        }
        let range = self.value(&mut comprehension.iter_range)?;
        let Some(element) = range.element() else {
            return Err(self.mistake(&comprehension.iter_range, format!("{} is nothing to walk over", range.one())));
        };
        let variable = comprehension.iter_var.clone();
        self.variable_is_free(&here, &variable)?;
        let step = if self.loops.is_empty() { STEP } else { INNER_STEP };
        let Some(written) = written(comprehension) else {
            return Err(self.mistake(&here, "no loop of a known kind"));
        };
        self.loops.push(Loop { variable, element, part: Part::Condition });
        let kind = self.body(written, range, step);
        self.loops.pop();
        kind
    }

    /// Checks what is written in a loop, and has its steps counted.
    fn body(&mut self, written: Written<'_>, range: Type, step: &str) -> Result<Type, Mistake> {
        match written {
            Written::Condition { condition, going_on } => {
                self.condition(condition)?;
                count(going_on, step);
                Ok(Type::Bool)
            }
            Written::Filter { condition } => {
                self.condition(condition)?;
                count(condition, step);
                Ok(if range == Type::Strings || range.is_map() { Type::Strings } else { Type::List })
            }
            Written::Map { condition, product } => {
                let first = match condition {
                    Some(condition) => {
                        self.condition(condition)?;
                        Some(condition)
                    }
                    None => None,
                };
                if let Some(around) = self.loops.last_mut() {
                    around.part = Part::Product;
                }
                self.value(product)?;
                count(first.unwrap_or(product), step);
                Ok(Type::List)
            }
        }
    }

    fn condition(&mut self, node: &mut IdedExpr) -> Result<(), Mistake> {
        let kind = self.value(node)?;
        if kind.fits(Type::Bool) {
            return Ok(());
        }
        Err(self.mistake(node, format!("a condition is true or false, and this is {}", kind.one())))
    }

    /// A variable that hides something would make two meanings of one word.
    fn variable_is_free(&self, here: &IdedExpr, variable: &str) -> Result<(), Mistake> {
        let taken = Name::parse(variable).is_some()
            || members(variable).next().is_some()
            || self.loops.iter().any(|around| around.variable == variable);
        if taken {
            let what = format!("the loop's variable `{variable}` would hide another `{variable}`");
            return Err(self.mistake(here, what).hint("give it another name"));
        }
        Ok(())
    }

    /// Refuses to build a value in what `map` makes of an element.
    pub(super) fn product_is_plain(&self, node: &IdedExpr, what: &str) -> Result<(), Mistake> {
        if self.loops.iter().all(|around| around.part != Part::Product) {
            return Ok(());
        }
        Err(self
            .mistake(node, format!("map() builds {what} for each element"))
            .hint("map to one member: map(x, x.name)"))
    }
}

/// The loops that one runs over another's list, as in `list.filter(…).exists(…)`.
fn height(range: &IdedExpr) -> usize {
    match &range.expr {
        Expr::Comprehension(inner) => 1 + height(&inner.iter_range),
        Expr::Select(select) => height(&select.operand),
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).map(height).max().unwrap_or(0),
        Expr::List(list) => list.elements.iter().map(height).max().unwrap_or(0),
        _ => 0,
    }
}

/// Finds what was written, by the forms that cel's macros (`parser/macros.rs`) make.
fn written(comprehension: &mut ComprehensionExpr) -> Option<Written<'_>> {
    let makes_list = matches!(comprehension.accu_init.expr, Expr::List(_));
    let Expr::Call(CallExpr { args, .. }) = &mut comprehension.loop_step.expr else { return None };
    match (makes_list, args.as_mut_slice()) {
        // `@result || condition`, `@result && condition`.
        (false, [_, condition]) => Some(Written::Condition { condition, going_on: &mut comprehension.loop_cond }),
        // `condition ? @result + 1 : @result`.
        (false, [condition, _, _]) => Some(Written::Condition { condition, going_on: &mut comprehension.loop_cond }),
        // `@result + [product]`.
        (true, [_, appended]) => Some(Written::Map { condition: None, product: only_element(appended)? }),
        // `condition ? @result + [product] : @result`: `filter`, where the product is the variable itself, or `map`.
        (true, [condition, step, _]) => {
            let Expr::Call(CallExpr { args, .. }) = &mut step.expr else { return None };
            let product = only_element(args.last_mut()?)?;
            match &product.expr {
                Expr::Ident(identifier) if *identifier == comprehension.iter_var => Some(Written::Filter { condition }),
                _ => Some(Written::Map { condition: Some(condition), product }),
            }
        }
        _ => None,
    }
}

fn only_element(node: &mut IdedExpr) -> Option<&mut IdedExpr> {
    match &mut node.expr {
        Expr::List(ListExpr { elements, .. }) => elements.first_mut(),
        _ => None,
    }
}
