//! What is read and what is refused, case by case; `properties` holds the same against `serde_json`.

mod properties;

use bytes::Bytes;

use super::{Envelope, Kind, Limits};
use crate::{ErrorKind, Id, Malformed, Reason};

fn read(text: impl Into<Bytes>) -> Result<Envelope, Malformed> {
    Envelope::read(text.into(), Limits::default())
}

fn accepted(text: &'static str) -> Envelope {
    read(text).expect(text)
}

fn refused(text: impl Into<Bytes>) -> Malformed {
    read(text).expect_err("this message must be refused")
}

#[test]
fn each_kind_is_told_by_its_members_in_any_order() {
    let kinds = [
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, Kind::Request),
        (r#" { "params" : null , "method" : "ping" , "id" : "" , "jsonrpc" : "2.0" } "#, Kind::Request),
        (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, Kind::Notification),
        (r#"{"result":null,"id":1,"jsonrpc":"2.0"}"#, Kind::Response),
        (r#"{"jsonrpc":"2.0","id":1,"error":{}}"#, Kind::ErrorResponse),
        (r#"{"jsonrpc":"2.0","id":null,"error":{}}"#, Kind::ErrorResponse),
        (r#"{"jsonrpc":"2.0","error":{}}"#, Kind::ErrorResponse),
    ];
    for (text, kind) in kinds {
        assert_eq!(accepted(text).kind(), kind, "{text}");
    }
}

#[test]
fn names_and_values_are_read_through_their_escapes_and_ids_are_not() {
    let envelope = accepted(
        r#"{"jsonrpc":"2.0","\u0069d":"\u0061","m\u0065thod":"tools\/call","params":{"name":"a\u00e9\ud83d\ude00"}}"#,
    );
    assert_eq!(envelope.method(), Some("tools/call"));
    assert_eq!(envelope.name(), Some("aé😀"));
    assert_eq!(envelope.id().map(Id::as_json), Some(r#""\u0061""#));
    assert_eq!(envelope.id().map(Id::to_owned), Some("a".into()));
}

#[test]
fn a_name_that_occurs_twice_is_refused_wherever_the_gateway_reads() {
    let twice = [
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","meth\u006fd":"b"}"#, "method", "the message", Some("1")),
        (r#"{"jsonrpc":"2.0","method":"a","x":1,"x":1,"id":"late"}"#, "x", "the message", Some(r#""late""#)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","id":2}"#, "id", "the message", None),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"name":"a","\u006eame":"b"}}"#, "name", "params", Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":{"k":1,"k":1}}}"#, "k", "params._meta", Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"result":{"isError":true,"isError":false}}"#, "isError", "result", Some("1")),
    ];
    for (text, name, where_, id) in twice {
        let refusal = refused(text);
        match refusal.reason() {
            Reason::DuplicateKey { key, place, .. } => {
                assert_eq!((&**key, *place), (name, where_), "{text}");
            }
            other => panic!("{text}: {other}"),
        }
        assert_eq!(refusal.id(), id, "{text}");
    }
    accepted(r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"arguments":{"k":1,"k":2}}}"#);
}

#[test]
fn every_refusal_has_its_kind_its_id_and_one_sentence() {
    let refusals = [
        ("[]", ErrorKind::BatchRefused, None),
        (r#" [{"jsonrpc":"2.0","method":"ping","id":1}]"#, ErrorKind::BatchRefused, None),
        ("", ErrorKind::ParseError, None),
        ("null", ErrorKind::InvalidRequest, None),
        ("{}", ErrorKind::InvalidRequest, None),
        (r#"{"id":7,"method":"ping"}"#, ErrorKind::InvalidRequest, Some("7")),
        (r#"{"jsonrpc":2.0,"method":"ping","id":7}"#, ErrorKind::InvalidRequest, Some("7")),
        (r#"{"jsonrpc":"1.0","method":"ping","id":7}"#, ErrorKind::InvalidRequest, Some("7")),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, ErrorKind::InvalidRequest, None),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, ErrorKind::InvalidRequest, None),
        (r#"{"jsonrpc":"2.0","id":1e0,"method":"ping"}"#, ErrorKind::InvalidRequest, None),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, ErrorKind::InvalidRequest, None),
        (r#"{"jsonrpc":"2.0","id":7}"#, ErrorKind::InvalidRequest, Some("7")),
        (r#"{"jsonrpc":"2.0","id":7,"method":5}"#, ErrorKind::InvalidRequest, Some("7")),
        (r#"{"jsonrpc":"2.0","method":"a","params":[],"id":7}"#, ErrorKind::InvalidRequest, Some("7")),
        (r#"{"jsonrpc":"2.0","method":"a","params":"b","id":7}"#, ErrorKind::InvalidRequest, Some("7")),
        (r#"{"jsonrpc":"2.0","id":7,"result":1,"error":{}}"#, ErrorKind::InvalidRequest, Some("7")),
        (r#"{"jsonrpc":"2.0","id":7,"method":"a","result":1}"#, ErrorKind::InvalidRequest, Some("7")),
        (r#"{"jsonrpc":"2.0","id":7,"method":"a","error":{}}"#, ErrorKind::InvalidRequest, Some("7")),
        (r#"{"jsonrpc":"2.0","id":7,"error":"no"}"#, ErrorKind::InvalidRequest, Some("7")),
        (r#"{"jsonrpc":"2.0","result":1}"#, ErrorKind::InvalidRequest, None),
        (r#"{"jsonrpc":"2.0","id":null,"result":1}"#, ErrorKind::InvalidRequest, None),
        (r#"{"jsonrpc":"2.0","id":7,"method":"a"}x"#, ErrorKind::ParseError, Some("7")),
        (r#"{"jsonrpc":"2.0","id":7,"method":"\ud800"}"#, ErrorKind::ParseError, Some("7")),
        (r#"{"jsonrpc":"2.0","method":"a",}"#, ErrorKind::ParseError, None),
    ];
    for (text, kind, id) in refusals {
        let refusal = refused(text);
        assert_eq!((refusal.kind(), refusal.id()), (kind, id), "{text}: {refusal}");
        let sentence = refusal.to_string();
        assert!(
            sentence.starts_with(char::is_lowercase) && sentence.contains(": ") && !sentence.ends_with('.'),
            "{sentence}"
        );
    }
}

#[test]
fn limits_hold_to_the_byte_and_to_the_level() {
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"a":[1]}}"#;
    let limits = Limits { depth: 3, size: text.len() };
    assert!(Envelope::read(text.into(), limits).is_ok());
    let small = Envelope::read(text.into(), Limits { size: text.len() - 1, ..limits }).expect_err("one byte too long");
    assert_eq!((small.kind(), small.id()), (ErrorKind::TooLarge, None));
    let flat = Envelope::read(text.into(), Limits { depth: 2, ..limits }).expect_err("one level too deep");
    assert_eq!((flat.kind(), flat.id()), (ErrorKind::InvalidRequest, Some("1")));
}

#[test]
fn text_that_is_not_utf8_is_refused_with_its_place() {
    let refusal = refused(&b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}"[..]);
    assert_eq!(refusal.reason(), &Reason::NotUtf8 { offset: 34 });
}

#[test]
fn debug_output_holds_nothing_of_the_content() {
    let shown = format!("{:?}", accepted(r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"name":"secret"}}"#));
    assert!(shown.contains("Request") && !shown.contains("secret"), "{shown}");
}
