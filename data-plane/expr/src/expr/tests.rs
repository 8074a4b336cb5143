//! What expressions mean, what is refused, and that neither text nor facts can do harm.

mod bounds;
mod mistakes;
mod properties;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use serde_json::value::RawValue;

use super::*;
use crate::{Fact, Literal, Relation, Test};

/// Facts by name, which note what they were asked.
#[derive(Debug, Default)]
struct Known<'a> {
    facts: BTreeMap<Name, Fact<'a>>,
    asked: Mutex<Vec<Name>>,
}

impl<'a> Known<'a> {
    fn with(mut self, name: Name, fact: impl Into<Fact<'a>>) -> Self {
        self.facts.insert(name, fact.into());
        self
    }

    fn json(self, name: Name, text: &'a str) -> Self {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        self.with(name, Fact::Json(raw))
    }
}

impl Facts for Known<'_> {
    fn fact(&self, name: Name) -> Fact<'_> {
        self.asked.lock().unwrap().push(name);
        self.facts.get(&name).cloned().unwrap_or(Fact::Absent)
    }
}

/// What holds for [`call`].
const RIGHT: &[&str] = &[
    r#"tool == "search" && latency > duration("2s")"#,
    r#"outcome != "ok""#,
    r#"args.q.contains("acme")"#,
    r#"text.contains("needle")"#,
    r#"principal.subject == "ada""#,
    r#"http.headers["mcp-name"] == "x" && http.headers.accept == "a, b""#,
    r#"upstream.name == "files""#,
    r#"time > timestamp("2026-11-21T00:00:00Z")"#,
    "size > 10000",
    r#"direction == "c2s""#,
    "error.code == -32602 && error.code in [-32602, 5]",
    r#""admin" in principal.roles && principal.roles.exists(r, r.startsWith("c"))"#,
    r#"args["a-b"] && has(args.nil) && args.nil == null && !has(args.none)"#,
    r#"args.items.exists(i, i.id == 2 && "c" in i.tags)"#,
    r#"args.items.exists(i, i.tags.exists(t, t == "b"))"#,
    "args.items.filter(i, i.id > 1).size() == 1 && args.items.all(i, i.id < 3)",
    "args.items.map(i, i.id) == [1, 2] && args.items.map(i, i.id > 1, i.id) == [2]",
    "args.items.exists_one(i, i.id == 1)",
    r#"tool.matches("^sea.*h$") && matches(tool, "a")"#,
    r#"(tool == "x" ? 1 : 2) == 2"#,
    "latency.getSeconds() == 2 && time.getFullYear() == 2027",
    r#"args.esc == "té\n" && args.esc == r"té" + "\n""#,
    r#"size(principal.roles) == 2 && "mcp-name" in http.headers"#,
    r#"time - timestamp("2027-01-15T00:00:00Z") == duration("8h")"#,
    r#"text.contains(principal.subject + "x") || true"#,
    "has(principal.subject) && !has(principal.client) && has(error.code) && has(http.headers.accept)",
    "!has(args.none.x) && !has(args.none.x.y) && !has(meta.a.b) && has(args.items)",
];

fn compile(text: &str) -> Expr {
    Expr::compile(text, Place::Tape).unwrap_or_else(|mistake| panic!("{text}: {mistake}"))
}

fn call() -> Known<'static> {
    Known::default()
        .with(Name::Method, "tools/call")
        .with(Name::Tool, "search")
        .with(Name::Subject, "ada")
        .with(Name::Roles, Fact::Texts(vec!["ci", "admin"]))
        .with(Name::Upstream, "files")
        .with(Name::HttpHeaders, Fact::Fields(vec![("mcp-name", "x"), ("accept", "a"), ("accept", "b")]))
        .with(Name::Latency, Duration::from_millis(2_500))
        .with(Name::Time, SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000))
        .with(Name::Size, 20_000)
        .with(Name::Direction, "c2s")
        .with(Name::Outcome, "rpc_error")
        .with(Name::ErrorCode, -32602)
        .with(Name::Text, r#"{"a":"needle"}"#)
        .json(
            Name::Args,
            r#"{"q": "acme corp", "n": 5, "f": 5.0, "big": 18446744073709551615, "nil": null, "list": [1, 2],
                "items": [{"id": 1, "tags": ["a"]}, {"id": 2, "tags": ["b", "c"]}], "a-b": true, "esc": "t\u00e9\n"}"#,
        )
}

