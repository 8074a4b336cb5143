//! No secret of the corpus gets through, wherever it stands.

use serde_json::json;

use super::{cleaned, redactor};
use crate::redact::Redactor;

/// Bytes of a fragment that must not remain of a secret: shorter ones occur in any text.
const FRAGMENT: usize = 12;

struct Secret {
    rule: String,
    text: String,
}

impl Secret {
    fn named_only(&self) -> bool {
        self.rule == "named"
    }
}

fn secrets() -> Vec<Secret> {
    let lines = include_str!("corpus.txt").lines().filter(|line| !line.starts_with('#'));
    let secret = |line: &str| {
        let (rule, text) = line.split_once(' ').expect("a rule and a secret");
        Secret { rule: rule.into(), text: text.trim_start().replace('~', "").replace("\\n", "\n") }
    };
    lines.map(secret).collect()
}

/// Fails if something of the secret is left, as it is or escaped. What all keys of an issuer or all blocks have in common
/// is none.
fn assert_gone(secret: &Secret, place: &str, output: &str) {
    let plain = output.replace("\\\\", "\\").replace("\\\\", "\\").replace("\\/", "/").replace("\\n", "\n");
    let letters: Vec<char> = secret.text.chars().collect();
    for window in letters.windows(FRAGMENT.min(letters.len())) {
        let fragment: String = window.iter().collect();
        if secret.rule == "pem" && fragment.contains(['-', '\n', ' ']) {
            continue;
        }
        assert!(!plain.contains(&fragment), "{fragment:?} of {:?} is left in {place}: {output}", secret.text);
    }
}

