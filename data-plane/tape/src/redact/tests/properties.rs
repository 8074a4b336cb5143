//! What holds of every input.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::Value;

use super::redactor;

/// Pieces that texts with secrets are made of, so that chance builds what matters.
const PIECES: [&str; 44] = [
    "password",
    "token",
    "api_key",
    "--api-key",
    "Cookie",
    "Authorization",
    "Bearer ",
    "Basic ",
    ":",
    "=",
    " ",
    "\"",
    "'",
    "\\",
    "\\\"",
    "\\u0070",
    "\\n",
    "\n",
    "{",
    "}",
    "[",
    "]",
    ",",
    "://",
    "@",
    "user",
    "&",
    "(",
    "%3D",
    "<",
    ">",
    "eyJhbGciOiJIUzI1NiJ9",
    ".eyJzdWIiOiIxIn0",
    ".c2ln",
    "AKIAABCDEFGHIJKLMNOP",
    "ghp_abcdefghij0123456789ABCD",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "MIIEvQIBADANBgkqhkiG9w0",
    "⟦r:secret:0123abcd⟧",
    "⟦r:",
    "⟧",
    "hunter2",
    "sk-abcdefghij0123456789",
];

fn text() -> impl Strategy<Value = String> {
    vec(prop_oneof![8 => proptest::sample::select(&PIECES[..]).prop_map(str::to_owned), 1 => ".{0,3}"], 0..24)
        .prop_map(|pieces| pieces.concat())
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
    ];
    let name = prop_oneof![proptest::sample::select(&PIECES[..5]).prop_map(str::to_owned), text()];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((name.clone(), inner.clone()), 0..5).prop_map(|members| Value::Object(members.into_iter().collect())),
            inner.prop_map(|value| Value::from(value.to_string())),
        ]
    })
}

/// Whether two values have the same shape: what is a container in one is as large a container in the other.
fn same_shape(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_shape(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            // Names with equal secrets become equal, and a tree keeps the last of them.
            a.len() >= b.len()
                && (a.len() > b.len() || a.iter().all(|(name, value)| b.get(name).is_none_or(|b| same_shape(value, b))))
        }
        (before, Value::String(_)) => !before.is_object() && !before.is_array() && !before.is_null(),
        (before, after) => before == after,
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_message_keeps_its_shape_and_a_second_pass_changes_nothing(tree in tree()) {
        let redactor = redactor_once();
        let body = tree.to_string();
        let once = redactor.message(body.as_bytes());
        let after: Value = serde_json::from_slice(&once.bytes).expect("it is still JSON");
        prop_assert!(same_shape(&tree, &after), "{tree} became {after}");
        prop_assert_eq!(once.removed.is_empty(), *once.bytes == *body.as_bytes());
        let twice = redactor.message(&once.bytes);
        prop_assert_eq!(String::from_utf8_lossy(&twice.bytes), String::from_utf8_lossy(&once.bytes));
    }

    #[test]
    fn text_is_redacted_once(text in text()) {
        let redactor = redactor_once();
        let once = redactor.text(&text).into_owned();
        let twice = redactor.text(&once).into_owned();
        prop_assert_eq!(&twice, &once, "{}", text);
        let mut stream = redactor.stream();
        for line in text.lines() {
            stream.line(line);
        }
        let header = redactor.header("X-Token", &text).unwrap_or_default();
        prop_assert_eq!(&redactor.header("X-Token", &header).unwrap_or_default(), &header);
    }

    #[test]
    fn a_body_that_is_not_suspected_has_nothing(tree in tree()) {
        let redactor = redactor_once();
        let body = tree.to_string();
        if !redactor.search.suspects(body.as_bytes()) {
            let walked = super::super::Walk::new(redactor, body.as_bytes(), 0, None).run();
            prop_assert!(walked.edits.is_empty(), "{}: {:?}", body, walked.edits);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200), text in text()) {
        let redactor = redactor_once();
        let mixed = [bytes.as_slice(), text.as_bytes(), bytes.as_slice()].concat();
        for body in [bytes, mixed] {
            let cleaned = redactor.message(&body);
            prop_assert_eq!(cleaned.removed.is_empty(), *cleaned.bytes == *body);
        }
    }
}

/// Building the automaton takes longer than a case.
fn redactor_once() -> &'static crate::redact::Redactor {
    static ONCE: std::sync::OnceLock<crate::redact::Redactor> = std::sync::OnceLock::new();
    ONCE.get_or_init(redactor)
}
