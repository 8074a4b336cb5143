use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Envelope, Kind, Limits};
use crate::json::tests::{any_json, any_mutations, mutate};
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

/// Checks what the envelope tells against the tree that `serde_json` makes of the same bytes.
fn agrees(envelope: &Envelope, tree: &Value) {
    let text = |pointer: &str| tree.pointer(pointer).and_then(Value::as_str);
    let id = |pointer: &str| {
        tree.pointer(pointer)
            .filter(|id| id.is_string() || id.is_i64() || id.is_u64())
    };
    let same = |ours: Option<Id<'_>>, theirs: Option<&Value>| {
        let ours: Option<Value> =
            ours.map(|id| serde_json::from_str(id.as_json()).expect("an id is JSON"));
        assert_eq!(ours.as_ref(), theirs);
    };
    let method = text("/method");
    assert_eq!(envelope.method(), method);
    assert_eq!(envelope.name(), text("/params/name"));
    assert_eq!(envelope.uri(), text("/params/uri"));
    assert_eq!(envelope.task_id(), text("/params/taskId"));
    let place = if method.is_some() {
        "/params"
    } else {
        "/result"
    };
    assert_eq!(
        envelope.protocol_version(),
        text(&format!("{place}/protocolVersion"))
    );
    let capabilities = envelope
        .capabilities()
        .map(|text| serde_json::from_str::<Value>(text).expect("a part is JSON"));
    assert_eq!(
        capabilities.as_ref(),
        tree.pointer(&format!("{place}/capabilities"))
    );
    assert_eq!(
        envelope.meta_protocol_version(),
        text("/params/_meta/io.modelcontextprotocol~1protocolVersion")
    );
    assert_eq!(
        envelope.is_error_result(),
        tree.pointer("/result/isError") == Some(&Value::Bool(true))
    );
    let is = |wanted: &str| method == Some(wanted);
    let token = if is("notifications/progress") {
        "/params/progressToken"
    } else {
        "/params/_meta/progressToken"
    };
    same(envelope.progress_token(), id(token));
    same(
        envelope.cancelled_request(),
        id("/params/requestId").filter(|_| is("notifications/cancelled")),
    );
    same(envelope.id(), id("/id"));
}

/// A message that is mostly right, with members that are mostly of the right type, in any order.
fn any_message() -> impl Strategy<Value = Value> {
    let text = || prop_oneof![4 => any::<String>().prop_map(Value::from), 1 => any_json()];
    let id = || prop_oneof![2 => any::<i64>().prop_map(Value::from), 2 => any::<String>().prop_map(Value::from), 1 => any_json()];
    let method = prop::sample::select(vec![
        "tools/call",
        "initialize",
        "notifications/progress",
        "notifications/cancelled",
        "é\n",
    ]);
    let meta = (text(), id(), any_json()).prop_map(|(version, token, rest)| {
        json!({"progressToken": token, "io.modelcontextprotocol/protocolVersion": version, "rest": rest})
    });
    let params = (
        text(),
        id(),
        id(),
        prop_oneof![4 => meta, 1 => any_json()],
        any_json(),
        any::<u8>(),
    )
        .prop_map(|(text, request, token, meta, rest, which)| {
            let all = [
                ("name", text.clone()),
                ("uri", text.clone()),
                ("taskId", text.clone()),
                ("protocolVersion", text),
                ("requestId", request),
                ("progressToken", token),
                ("_meta", meta),
                ("capabilities", rest),
            ];
            let kept = all
                .into_iter()
                .enumerate()
                .filter(|(bit, _)| which >> bit & 1 == 1);
            kept.map(|(_, (name, value))| (name.to_owned(), value))
                .collect::<serde_json::Map<_, _>>()
        });
    let result = (text(), any::<bool>(), any_json())
        .prop_map(|(version, failed, rest)| json!({"protocolVersion": version, "isError": failed, "capabilities": rest}));
    prop_oneof![
        3 => (method, id(), params, any::<bool>()).prop_map(|(method, id, params, request)| {
            let mut message = json!({"jsonrpc": "2.0", "method": method, "params": params});
            if request {
                message["id"] = id;
            }
            message
        }),
        1 => (id(), result).prop_map(|(id, result)| json!({"jsonrpc": "2.0", "id": id, "result": result})),
        1 => (id(), any_json()).prop_map(|(id, data)| {
            json!({"jsonrpc": "2.0", "id": id, "error": {"code": -1, "message": "no", "data": data}})
        }),
    ]
}

