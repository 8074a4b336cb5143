//! Names, members and indexes.

use cel::common::ast::{Expr, IdedExpr, SelectExpr};

use super::{Checker, Part};
use crate::lowered;
use crate::mistake::{Mistake, did_you_mean};
use crate::names::{Name, members, roots};
use crate::types::Type;

impl Checker<'_> {
    /// A loop's variable, or a name of one word.
    pub(super) fn identifier(&mut self, node: &mut IdedExpr) -> Result<Type, Mistake> {
        let Expr::Ident(identifier) = &node.expr else { return Ok(Type::Any) };
        if let Some(depth) = self.loops.iter().rposition(|around| around.variable == *identifier) {
            if self.loops[depth + 1..].iter().any(|inner| inner.part == Part::Product) {
                return Err(self.product_reads(node, &format!("`{identifier}`")));
            }
            return Ok(self.loops[depth].element);
        }
        if let Some(name) = Name::parse(identifier) {
            return self.name(node, name);
        }
        let mut of_group = members(identifier);
        if let Some(first) = of_group.next() {
            let all: Vec<_> = std::iter::once(first).chain(of_group).collect();
            let what = format!("`{identifier}` is no value: its members are");
            return Err(self.mistake(node, what).hint(format!("one of {}", all.join(", "))));
        }
        let what = format!("no name `{identifier}` here");
        let mut candidates: Vec<&str> = roots().collect();
        candidates.extend(self.loops.iter().map(|around| around.variable.as_str()));
        let hint =
            did_you_mean(identifier, candidates).unwrap_or_else(|| "a string is written in quotation marks".to_owned());
        Err(self.mistake(node, what).hint(hint))
    }

    /// Notes that a name is read, where it may be.
    fn name(&mut self, node: &IdedExpr, name: Name) -> Result<Type, Mistake> {
        let row = name.row();
        if !row.places.contains(&self.place) {
            return Err(self.mistake(node, format!("`{name}` is not known in this place")));
        }
        if self.loops.iter().any(|around| around.part == Part::Product) {
            return Err(self.product_reads(node, &format!("`{name}`")));
        }
        self.uses.insert(name);
        Ok(row.kind)
    }

    fn product_reads(&self, node: &IdedExpr, what: &str) -> Mistake {
        self.mistake(node, format!("what map() makes of an element reads {what}"))
            .hint("it may read its own element alone: use exists() to compare with something else")
    }

    /// A member of something: `principal.subject`, `args.query`, `x.y`.
    pub(super) fn select(&mut self, node: &mut IdedExpr) -> Result<Type, Mistake> {
        if let Some(name) = self.grouped(node)? {
            node.expr = Expr::Ident(name.text().to_owned());
            return self.name(node, name);
        }
        let Expr::Select(SelectExpr { operand, field, .. }) = &mut node.expr else { return Ok(Type::Any) };
        let kind = self.value(operand)?;
        let field = field.clone();
        self.member(node, kind, &field)
    }

    /// `has(args.query)`: a member that is there, with all that it is in; a name of the table that is known and not empty.
    pub(super) fn has(&mut self, node: &mut IdedExpr) -> Result<Type, Mistake> {
        if let Some(name) = self.grouped(node)? {
            self.name(node, name)?;
            node.expr = lowered::has(name);
            return Ok(Type::Bool);
        }
        let Expr::Select(SelectExpr { operand, field, .. }) = &mut node.expr else { return Ok(Type::Any) };
        let kind = self.value(operand)?;
        let field = field.clone();
        self.member(node, kind, &field)?;
        lowered::ask_the_way(node);
        Ok(Type::Bool)
    }

    /// The name that a select is, if its operand is a group of the table, as in `principal.subject`.
    fn grouped(&self, node: &IdedExpr) -> Result<Option<Name>, Mistake> {
        let Expr::Select(SelectExpr { operand, field, .. }) = &node.expr else { return Ok(None) };
        let Expr::Ident(group) = &operand.expr else { return Ok(None) };
        let is_variable = self.loops.iter().any(|around| around.variable == *group);
        if is_variable || members(group).next().is_none() {
            return Ok(None);
        }
        match Name::parse(&format!("{group}.{field}")) {
            Some(name) => Ok(Some(name)),
            None => {
                let hint = did_you_mean(field, members(group))
                    .unwrap_or_else(|| format!("it has {}", members(group).collect::<Vec<_>>().join(", ")));
                Err(self.mistake(node, format!("no member {field:?} in {group}")).hint(hint))
            }
        }
    }

    /// The type of the member `field` of a value of type `kind`.
    fn member(&self, node: &IdedExpr, kind: Type, field: &str) -> Result<Type, Mistake> {
        let Some(member) = kind.member() else {
            return Err(self.mistake(node, format!("{} has no member {field:?}", kind.one())));
        };
        if kind == Type::StringMap && field.chars().any(|letter| letter.is_ascii_uppercase()) {
            let what = format!("no header is named {field:?}: names are in lower case here");
            return Err(self.mistake(node, what).hint(format!("write {:?}", field.to_ascii_lowercase())));
        }
        Ok(member)
    }

    /// `container[index]`.
    pub(super) fn index(&mut self, container: &mut IdedExpr, index: &mut IdedExpr) -> Result<Type, Mistake> {
        let kind = self.value(container)?;
        let by = self.value(index)?;
        if let Some(key) = self.known(index).and_then(crate::constant::text_of)
            && !kind.is_list()
        {
            return self.member(index, kind, key);
        }
        match (kind.is_list(), kind.member()) {
            (true, _) if by.is_number() || by == Type::Any => Ok(kind.element().unwrap_or(Type::Any)),
            (false, Some(member)) if by.fits(Type::String) || kind == Type::Any => Ok(member),
            _ => Err(self.mistake(index, format!("{} has no index that is {}", kind.one(), by.one()))),
        }
    }
}
