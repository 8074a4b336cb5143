//! A recording's own globs and paths, and what is said about those that cannot be.

use super::{cleaned, with};
use crate::redact::{RedactionKey, Redactor, RuleError, Rules};

fn keys(keys: &[&str]) -> Rules {
    Rules { keys: keys.iter().map(|key| (*key).to_owned()).collect(), ..Rules::default() }
}

fn paths(paths: &[&str]) -> Rules {
    Rules { paths: paths.iter().map(|path| (*path).to_owned()).collect(), ..Rules::default() }
}

#[test]
fn a_glob_of_ones_own_matches_without_regard_to_case_and_separators() {
    let redactor = with(&keys(&["employee_id", "ssn*"]));
    for body in [r#"{"employeeId":"E-1"}"#, r#"{"EMPLOYEE-ID":"E-1"}"#, r#"{"employee_id":7}"#, r#"{"SSN_last":"E-1"}"#]
    {
        assert!(cleaned(&redactor, body).contains("⟦r:secret:"), "{body}");
    }
    for body in [r#"{"employee":"E-1"}"#, r#"{"lessn":"E-1"}"#] {
        assert_eq!(cleaned(&redactor, body), body);
    }
}

#[test]
fn no_glob_matches_what_the_protocol_needs() {
    let redactor = with(&keys(&["*id*", "*cursor*", "name", "method", "*state*"]));
    let body = r#"{"id":"a","method":"x/y","params":{"name":"t","cursor":"c","taskId":"t","requestState":"s"}}"#;
    assert_eq!(cleaned(&redactor, body), body);
    let body = r#"{"id":"a","params":{"arguments":{"name":"Ann"}}}"#;
    assert!(!cleaned(&redactor, body).contains("Ann"));
}

#[test]
fn a_glob_that_is_no_ascii_is_found_behind_escapes() {
    let redactor = with(&keys(&["*пароль*"]));
    assert!(!cleaned(&redactor, r#"{"пароль":"hunter2"}"#).contains("hunter2"));
    assert!(!cleaned(&redactor, r#"{"\u043fароль":"hunter2"}"#).contains("hunter2"));
}

#[test]
fn a_path_takes_everything_below_but_null() {
    let redactor = with(&paths(&["$.params.arguments", "$..rows[0]"]));
    let body = r#"{"id":1,"params":{"name":"t","arguments":{"a":1,"b":[true,null,"x"]}},"rows":["r0","r1"]}"#;
    let cleaned = redactor.message(body.as_bytes());
    let places: Vec<&str> = cleaned.removed.iter().map(|removed| &*removed.ptr).collect();
    assert_eq!(places, ["/params/arguments/a", "/params/arguments/b/0", "/params/arguments/b/2", "/rows/0"]);
    assert!(cleaned.removed.iter().all(|removed| removed.rule == "path"));
    let tree: serde_json::Value = serde_json::from_slice(&cleaned.bytes).expect("it is still JSON");
    assert_eq!(tree["params"]["arguments"]["b"][1], serde_json::Value::Null);
    assert_eq!((&tree["params"]["name"], &tree["rows"][1]), (&"t".into(), &"r1".into()));
}

#[test]
fn what_repeats_a_removed_value_beside_its_message_has_the_same_tag() {
    let redactor = with(&paths(&["$.params.arguments.city", "$.params.arguments.auth", "$.id"]));
    let body = r#"{"id":17,"params":{"arguments":{"city":"S\u00e3o Paulo","auth":"Bearer short","n":3}}}"#;
    let removed = redactor.message(body.as_bytes()).removed;
    let tags: Vec<&str> = removed.iter().map(|removed| &*removed.tag).collect();
    let [id, city, auth] = tags[..] else { panic!("{tags:?}") };
    for (value, kept) in [
        ("17", id),
        (" São Paulo ", &format!(" {city} ")),
        ("bearer short", &format!("bearer {auth}")),
        ("short", auth),
        ("3", "3"),
        ("São", "São"),
        ("", ""),
    ] {
        assert_eq!(redactor.repeated(value, &removed), kept, "{value:?}");
    }
    assert_eq!(redactor.repeated("17", &[]), "17");
}

#[test]
fn a_path_reaches_members_whose_names_hold_secrets_or_escapes() {
    let redactor = with(&paths(&["$.users.*"]));
    let key = ["gh", "p_0123456789abcdefghij0123456789abcdef"].concat();
    let body = format!(r#"{{"users":{{"{key}":"Ann","a\/b":"Bob"}}}}"#);
    let cleaned = cleaned(&redactor, &body);
    assert!(!cleaned.contains("Ann") && !cleaned.contains("Bob") && !cleaned.contains(&key), "{cleaned}");
}

#[test]
fn rules_that_cannot_be_followed_say_which_and_what_to_do() {
    let key = RedactionKey::from([7; 32]);
    let glob = Redactor::new(&keys(&["*"]), &key).expect_err("it would match everything");
    assert_eq!(
        glob.to_string(),
        r#"the key glob "*" has no 2 letters in a row and would match almost any name: name more of the key"#
    );
    let path = Redactor::new(&paths(&["params.x"]), &key).expect_err("it has no root");
    assert!(matches!(&path, RuleError::BadPath { path, .. } if path == "params.x"));
    assert!(path.to_string().contains("write it as in $.params"));
}

#[test]
fn a_key_shows_nothing_of_itself_and_its_id_is_eight_digits() {
    let key = RedactionKey::from([7; 32]);
    assert_eq!(format!("{key:?}"), "RedactionKey(…)");
    let redactor = with(&Rules::default());
    assert_eq!(redactor.key_id(), &blake3::hash(&[7; 32]).to_hex()[..8]);
    assert_eq!(format!("{redactor:?}"), format!("Redactor {{ key_id: {:?}, .. }}", redactor.key_id()));
}