proptest! {
    #[test]
    fn an_envelope_says_what_a_tree_says(message in any_message(), pretty: bool) {
        let write = if pretty { serde_json::to_string_pretty } else { serde_json::to_string };
        let text = write(&message).expect("a value is always JSON");
        match read(text.clone()) {
            Ok(envelope) => {
                // Not `message` itself: a float may change its last digit between text and tree.
                let tree = serde_json::from_str(&text).expect("a value is always JSON");
                agrees(&envelope, &tree);
                prop_assert_eq!(envelope.into_body(), text);
            }
            Err(refusal) => {
                let is_bad_id = matches!(refusal.reason(), Reason::BadId { .. });
                prop_assert!(is_bad_id && !message["id"].is_i64() && !message["id"].is_string(), "{}: {}", refusal, text);
            }
        }
    }

    #[test]
    fn a_damaged_message_is_refused_or_says_what_a_tree_says(message in any_message(), mutations in any_mutations()) {
        let text = mutate(&message.to_string(), &mutations);
        // Numbers beyond a float and halves of surrogate pairs are JSON that has no tree.
        if let (Ok(envelope), Ok(tree)) = (read(text.clone()), serde_json::from_str(&text)) {
            agrees(&envelope, &tree);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        _ = read(bytes);
    }

    #[test]
    fn another_id_changes_the_id_and_nothing_else(message in any_message(), id in prop_oneof![r#""[a-z]{0,9}""#, "[1-9][0-9]{0,9}"]) {
        let text = message.to_string();
        let Ok(envelope) = read(text.clone()) else { return Ok(()) };
        for (spliced, old, new) in [
            (envelope.with_id(&id), envelope.id(), Envelope::id as fn(&Envelope) -> Option<Id<'_>>),
            (envelope.with_progress_token(&id), envelope.progress_token(), Envelope::progress_token),
            (envelope.with_cancelled_request(&id), envelope.cancelled_request(), Envelope::cancelled_request),
        ] {
            let Some(old) = old else {
                prop_assert_eq!(&spliced, envelope.body());
                continue;
            };
            let spliced = read(spliced).expect("a spliced message is a message");
            prop_assert_eq!(new(&spliced).map(Id::as_json), Some(id.as_str()));
            prop_assert_eq!(spliced.body().len() + old.as_json().len(), text.len() + id.len());
        }
        if let Some(old) = envelope.id() {
            let there = read(envelope.with_id(&id)).expect("a spliced message is a message");
            prop_assert_eq!(there.with_id(old.as_json()), text);
        }
    }
}

#[test]
fn each_kind_is_told_by_its_members_in_any_order() {
    let kinds = [
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, Kind::Request),
        (
            r#" { "params" : null , "method" : "ping" , "id" : "" , "jsonrpc" : "2.0" } "#,
            Kind::Request,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            Kind::Notification,
        ),
        (r#"{"result":null,"id":1,"jsonrpc":"2.0"}"#, Kind::Response),
        (
            r#"{"jsonrpc":"2.0","id":1,"error":{}}"#,
            Kind::ErrorResponse,
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"error":{}}"#,
            Kind::ErrorResponse,
        ),
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
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"a","meth\u006fd":"b"}"#,
            "method",
            "the message",
            Some("1"),
        ),
        (
            r#"{"jsonrpc":"2.0","method":"a","x":1,"x":1,"id":"late"}"#,
            "x",
            "the message",
            Some(r#""late""#),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"a","id":2}"#,
            "id",
            "the message",
            None,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"name":"a","\u006eame":"b"}}"#,
            "name",
            "params",
            Some("1"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":{"k":1,"k":1}}}"#,
            "k",
            "params._meta",
            Some("1"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{"isError":true,"isError":false}}"#,
            "isError",
            "result",
            Some("1"),
        ),
    ];
    for (text, name, where_, id) in twice {
        let refusal = refused(text);
        match refusal.reason() {
            Reason::DuplicateKey { key, place, .. } => {
                assert_eq!((&**key, *place), (name, where_), "{text}")
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
        (
            r#" [{"jsonrpc":"2.0","method":"ping","id":1}]"#,
            ErrorKind::BatchRefused,
            None,
        ),
        ("", ErrorKind::ParseError, None),
        ("null", ErrorKind::InvalidRequest, None),
        ("{}", ErrorKind::InvalidRequest, None),
        (
            r#"{"id":7,"method":"ping"}"#,
            ErrorKind::InvalidRequest,
            Some("7"),
        ),
        (
            r#"{"jsonrpc":2.0,"method":"ping","id":7}"#,
            ErrorKind::InvalidRequest,
            Some("7"),
        ),
        (
            r#"{"jsonrpc":"1.0","method":"ping","id":7}"#,
            ErrorKind::InvalidRequest,
            Some("7"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            ErrorKind::InvalidRequest,
            None,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
            ErrorKind::InvalidRequest,
            None,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1e0,"method":"ping"}"#,
            ErrorKind::InvalidRequest,
            None,
        ),
        (
            r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
            ErrorKind::InvalidRequest,
            None,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7}"#,
            ErrorKind::InvalidRequest,
            Some("7"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":5}"#,
            ErrorKind::InvalidRequest,
            Some("7"),
        ),
        (
            r#"{"jsonrpc":"2.0","method":"a","params":[],"id":7}"#,
            ErrorKind::InvalidRequest,
            Some("7"),
        ),
        (
            r#"{"jsonrpc":"2.0","method":"a","params":"b","id":7}"#,
            ErrorKind::InvalidRequest,
            Some("7"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"result":1,"error":{}}"#,
            ErrorKind::InvalidRequest,
            Some("7"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"a","result":1}"#,
            ErrorKind::InvalidRequest,
            Some("7"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"a","error":{}}"#,
            ErrorKind::InvalidRequest,
            Some("7"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"error":"no"}"#,
            ErrorKind::InvalidRequest,
            Some("7"),
        ),
        (
            r#"{"jsonrpc":"2.0","result":1}"#,
            ErrorKind::InvalidRequest,
            None,
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"result":1}"#,
            ErrorKind::InvalidRequest,
            None,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"a"}x"#,
            ErrorKind::ParseError,
            Some("7"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"\ud800"}"#,
            ErrorKind::ParseError,
            Some("7"),
        ),
        (
            r#"{"jsonrpc":"2.0","method":"a",}"#,
            ErrorKind::ParseError,
            None,
        ),
    ];
    for (text, kind, id) in refusals {
        let refusal = refused(text);
        assert_eq!(
            (refusal.kind(), refusal.id()),
            (kind, id),
            "{text}: {refusal}"
        );
        let sentence = refusal.to_string();
        assert!(
            sentence.starts_with(char::is_uppercase)
                && sentence.contains(": ")
                && !sentence.ends_with('.'),
            "{sentence}"
        );
    }
}

#[test]
fn limits_hold_to_the_byte_and_to_the_level() {
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"a":[1]}}"#;
    let limits = Limits {
        depth: 3,
        size: text.len(),
    };
    assert!(Envelope::read(text.into(), limits).is_ok());
    let small = Envelope::read(
        text.into(),
        Limits {
            size: text.len() - 1,
            ..limits
        },
    )
    .expect_err("one byte too long");
    assert_eq!((small.kind(), small.id()), (ErrorKind::TooLarge, None));
    let flat =
        Envelope::read(text.into(), Limits { depth: 2, ..limits }).expect_err("one level too deep");
    assert_eq!(
        (flat.kind(), flat.id()),
        (ErrorKind::InvalidRequest, Some("1"))
    );
}

#[test]
fn text_that_is_not_utf8_is_refused_with_its_place() {
    let refusal = refused(&b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}"[..]);
    assert_eq!(refusal.reason(), &Reason::NotUtf8 { offset: 34 });
}

#[test]
fn debug_output_holds_nothing_of_the_content() {
    let shown = format!(
        "{:?}",
        accepted(r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"name":"secret"}}"#)
    );
    assert!(
        shown.contains("Request") && !shown.contains("secret"),
        "{shown}"
    );
}