fn escaped(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// Messages that hold the secret where a name betrays it.
fn named(secret: &str) -> Vec<(&'static str, String)> {
    let text = serde_json::to_string(secret).expect("a string is JSON");
    let line =
        json!({"content": [{"type": "text", "text": format!("{{\"user\": 1, \"password\": {text}}}")}]}).to_string();
    let twice = json!({"text": line}).to_string();
    vec![
        ("value under a secret key", format!(r#"{{"params":{{"arguments":{{"api_key":{text},"n":1.0}}}}}}"#)),
        ("value under a camel-case key", format!(r#"{{"clientSecret" : {text}}}"#)),
        ("value under an escaped key", format!(r#"{{"tok\u0065n":{text}}}"#)),
        ("escaped value", format!(r#"{{"password":"{}"}}"#, escaped(secret))),
        ("array under a key", format!(r#"{{"tokens":["x",{text}]}}"#)),
        ("object under a key", format!(r#"{{"credentials":{{"user":"x","deep":[{{"a":{text}}}]}}}}"#)),
        ("after a flag", format!(r#"{{"args":["--verbose","--api-key",{text}]}}"#)),
        ("beside its name", format!(r#"{{"env":[{{"name":"DB_PASSWORD","value":{text}}}]}}"#)),
        ("JSON in a string", line),
        ("JSON in JSON in a string", json!({"r": twice}).to_string()),
        ("JSON that is cut off", format!(r#"{{"a":1,"password":{}"#, &text[..text.len() - 1])),
        ("JSON that is none", format!(r#"{{"a":1,,"password":{text}}}"#)),
        ("two messages", format!("{{\"a\":1}}\n{{\"secret\":{text}}}")),
    ]
}

/// Texts that hold the secret where it stands alone between blanks, or where a name betrays it.
fn texts(secret: &Secret) -> Vec<(&'static str, String)> {
    let text = &secret.text;
    let mut all = vec![
        ("environment", format!("starting with API_KEY={text}")),
        ("flag", format!("server --api-key {text} --port 80")),
        ("flag with a sign", format!("server --token={text} --port 80")),
        ("YAML", format!("user: x\npassword: {text}\nport: 80")),
        ("quotes", format!("password = \"{text}\"; next()")),
        ("other quotes", format!("{{'password': '{text}', 'a': 1}}")),
        ("a wrapper", format!("Config {{ password: Some(\"{text}\"), port: 80 }}")),
        ("a header", format!("> X-Api-Key: {text}\n> Accept: */*")),
        ("a bearer", format!("> Authorization: Bearer {text}\n> Accept: */*")),
        ("a cookie", format!("> Cookie: session={text}; theme=dark\n> Accept: */*")),
        ("XML", format!("<config><password>{text}</password></config>")),
    ];
    if !secret.text.contains(['/', '#', '\n', '@', '&', '?']) {
        all.push(("a password in a URL", format!("connecting to postgres://app:{text}@db.example:5432/app?a=b")));
        all.push(("a parameter", format!("GET https://example.com/x?a=b&access_token={text}&c=d")));
    }
    if !secret.named_only() {
        all.push(("prose", format!("the server said {text} and went on")));
        all.push(("brackets", format!("key [{text}], done")));
        all.push(("behind a line end", format!("first\n{text}\nlast")));
    }
    // Without quotes, only one word can be told to be the secret.
    let lone = |(place, _): &(&str, String)| {
        !secret.text.contains('\n') || secret.rule == "pem" && *place != "a cookie" || *place == "quotes"
    };
    all.into_iter().filter(lone).collect()
}

#[test]
fn the_corpus_has_sixty_secrets_and_more() {
    assert!(secrets().len() >= 60);
}

#[test]
fn no_secret_under_a_name_gets_through() {
    let redactor = redactor();
    for secret in secrets() {
        for (place, body) in named(&secret.text) {
            assert_gone(&secret, place, &cleaned(&redactor, &body));
            let in_text = redactor.text(&body).into_owned();
            assert_gone(&secret, place, &in_text);
        }
    }
}

#[test]
fn no_secret_in_text_gets_through() {
    let redactor = redactor();
    for secret in secrets() {
        for (place, text) in texts(&secret) {
            assert_gone(&secret, place, &redactor.text(&text));
            assert_gone(&secret, place, &cleaned(&redactor, &text));
            for body in in_strings(&text) {
                assert_gone(&secret, place, &cleaned(&redactor, &body));
            }
        }
    }
}

/// Messages that hold a text in a string.
fn in_strings(text: &str) -> [String; 5] {
    let inner = json!({"log": [text]}).to_string();
    [
        json!({"result": {"content": [{"type": "text", "text": text}]}}).to_string(),
        json!({"result": {"content": [{"type": "text", "text": inner}]}}).to_string(),
        json!([0, [text]]).to_string(),
        format!(r#"{{"message":"{}"}}"#, escaped(text)),
        json!({"m": text}).to_string().replace('/', "\\/"),
    ]
}

#[test]
fn no_secret_in_a_header_gets_through() {
    let redactor = redactor();
    for secret in secrets().into_iter().filter(|secret| !secret.text.contains('\n')) {
        for name in ["Authorization", "proxy-authorization", "Cookie", "SET-COOKIE"] {
            assert_eq!(redactor.header(name, &secret.text), None);
        }
        let header = |name: &str, value: &str| redactor.header(name, value).expect("it is recorded").into_owned();
        assert_gone(&secret, "X-Api-Key", &header("X-Api-Key", &secret.text));
        assert_gone(&secret, "x-auth-token", &header("x-auth-token", &format!("Bearer {}", secret.text)));
        if !secret.named_only() {
            assert_gone(&secret, "X-Anything", &header("X-Anything", &secret.text));
        }
    }
}

#[test]
fn no_secret_in_a_member_name_gets_through() {
    let redactor = redactor();
    for secret in secrets().into_iter().filter(|secret| !secret.named_only()) {
        let body = json!({"users": {&secret.text: {"token": "x-y-z"}}}).to_string();
        let cleaned = redactor.message(body.as_bytes());
        assert_gone(&secret, "a name", &String::from_utf8_lossy(&cleaned.bytes));
        for removed in &cleaned.removed {
            assert_gone(&secret, "a pointer", &removed.ptr);
        }
    }
}

#[test]
fn equal_secrets_have_equal_tags_wherever_they_stand() {
    let redactor = redactor();
    let tag = |secret: &Secret, redactor: &Redactor| {
        let body = json!({"password": secret.text}).to_string();
        redactor.message(body.as_bytes()).removed[0].tag.clone().into_owned()
    };
    for secret in secrets().into_iter().filter(|secret| !secret.text.contains([' ', '\n', '&', '/', '#', '@'])) {
        let tag = tag(&secret, &redactor);
        for (place, text) in texts(&secret).into_iter().filter(|(place, _)| *place != "a cookie") {
            assert!(redactor.text(&text).contains(&tag), "{place}: {} has no {tag}", redactor.text(&text));
        }
        assert_eq!(redactor.header("X-Api-Key", &secret.text).as_deref(), Some(tag.as_str()));
        assert_eq!(redactor.tag(if secret.named_only() { "secret" } else { &secret.rule }, &secret.text), tag);
    }
}

#[test]
fn what_is_found_by_form_says_which() {
    let redactor = redactor();
    for secret in secrets().into_iter().filter(|secret| !secret.named_only()) {
        let body = json!({"note": format!("it is {} here", secret.text)}).to_string();
        let removed = redactor.message(body.as_bytes()).removed;
        assert_eq!(removed.len(), 1, "{body}");
        assert_eq!((&*removed[0].ptr, &*removed[0].rule), ("/note", secret.rule.as_str()));
        assert_eq!(removed[0].len, secret.text.len() as u64);
    }
}
