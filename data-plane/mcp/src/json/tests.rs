use std::fmt::Write as _;

use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::text::{quote, unescape};
use super::{MAX_DEPTH, Scanner};
use crate::Reason;

/// What the scanner says of a text as one value.
fn scan(text: &str) -> Result<(), Reason> {
    let mut scanner = Scanner::new(text, MAX_DEPTH);
    scanner.skip()?;
    scanner.end()
}

/// What `serde_json` says of the grammar alone: neither depth nor the size of numbers, nor halves of surrogate pairs.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

pub(crate) fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// A place in a text (of a million), and what replaces the character there.
type Mutation = (u32, &'static str);

pub(crate) fn any_mutations() -> impl Strategy<Value = Vec<Mutation>> {
    const PIECES: &[&str] = &[
        "", "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud83d", "\\n", "0", "1", "-", ".", "e", "+", " ", "\n",
        "\t", "\u{1}", "\u{7f}", "é", "😀", "true", "null", "nul", "/", "'", "\u{feff}",
    ];
    prop::collection::vec((0..1_000_000_u32, prop::sample::select(PIECES)), 1..5)
}

pub(crate) fn mutate(text: &str, mutations: &[Mutation]) -> String {
    let mut text = text.to_owned();
    for (place, piece) in mutations {
        let at = text.len() * *place as usize / 1_000_000;
        let start = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let length = text[start..].chars().next().map_or(0, char::len_utf8);
        text.replace_range(start..start + length, piece);
    }
    text
}

proptest! {
    #[test]
    fn what_serde_json_writes_is_json(value in any_json(), pretty: bool) {
        let write = if pretty { serde_json::to_string_pretty } else { serde_json::to_string };
        let text = write(&value).expect("a value is always JSON");
        prop_assert_eq!(scan(&text), Ok(()));
    }

    #[test]
    fn damaged_json_is_judged_as_serde_json_judges_it(value in any_json(), mutations in any_mutations()) {
        let text = mutate(&value.to_string(), &mutations);
        prop_assert_eq!(scan(&text).is_ok(), is_json(&text), "{:?}: {}", scan(&text), text);
    }

    #[test]
    fn short_texts_of_json_letters_are_judged_as_serde_json_judges_them(text in r#"[-+.0-9eEa\\u"\[\]{},: nulltrfs]{0,12}"#) {
        prop_assert_eq!(scan(&text).is_ok(), is_json(&text), "{}", text);
    }

    #[test]
    fn a_quoted_string_reads_back_as_itself(text: String) {
        let mut json = String::new();
        quote(&mut json, &text);
        prop_assert_eq!(serde_json::from_str::<String>(&json).ok(), Some(text.clone()));
        prop_assert_eq!(unescape(&json[1..json.len() - 1]), Some(text));
    }

    #[test]
    fn escapes_come_out_as_serde_json_takes_them_out(inside in r#"([ab]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}|\\ud8[0-9a-f]{2}\\udc[0-9a-f]{2}){0,8}"#) {
        prop_assert_eq!(unescape(&inside), serde_json::from_str::<String>(&format!("\"{inside}\"")).ok());
    }
}

#[test]
fn each_fault_is_found_where_it_is() {
    let faults = [
        ("", 0),
        ("[1,]", 3),
        (r#"{"a":1,}"#, 7),
        (r#"{"a" 1}"#, 5),
        (r#"{a:1}"#, 1),
        ("01", 1),
        ("-", 1),
        ("1.", 2),
        ("1e+", 3),
        ("nul", 0),
        ("\"a\u{1}\"", 2),
        (r#""\x""#, 1),
        (r#""\u12g4""#, 1),
        ("\"abc", 4),
        ("[1}", 2),
        (r#"{"a":1]"#, 6),
        ("1 2", 2),
        ("[", 1),
        ("\u{feff}1", 0),
        ("[[1] 2]", 5),
    ];
    for (text, at) in faults {
        match scan(text) {
            Err(Reason::NotJson { offset, .. }) => assert_eq!(offset, at, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn half_a_surrogate_pair_passes_where_nobody_reads_it_and_is_refused_where_somebody_does() {
    for half in [r#""\ud83d""#, r#""\ude00""#, r#""\ud83dx""#, r#""\ud83d\u0041""#, r#""\ud83d\ud83d""#] {
        assert_eq!(scan(half), Ok(()), "{half}");
        assert!(Scanner::new(half, MAX_DEPTH).text().is_err(), "{half}");
        assert!(Scanner::new(half, MAX_DEPTH).id().is_err(), "{half}");
        let named = format!("{{{half}: 1}}");
        assert!(
            Scanner::new(&named, MAX_DEPTH).object("it", |scanner, _| scanner.skip().map(|_| ())).is_err(),
            "{half}"
        );
    }
}

#[test]
fn depth_is_counted_to_the_limit_and_never_past_what_the_scanner_can_hold() {
    let nested = |depth: usize| format!("{}1{}", r#"[{"a":"#.repeat(depth / 2), "}]".repeat(depth / 2));
    assert!(scan(&nested(128)).is_ok());
    assert_eq!(scan(&nested(130)), Err(Reason::TooDeep { limit: 128, offset: 64 * 6 }));
    let mut scanner = Scanner::new("[[[]]]", u16::MAX);
    assert!(scanner.skip().is_ok() && scanner.end().is_ok());
    let mut scanner = Scanner::new("[[[]]]", 2);
    assert_eq!(scanner.skip(), Err(Reason::TooDeep { limit: 2, offset: 2 }));
    let mut bottomless = Scanner::new("[[[]]]", u16::MAX);
    bottomless.skip().expect("three levels");
    let deep = "[".repeat(1_000_000);
    assert!(matches!(Scanner::new(&deep, u16::MAX).skip(), Err(Reason::TooDeep { limit: 128, .. })));
}

#[test]
fn names_are_compared_without_escapes_however_many_there_are() {
    let read = |text: &str| Scanner::new(text, MAX_DEPTH).object("it", |scanner, _| scanner.skip().map(|_| ()));
    let mut members = String::new();
    for number in 0..100 {
        _ = write!(members, r#""k{number}":0,"#);
    }
    assert_eq!(read(&format!(r#"{{{members}"last":0}}"#)), Ok(()));
    for twice in ["k0", "k15", "k16", "k99", r"k\u0030", r"\u006b99"] {
        let outcome = read(&format!(r#"{{{members}"{twice}":0}}"#));
        assert!(matches!(outcome, Err(Reason::DuplicateKey { offset, .. }) if offset == members.len() + 1), "{twice}");
    }
    for (first, second) in [("a", r"\u0061"), (r"\u0061", "a"), (r"\u0061", r"\u0061"), ("", "")] {
        assert!(read(&format!(r#"{{"{first}":0,"{second}":0}}"#)).is_err(), "{first} {second}");
    }
}
