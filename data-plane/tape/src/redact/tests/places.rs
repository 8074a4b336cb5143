//! Where a secret stood is told, and what stood around it stays.

use super::{cleaned, redactor};

#[test]
fn everything_around_a_secret_stays_byte_for_byte() {
    let redactor = redactor();
    let tag = redactor.tag("secret", "hunter2");
    let body = "{ \"b\":1.0, \"b\" : 1e2,\t\"t\":\"\\u00e9 \\/ token=hunter2 \\\"\\ud800\",\r\n \"n\": 123456789012345678901 }";
    assert_eq!(cleaned(&redactor, body), body.replace("hunter2", &tag));
    let nested = r#"{"text":"{\"a\\\/b\": \"\\u00fc\", \"password\": \"hunter2\", \"z\": 1}"}"#;
    assert_eq!(cleaned(&redactor, nested), nested.replace("hunter2", &tag));
}

#[test]
fn a_number_in_json_in_a_string_becomes_a_string_there() {
    let redactor = redactor();
    let tag = redactor.tag("secret", "4711");
    let body = r#"{"text":"{\"password\":4711}"}"#;
    assert_eq!(cleaned(&redactor, body), format!(r#"{{"text":"{{\"password\":\"{tag}\"}}"}}"#));
}

#[test]
fn a_scheme_stays_before_its_token() {
    let redactor = redactor();
    let tag = redactor.tag("secret", "hunter2");
    assert_eq!(
        cleaned(&redactor, r#"{"authorization":"Bearer hunter2"}"#),
        format!(r#"{{"authorization":"Bearer {tag}"}}"#)
    );
    assert_eq!(redactor.header("X-Authorization", "Bearer hunter2").as_deref(), Some(&*format!("Bearer {tag}")));
}

#[test]
fn places_are_json_pointers() {
    let redactor = redactor();
    let body = r#"{"a/b":{"m~n":[0,{"token":"x"}]},"text":"{\"password\":\"y\"}"}"#;
    let places: Vec<_> = redactor.message(body.as_bytes()).removed.into_iter().map(|removed| removed.ptr).collect();
    assert_eq!(places, ["/a~1b/m~0n/1/token", "/text"]);
}

#[test]
fn a_place_too_long_to_write_ends_above() {
    let redactor = redactor();
    let body = format!(r#"{{"a":{{"{}":{{"token":"x"}}}}}}"#, "n".repeat(1000));
    assert_eq!(redactor.message(body.as_bytes()).removed[0].ptr, "/a");
}

#[test]
fn a_body_that_is_no_utf8_is_searched_as_bytes() {
    let redactor = redactor();
    let cleaned = redactor.message(b"\xff\xfe password=hunter2 \xff");
    let tag = redactor.tag("secret", "hunter2");
    assert_eq!(&*cleaned.bytes, [b"\xff\xfe password=", tag.as_bytes(), b" \xff"].concat());
}

#[test]
fn a_body_deeper_than_any_message_is_searched_as_text() {
    let redactor = redactor();
    for depth in [127, 128, 129, 100_000] {
        let body = format!("{}{}{}", "[".repeat(depth), r#"{"password":"hunter2"}"#, "]".repeat(depth));
        assert!(!cleaned(&redactor, &body).contains("hunter2"), "{depth}");
    }
}

#[test]
fn what_was_redacted_is_left_alone_also_under_a_name() {
    let redactor = redactor();
    let tag = redactor.tag("jwt", "x");
    for body in [format!(r#"{{"token":"{tag}"}}"#), format!(r#"{{"a":"password={tag} Bearer {tag}"}}"#)] {
        assert_eq!(cleaned(&redactor, &body), body);
    }
}

#[test]
fn a_value_without_quotes_goes_to_its_end() {
    let redactor = redactor();
    for (text, secret) in [
        ("PASSWORD=a1(xyz)9 next", "a1(xyz)9"),
        ("PASSWORD=ab,cd;ef&gh", "ab,cd;ef&gh"),
        ("Server=x;Password=p@ss;Encrypt=True", "p@ss"),
        ("token_type=bearer&access_token=xyz&expires_in=3600", "xyz"),
        ("https://x.example/?sv=2022&sig=abc%2Fdef%3D&se=1", "abc%2Fdef%3D"),
        ("next=https%3A%2F%2Fx%3Faccess_token%3Dxyz99%26a%3Db", "xyz99"),
        (r#"cut off: {\"password\": \"x9\", \"y\": 2}"#, "x9"),
    ] {
        assert_eq!(redactor.text(text), text.replace(secret, &redactor.tag("secret", secret)));
    }
}

#[test]
fn both_parts_of_a_url_go_if_both_are_secrets() {
    let redactor = redactor();
    let key = ["gh", "p_0123456789abcdefghij0123456789abcdef"].concat();
    let text = redactor
        .text(&format!("https://{key}:hunter2@github.com/x https://{key}@github.com https://{key}:x-oauth-basic@x"))
        .into_owned();
    assert!(!text.contains(&key) && !text.contains("hunter2"), "{text}");
    assert!(text.contains("x-oauth-basic@x"));
    assert_eq!(
        redactor.text("redis://:hunter2@r:6379"),
        format!("redis://:{}@r:6379", redactor.tag("secret", "hunter2"))
    );
}