fn holds(text: &str) -> bool {
    compile(text).holds(&call()).unwrap_or_else(|trouble| panic!("{text}: {trouble}"))
}

fn trouble(text: &str) -> String {
    compile(text).holds(&call()).expect_err(text).to_string()
}

#[test]
fn what_people_filter_for_holds() {
    for text in RIGHT {
        assert!(holds(text), "{text}");
    }
}

#[test]
fn numbers_compare_by_value_across_types() {
    for text in [
        "args.n == 5 && args.n == 5.0 && args.f == 5 && args.n < 5.5 && args.f >= 5 && args.n == 5u",
        "args.big == 18446744073709551615u && args.big > 9223372036854775807 && args.n in [4, 5]",
        "size > 10000.5 && size < 20001u",
    ] {
        assert!(holds(text), "{text}");
    }
}

#[test]
fn what_is_missing_matches_nothing_whichever_way_it_is_compared() {
    for text in [
        r#"args.none == "x""#,
        r#"args.none != "x""#,
        r#"!(args.none == "x")"#,
        "args.items[7].id == 1",
        "args.items.all(i, i.none == 1)",
        "status == 200",
        "status != 200",
        "now > time",
        r#"result.content[0].text == "x""#,
        "meta.progressToken == 1",
    ] {
        assert!(!holds(text), "{text}");
    }
    assert!(holds(r#"args.none == "x" || tool == "search""#), "the other side of || decides");
    assert!(holds(r#"!(args.none == "x" && tool == "none")"#), "the other side of && decides");
    assert!(holds("args.items.exists(i, i.none == 1 || i.id == 1)"));
}

#[test]
fn absent_strings_are_empty_and_so_are_lists_and_maps() {
    assert!(holds(r#"prompt == "" && principal.groups.size() == 0 && size(annotations) == 0 && session != "x""#));
    assert!(holds(r#"!principal.scopes.exists(s, s == "x") && !("x" in result)"#));
}

#[test]
fn an_operation_on_the_wrong_kind_of_value_is_trouble_and_quotes_nothing() {
    assert_eq!(
        trouble("args.q > 5"),
        "> is not for string and int: test with has() or type first, or convert, as in int(…)"
    );
    for text in [
        "args.n.contains(\"secret\")",
        "args.q",
        "args.q.x == 1",
        "int(args.q) == 1",
        "args.n / 0 == 1",
        "args.n + 1.5 == 2.0",
        "args.q + 1 == 2",
        "args.n * 9223372036854775807 == 1",
        "args.n.exists(x, x == 1)",
        "!args.q",
        "duration(args.q) == latency",
        "timestamp(args.q) < time",
        "size(args.n) == 1",
    ] {
        let said = trouble(text);
        assert!(!said.contains("acme") && !said.contains("secret"), "{said}");
    }
}

#[test]
fn a_json_fact_that_cannot_be_read_is_trouble() {
    for (text, reason) in [
        (r#"{"q": 1, "q": 2}"#, "a member comes twice"),
        (r#"[1]"#, "not an object"),
        (&format!(r#"{{"q": {}1{}}}"#, "[".repeat(200), "]".repeat(200)), "recursion limit"),
    ] {
        let raw = RawValue::from_string(text.to_owned()).unwrap();
        let facts = Known::default().with(Name::Args, Fact::Json(&raw));
        let said = compile("args.q == 1").holds(&facts).unwrap_err().to_string();
        assert!(said.starts_with("args could not be read: ") && said.contains(reason), "{said}");
    }
    let none = Known::default().json(Name::Args, "null");
    assert_eq!(compile("size(args) == 0").holds(&none), Ok(true));
}

#[test]
fn a_fact_of_another_type_than_the_table_says_is_trouble() {
    let facts = Known::default().with(Name::Tool, 5);
    let expected = Trouble::WrongFact { name: Name::Tool, expected: crate::Type::String };
    assert_eq!(compile(r#"tool == "x""#).holds(&facts), Err(expected));
}

#[test]
fn a_fact_is_asked_once_and_only_if_the_answer_hangs_on_it() {
    let facts = call();
    let expr = compile(r#"tool == "other" && (text.contains("a") || text.contains("b"))"#);
    assert_eq!(expr.holds(&facts), Ok(false));
    assert_eq!(*facts.asked.lock().unwrap(), [Name::Tool]);
    let expr = compile(r#"text.contains("a") && text.contains("needle")"#);
    assert_eq!(expr.holds(&facts), Ok(true));
    assert_eq!(*facts.asked.lock().unwrap(), [Name::Tool, Name::Text]);
}

#[test]
fn uses_tells_every_name_that_is_read() {
    let expr =
        compile(r#"args.items.exists(i, i.id == 1 && tool == "x") || has(error.message) || principal.claims.x == 1"#);
    assert_eq!(expr.uses(), [Name::Tool, Name::Args, Name::Claims, Name::ErrorMessage]);
}

#[test]
fn demands_are_the_simple_facts_of_the_top_level_conjunction() {
    let demands = |text: &str| compile(text).demands().to_vec();
    let is = |name, relation, literal| Demand { name, test: Test::Is(relation, literal) };
    let text = |text: &str| Literal::Text(text.to_owned());
    assert_eq!(
        demands(
            r#"tool == "search" && 10 < size && (latency >= duration("1.5s") && "ada" == principal.subject) &&
               error.code in [-32602, 7] && time <= timestamp("1969-12-31T23:59:59.5Z")"#
        ),
        [
            is(Name::Tool, Relation::Equal, text("search")),
            is(Name::Size, Relation::More, Literal::Int(10)),
            is(Name::Latency, Relation::AtLeast, Literal::Duration(Duration::from_millis(1_500))),
            is(Name::Subject, Relation::Equal, text("ada")),
            Demand { name: Name::ErrorCode, test: Test::OneOf(vec![Literal::Int(-32602), Literal::Int(7)]) },
            is(Name::Time, Relation::AtMost, Literal::Time(SystemTime::UNIX_EPOCH - Duration::from_millis(500))),
        ]
    );
    for none in [
        r#"tool == "a" || size > 5"#,
        r#"!(tool == "a")"#,
        r#"(tool == "a" ? size > 5 : size > 6)"#,
        r#"tool == """#,
        r#"tool in ["", "a"]"#,
        r#"tool < "b" && tool >= "" && tool <= "b""#,
        r#"tool != "a""#,
        "size > 5.5",
        r#"latency > duration("-1s")"#,
        r#"args.q == "x""#,
        r#"tool == prompt"#,
    ] {
        assert_eq!(demands(none), [], "{none}");
    }
}

#[test]
fn an_expression_is_shared_between_threads() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    let expr = compile(r#"tool == "search" && tool.matches("s")"#);
    is_shared(&expr);
    let found = Cell::new(0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| expr.holds(&call()))).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), Ok(true));
            found.set(found.get() + 1);
        }
    });
    assert_eq!(found.get(), 4);
}

#[test]
fn the_table_is_in_the_order_of_its_names_and_told_apart() {
    let rows = crate::names();
    for row in rows {
        assert_eq!(row.name.text(), row.text);
        assert_eq!(Name::parse(row.text), Some(row.name));
        assert!(!row.help.is_empty() && !row.help.ends_with('.'), "{}", row.text);
    }
    assert_eq!(rows.iter().filter(|row| row.places.contains(&Place::Tape)).count(), rows.len());
}
