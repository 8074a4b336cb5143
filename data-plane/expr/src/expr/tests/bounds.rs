//! That no text and no facts cost more than the limits say.

use std::fmt::Write as _;

use super::{Known, compile};
use crate::limits::{MAX_DEPTH, MAX_LINKS, MAX_OPEN_BRACKETS, MAX_TEXT_BYTES};
use crate::{Expr, Mistake, Name, Place, Trouble};

/// Half of the stack of a runtime's thread, so that the caller may have used the other half.
const STACK_BYTES: usize = 1024 * 1024;

fn on_half_a_stack(text: String) -> Result<(), Mistake> {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    let compiled = thread.spawn(move || {
        let expr = Expr::compile(&text, Place::Tape)?;
        let _ = expr.holds(&Known::default());
        Ok(())
    });
    compiled.unwrap().join().expect("no text makes it panic")
}

#[test]
fn no_chain_or_nesting_overflows_a_stack() {
    let chains = [
        ("args", ".b", ""),
        ("args", "[0]", ""),
        ("has(args", ".b", ")"),
        ("1", "+1", ""),
        ("1", "<1", ""),
        ("1", " in 1", ""),
        ("args.a", ".size()", ""),
        ("", "!", "true"),
        ("", "- ", "1"),
        ("", "true?true:", "true"),
        ("true", "&&true", ""),
        ("true", "||true", ""),
        ("1 in [1", ",1", "]"),
        ("", "(", "1"),
        ("", "[", "1"),
        ("", "{1:", "1"),
        ("", "int(", "1"),
        ("", "[1].exists(x,", "true"),
        ("\"a\"", "\"a\"", ""),
        ("'\\", "'\\", ""),
        ("r'\\'", "+1", ""),
        ("\"\\q\"", "+1", ""),
        ("'''", "'+1+'", ""),
        ("", "@", ""),
    ];
    for (before, link, after) in chains {
        for links in [20, MAX_DEPTH - 3, MAX_OPEN_BRACKETS, MAX_LINKS, MAX_TEXT_BYTES] {
            let room = MAX_TEXT_BYTES - before.len() - after.len();
            let text = format!("{before}{}{after}", link.repeat(links.min(room / link.len())));
            let _ = on_half_a_stack(text);
        }
    }
}

#[test]
fn closed_nesting_up_to_the_limit_is_served_and_beyond_it_refused() {
    let nested = |depth: usize| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(on_half_a_stack(nested(MAX_OPEN_BRACKETS)), Ok(()));
    let refused = on_half_a_stack(nested(MAX_OPEN_BRACKETS + 1)).unwrap_err();
    assert_eq!(refused.column, MAX_OPEN_BRACKETS + 1);
    let long = format!("tool == \"{}\"", "x".repeat(MAX_TEXT_BYTES));
    assert!(on_half_a_stack(long).unwrap_err().what.contains("the limit is 4096"));
}

#[test]
fn a_long_list_of_names_and_a_long_conjunction_are_served() {
    let names: Vec<_> = (0..200).map(|number| format!("\"tool-{number}\"")).collect();
    assert_eq!(on_half_a_stack(format!("tool in [{}]", names.join(","))), Ok(()));
    let conditions: Vec<_> = (0..100).map(|number| format!("size != {number}")).collect();
    assert_eq!(on_half_a_stack(conditions.join(" && ")), Ok(()));
}

#[test]
fn a_string_hides_no_chain_from_the_count_and_its_own_content_is_not_counted() {
    assert_eq!(on_half_a_stack(format!("text.contains(\"{}\")", "[{(+.".repeat(200))), Ok(()));
    assert_eq!(on_half_a_stack(format!("true // {}", "(+.".repeat(200))), Ok(()));
    assert!(on_half_a_stack(format!("r\"\\\" == \"\" || 1{}", "+1".repeat(300))).is_err());
}

#[test]
fn a_third_loop_is_refused_inside_and_after() {
    for text in [
        "args.a.exists(x, args.b.exists(y, args.c.exists(z, z == 1)))",
        "args.a.filter(x, x > 1).filter(y, y > 2).exists(z, z > 3)",
        "args.a.exists(x, args.b.filter(y, y > 2).exists(z, z > 3))",
    ] {
        let mistake = Expr::compile(text, Place::Tape).unwrap_err();
        assert!(mistake.what.contains("more than 2 loops"), "{mistake}");
    }
}

#[test]
fn a_pattern_that_is_large_when_compiled_is_refused() {
    let mistake = Expr::compile(r#"tool.matches("(\\w{100}){100}")"#, Place::Tape).unwrap_err();
    assert!(mistake.what.contains("too large"), "{mistake}");
}

#[test]
fn loops_over_long_lists_end_in_trouble_and_not_in_hours() {
    let mut list = String::from("{\"l\": [0");
    for number in 1..50_000 {
        write!(list, ",{number}").unwrap();
    }
    list.push_str("]}");
    let facts = Known::default().json(Name::Args, &list);
    assert_eq!(compile("args.l.exists(x, x == 49999)").holds(&facts), Ok(true));
    for text in [
        "args.l.exists(x, args.l.exists(y, x == y + 50000))",
        "args.l.all(x, args.l.all(y, x + y >= 0))",
        "args.l.exists_one(x, args.l.exists_one(y, x == y))",
        "args.l.filter(x, args.l.filter(y, y == -1) == []).size() == 50000",
        "args.l.exists(x, args.l.map(y, y).size() == 1)",
        "args.l.exists(x, args.l.map(y, y > 5, y).size() == 1)",
        &format!("args.l.exists(x, {})", vec!["x == -1"; 100].join(" || ")),
    ] {
        assert_eq!(compile(text).holds(&facts), Err(Trouble::TooMuchWork), "{text}");
    }
}
