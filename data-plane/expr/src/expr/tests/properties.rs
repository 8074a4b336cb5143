//! For random texts and facts.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::{Known, RIGHT, call, compile};
use crate::{Demand, Expr, Fact, Facts, Literal, Name, Place, Relation, Test};

/// The same cases on every machine.
const SEED: u64 = 0x5eed;

/// Pieces of expressions, right and wrong ones.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "tool",
        "args",
        "args.q",
        "principal.roles",
        "principal",
        ".",
        "size",
        "latency",
        "text",
        "==",
        "!=",
        "<",
        ">=",
        "&&",
        "||",
        "!",
        "?",
        ":",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"a\"",
        "'b'",
        "r\"\\\"",
        "\"\"\"",
        "1",
        "-2",
        "1.5",
        "1u",
        "0x",
        "true",
        "null",
        "in",
        "+",
        "-",
        "*",
        "/",
        "%",
        ".exists(x, ",
        ".all(x, ",
        ".map(x, ",
        ".filter(x, ",
        "x",
        ".contains(",
        ".matches(",
        "has(",
        "duration(",
        "timestamp(",
        "int(",
        "size(",
        "\\",
        "\n",
        "//",
        "é",
        "@step",
        "`",
        "\"1s\"",
        "\"(\"",
        "9999999999999999999",
    ]);
    prop_oneof![9 => known.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)]
}

/// A condition about one name, and conditions joined.
fn condition() -> impl Strategy<Value = String> {
    let operator = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let text = ("(tool|prompt|outcome)", operator.clone(), "(ok|a|b|)").prop_map(|(name, operator, value)| {
        let value = if name == "outcome" { "ok".to_owned() } else { value };
        format!("{name} {operator} \"{value}\"")
    });
    let int = ("(size|status|error\\.code)", operator.clone(), -2_i64..3)
        .prop_map(|(name, operator, value)| format!("{value} {operator} {name}"));
    let span = (operator.clone(), -1_i64..3)
        .prop_map(|(operator, seconds)| format!("latency {operator} duration(\"{seconds}s\")"));
    let moment = (operator, 0_u8..3)
        .prop_map(|(operator, second)| format!("time {operator} timestamp(\"1970-01-01T00:00:0{second}Z\")"));
    let list = prop::sample::select(vec![
        "tool in [\"a\", \"b\"]",
        "size in [1, 2]",
        "tool in []",
        "args.q == 1",
        "has(args.q)",
    ]);
    let leaf = prop_oneof![text, int, span, moment, list.prop_map(str::to_owned)];
    leaf.prop_recursive(4, 16, 3, |inner| {
        let joined = prop::sample::select(vec!["&&", "&&", "&&", "||"]);
        prop_oneof![
            4 => (inner.clone(), joined, inner.clone()).prop_map(|(left, operator, right)| format!("({left} {operator} {right})")),
            1 => inner.clone().prop_map(|inner| format!("!({inner})")),
            1 => (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

fn facts() -> impl Strategy<Value = Known<'static>> {
    let text = || prop::option::of(prop::sample::select(vec!["a", "b", "ok"]));
    let int = || prop::option::of(-2_i64..3);
    let args = prop::sample::select(vec![None, Some(r#"{"q": 1}"#), Some(r#"{"q": "x"}"#), Some("{}")]);
    let seconds = || prop::option::of(0_u64..3);
    (text(), text(), int(), int(), seconds(), seconds(), args).prop_map(
        |(tool, outcome, size, code, latency, time, args)| {
            let known = Known::default()
                .with(Name::Tool, tool)
                .with(Name::Outcome, outcome)
                .with(Name::Size, size)
                .with(Name::ErrorCode, code)
                .with(Name::Latency, latency.map(Duration::from_secs))
                .with(Name::Time, time.map(|time| SystemTime::UNIX_EPOCH + Duration::from_secs(time)));
            match args {
                Some(args) => known.json(Name::Args, args),
                None => known,
            }
        },
    )
}

/// The demand as a store would test it: what is absent meets none.
fn is_met(demand: &Demand, facts: &Known<'_>) -> bool {
    let value = match facts.fact(demand.name) {
        Fact::Text(text) => Literal::Text(text.into_owned()),
        Fact::Int(number) => Literal::Int(number),
        Fact::Duration(span) => Literal::Duration(span),
        Fact::Time(moment) => Literal::Time(moment),
        _ => return false,
    };
    match &demand.test {
        Test::OneOf(literals) => literals.contains(&value),
        Test::Is(relation, literal) => {
            let order = match (&value, literal) {
                (Literal::Text(left), Literal::Text(right)) => left.cmp(right),
                (Literal::Int(left), Literal::Int(right)) => left.cmp(right),
                (Literal::Duration(left), Literal::Duration(right)) => left.cmp(right),
                (Literal::Time(left), Literal::Time(right)) => left.cmp(right),
                _ => return false,
            };
            match relation {
                Relation::Equal => order.is_eq(),
                Relation::Less => order.is_lt(),
                Relation::AtMost => order.is_le(),
                Relation::More => order.is_gt(),
                Relation::AtLeast => order.is_ge(),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, rng_seed: RngSeed::Fixed(SEED), ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(pieces in prop::collection::vec(piece(), 0..24), space in "[ ]?") {
        if let Ok(expr) = Expr::compile(&pieces.join(&space), Place::Tape) {
            let _ = expr.holds(&call());
            let _ = expr.holds(&Known::default());
        }
    }

    #[test]
    fn no_right_text_with_a_piece_put_in_or_taken_out_panics(
        text in prop::sample::select(RIGHT), at in any::<prop::sample::Index>(), piece in piece(), taken in 0_usize..4,
    ) {
        let mut characters: Vec<char> = text.chars().collect();
        let start = at.index(characters.len());
        let end = (start + taken).min(characters.len());
        characters.splice(start..end, piece.chars());
        if let Ok(expr) = Expr::compile(&characters.iter().collect::<String>(), Place::Tape) {
            let _ = expr.holds(&call());
            let _ = expr.holds(&Known::default());
        }
    }

    #[test]
    fn no_arbitrary_text_panics(text in any::<String>()) {
        let _ = Expr::compile(&text, Place::Tape);
    }

    #[test]
    fn what_holds_meets_every_demand(text in condition(), facts in facts()) {
        let expr = compile(&text);
        if expr.holds(&facts) == Ok(true) {
            for demand in expr.demands() {
                prop_assert!(is_met(demand, &facts), "{} holds without {:?}", text, demand);
            }
        }
    }
}
