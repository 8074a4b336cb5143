//! The one expression language: conditions in [CEL](https://cel.dev) over a message, its principal, its session and time.
//!
//! An [`Expr`] is compiled once, for a [`Place`], and evaluated over [`Facts`] that it asks for as it needs them. What it may
//! ask about is one table ([`names`]); whatever is not in it, could never hold or could cost too much is a [`Mistake`] with
//! its place and cure, before anything is evaluated.
//!
//! ```
//! use std::time::Duration;
//! use shadowcat_expr::{Expr, Fact, Facts, Literal, Name, Place, Relation, Test};
//!
//! struct Call;
//!
//! impl Facts for Call {
//!     fn fact(&self, name: Name) -> Fact<'_> {
//!         match name {
//!             Name::Tool => "search".into(),
//!             Name::Latency => Duration::from_millis(2_500).into(),
//!             _ => Fact::Absent,
//!         }
//!     }
//! }
//!
//! let slow = Expr::compile(r#"tool == "search" && latency > duration("2s")"#, Place::Tape)?;
//! assert_eq!(slow.holds(&Call), Ok(true));
//! assert_eq!(slow.uses(), [Name::Tool, Name::Latency]);
//! assert_eq!(slow.demands()[1].test, Test::Is(Relation::More, Literal::Duration(Duration::from_secs(2))));
//!
//! let mistake = Expr::compile("tool == \"search\" && latency > 2", Place::Tape).unwrap_err();
//! assert_eq!(mistake.to_string(), r#"1:31: a duration and an int cannot be compared (write duration("2s"))"#);
//! # Ok::<(), shadowcat_expr::Mistake>(())
//! ```
//!
//! What differs from CEL elsewhere:
//! - What is missing makes no match instead of an error ([`Expr::holds`]); `has(args.a.b)` asks for it, and is false where
//!   `args.a` is missing too. In `filter` and `map` an
//!   element without the member that they read ends the whole: write `filter(x, has(x.a) && x.a == 1)`.
//! - JSON integers stay integers. `==`, `<` and their like compare integers and fractions by value; arithmetic takes two of
//!   one type, so `args.n + 1.0` is for fractions only.
//! - There are no bytes, types, optionals or messages, and the pattern of `matches` is a literal.
//!
//! Invariants:
//! - No text makes [`Expr::compile`] panic or overflow a stack of 2 MiB, and no facts make [`Expr::holds`].
//! - No [`Mistake`] or [`Trouble`] quotes a fact.
//! - Every bound is in [`limits`]. What remains, so that a caller bounds the texts that it hands over and who may write
//!   expressions: an evaluation that uses all of [`limits::MAX_WORK`] takes 0.1 s in loops of comparisons, and some 40 s if
//!   all of it is a pattern with a Unicode `\b` in text that is not ASCII; `+` may hold [`limits::MAX_SUMS`] copies of the
//!   largest fact, and a list that is written holds a copy of each map in it.
//!
//! Not here: where facts come from, and what follows from an answer. cel is behind [`Expr`]; nothing of it is public.

mod binding;
mod check;
mod constant;
mod demand;
mod expr;
mod facts;
mod functions;
mod json;
pub mod limits;
mod lowered;
mod mistake;
mod names;
mod parse;
mod scan;
mod trouble;
mod types;

pub use crate::demand::{Demand, Literal, Relation, Test};
pub use crate::expr::Expr;
pub use crate::facts::{Fact, Facts};
pub use crate::mistake::Mistake;
pub use crate::names::{Name, Place, Row, names};
pub use crate::trouble::Trouble;
pub use crate::types::Type;
