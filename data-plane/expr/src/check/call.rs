//! Operators and functions.

use cel::common::ast::operators;
use cel::common::ast::{CallExpr, Expr, IdedExpr};

use super::Checker;
use crate::constant::{Constant, text_of};
use crate::functions::{LOOPS, Signature, known, signatures};
use crate::limits::MAX_SUMS;
use crate::lowered::MATCHES;
use crate::mistake::{Mistake, did_you_mean};
use crate::types::Type;

impl Checker<'_> {
    pub(super) fn call(&mut self, node: &mut IdedExpr) -> Result<Type, Mistake> {
        let here = IdedExpr { id: node.id, expr: Expr::Unspecified };
        let Expr::Call(CallExpr { func_name, target, args }) = &mut node.expr else { return Ok(Type::Any) };
        if target.is_some() {
            return self.function(node);
        }
        match (func_name.as_str(), args.as_mut_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, sides) => self.conditions(sides),
            (operators::CONDITIONAL, [condition, yes, no]) => {
                self.conditions(std::slice::from_mut(condition))?;
                Ok(self.value(yes)?.or(self.value(no)?))
            }
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => self.equality(&here, left, right),
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                [left, right],
            ) => self.order(&here, left, right),
            (operators::IN, [left, right]) => self.membership(left, right),
            (operators::INDEX, [container, index]) => self.index(container, index),
            (operators::NEGATE, [number]) => self.negation(number),
            (operators::ADD, [left, right]) => self.sum(&here, left, right),
            (operators::SUBSTRACT, [left, right]) => self.difference(&here, left, right),
            (operators::MULTIPLY | operators::DIVIDE | operators::MODULO, [left, right]) => {
                let kinds = (self.value(left)?, self.value(right)?);
                self.numbers(&here, kinds)
            }
            _ => self.function(node),
        }
    }

    /// The sides of `&&`, `||` and `!`.
    fn conditions(&mut self, sides: &mut [IdedExpr]) -> Result<Type, Mistake> {
        for side in sides {
            let kind = self.value(side)?;
            if !kind.fits(Type::Bool) {
                let what = format!("a condition is true or false, and this is {}", kind.one());
                return Err(self.mistake(side, what).hint("compare it with something"));
            }
        }
        Ok(Type::Bool)
    }

    fn negation(&mut self, number: &mut IdedExpr) -> Result<Type, Mistake> {
        let kind = self.value(number)?;
        match kind {
            Type::Int | Type::Double | Type::Any => Ok(kind),
            _ => Err(self.mistake(number, format!("{} has no negative", kind.one()))),
        }
    }

    fn sum(&mut self, here: &IdedExpr, left: &mut IdedExpr, right: &mut IdedExpr) -> Result<Type, Mistake> {
        self.sums += 1;
        if self.sums > MAX_SUMS {
            return Err(self.mistake(here, format!("more than {MAX_SUMS} uses of `+`")));
        }
        self.product_is_plain(here, "a sum")?;
        match (self.value(left)?, self.value(right)?) {
            (Type::String, Type::String) => Ok(Type::String),
            (Type::Duration, Type::Duration) => Ok(Type::Duration),
            (Type::Timestamp, Type::Duration) | (Type::Duration, Type::Timestamp) => Ok(Type::Timestamp),
            (left, right) if left.is_list() && right.is_list() => Ok(left.or(right)),
            kinds => self.numbers(here, kinds),
        }
    }

    fn difference(&mut self, here: &IdedExpr, left: &mut IdedExpr, right: &mut IdedExpr) -> Result<Type, Mistake> {
        match (self.value(left)?, self.value(right)?) {
            (Type::Timestamp, Type::Timestamp) | (Type::Duration, Type::Duration) => Ok(Type::Duration),
            (Type::Timestamp, Type::Duration) => Ok(Type::Timestamp),
            kinds => self.numbers(here, kinds),
        }
    }

    /// Arithmetic takes two numbers of one type (CEL, "Language definition", arithmetic operators).
    fn numbers(&self, here: &IdedExpr, kinds: (Type, Type)) -> Result<Type, Mistake> {
        match kinds {
            (Type::Any, _) | (_, Type::Any) => Ok(Type::Any),
            (left, right) if left == right && left.is_number() => Ok(left),
            (left, right) if left.is_number() && right.is_number() => {
                let what = format!("{} and {} cannot be calculated with together", left.one(), right.one());
                Err(self.mistake(here, what).hint("convert one: int(…), double(…)"))
            }
            (left, right) => {
                let what = format!("{} and {} cannot be calculated with", left.one(), right.one());
                Err(self.mistake(here, what))
            }
        }
    }

    /// A function, called as `f(x)` or as `x.f()`.
    fn function(&mut self, node: &mut IdedExpr) -> Result<Type, Mistake> {
        let here = IdedExpr { id: node.id, expr: Expr::Unspecified };
        let Expr::Call(CallExpr { func_name, target, args }) = &mut node.expr else { return Ok(Type::Any) };
        let name = func_name.clone();
        if let Some((_, form)) = LOOPS.iter().find(|(known, _)| *known == name) {
            return Err(self.mistake(&here, format!("`{name}` is not called like this")).hint(format!("write {form}")));
        }
        let on = target.as_deref_mut().map(|target| self.value(target)).transpose()?;
        let arguments = args.iter_mut().map(|argument| self.value(argument)).collect::<Result<Vec<_>, _>>()?;
        let result = self.signature(&here, &name, on, &arguments)?.result;
        match name.as_str() {
            "matches" => self.pattern(node)?,
            "duration" | "timestamp" => self.constant_call(node)?,
            _ => {}
        }
        Ok(result)
    }

    fn signature(
        &self,
        here: &IdedExpr,
        name: &str,
        on: Option<Type>,
        arguments: &[Type],
    ) -> Result<&'static Signature, Mistake> {
        let forms: Vec<_> = signatures(on).filter(|signature| signature.name == name).collect();
        if let Some(signature) = forms.iter().find(|signature| signature.takes(on, arguments)) {
            return Ok(signature);
        }
        if name == "contains" && on.is_some_and(Type::is_list) {
            return Err(self.mistake(here, "a list has no `contains`").hint("write: value in list"));
        }
        let elsewhere = || signatures(on.map_or(Some(Type::Any), |_| None)).find(|signature| signature.name == name);
        match forms.first().copied().or_else(elsewhere) {
            Some(signature) => {
                let kinds: Vec<_> = on.into_iter().chain(arguments.iter().copied()).map(Type::text).collect();
                let of = if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") };
                let what = format!("`{name}` cannot be called like this, of {of}");
                Err(self.mistake(here, what).hint(format!("it is {}", signature.form())))
            }
            None => Err(self.mistake(here, format!("no function `{name}`")).hint_if(did_you_mean(name, known()))),
        }
    }

    /// Compiles the pattern of `matches`, which must be a literal: a pattern from a message would be compiled at each
    /// evaluation, to a size that its sender chooses.
    fn pattern(&mut self, node: &mut IdedExpr) -> Result<(), Mistake> {
        let Expr::Call(CallExpr { func_name, target, args }) = &mut node.expr else { return Ok(()) };
        let Some(mut argument) = args.pop() else { return Ok(()) };
        let Some(pattern) = self.known(&argument).and_then(text_of) else {
            return Err(self.mistake(&argument, "the pattern of `matches` must be a literal").hint("use contains"));
        };
        let pattern = Constant::pattern(pattern).map_err(|reason| {
            self.mistake(&argument, format!("no regular expression: {reason}")).hint("the syntax is that of RE2")
        })?;
        self.keep(&mut argument, pattern);
        if target.is_none() {
            *target = args.pop().map(Box::new);
        }
        args.push(argument);
        MATCHES.clone_into(func_name);
        Ok(())
    }

    /// Makes `duration("2s")` now, which also tells whether it is one.
    fn constant_call(&mut self, node: &mut IdedExpr) -> Result<(), Mistake> {
        let Expr::Call(CallExpr { func_name, args, .. }) = &node.expr else { return Ok(()) };
        let Some(text) = args.first().and_then(|argument| self.known(argument)).and_then(text_of) else {
            return Ok(());
        };
        let Ok(constant) = Constant::of(node) else {
            let (name, example) = match func_name.as_str() {
                "duration" => ("duration", "duration(\"1h30m\"), duration(\"1.5s\"), duration(\"250ms\")"),
                _ => ("timestamp", "timestamp(\"2026-11-21T00:00:00Z\")"),
            };
            return Err(self.mistake(&args[0], format!("{text:?} is no {name}")).hint(format!("as in {example}")));
        };
        self.keep(node, constant);
        Ok(())
    }
}
