//! The envelope against a tree of the same bytes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::read;
use crate::json::tests::{any_json, any_mutations, mutate};
use crate::{Envelope, Id, Reason};

/// Checks what the envelope tells against the tree that `serde_json` makes of the same bytes.
fn agrees(envelope: &Envelope, tree: &Value) {
    let text = |pointer: &str| tree.pointer(pointer).and_then(Value::as_str);
    let id = |pointer: &str| tree.pointer(pointer).filter(|id| id.is_string() || id.is_i64() || id.is_u64());
    let same = |ours: Option<Id<'_>>, theirs: Option<&Value>| {
        let ours: Option<Value> = ours.map(|id| serde_json::from_str(id.as_json()).expect("an id is JSON"));
        assert_eq!(ours.as_ref(), theirs);
    };
    let method = text("/method");
    assert_eq!(envelope.method(), method);
    assert_eq!(envelope.name(), text("/params/name"));
    assert_eq!(envelope.uri(), text("/params/uri"));
    assert_eq!(envelope.task_id(), text("/params/taskId"));
    let place = if method.is_some() { "/params" } else { "/result" };
    assert_eq!(envelope.protocol_version(), text(&format!("{place}/protocolVersion")));
    let capabilities = envelope.capabilities().map(|text| serde_json::from_str::<Value>(text).expect("a part is JSON"));
    assert_eq!(capabilities.as_ref(), tree.pointer(&format!("{place}/capabilities")));
    assert_eq!(envelope.meta_protocol_version(), text("/params/_meta/io.modelcontextprotocol~1protocolVersion"));
    assert_eq!(envelope.is_error_result(), tree.pointer("/result/isError") == Some(&Value::Bool(true)));
    let is = |wanted: &str| method == Some(wanted);
    let token = if is("notifications/progress") { "/params/progressToken" } else { "/params/_meta/progressToken" };
    same(envelope.progress_token(), id(token));
    same(envelope.cancelled_request(), id("/params/requestId").filter(|_| is("notifications/cancelled")));
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
    let params = (text(), id(), id(), prop_oneof![4 => meta, 1 => any_json()], any_json(), any::<u8>()).prop_map(
        |(text, request, token, meta, rest, which)| {
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
            let kept = all.into_iter().enumerate().filter(|(bit, _)| which >> bit & 1 == 1);
            kept.map(|(_, (name, value))| (name.to_owned(), value)).collect::<serde_json::Map<_, _>>()
        },
    );
    let result = (text(), any::<bool>(), any_json()).prop_map(
        |(version, failed, rest)| json!({"protocolVersion": version, "isError": failed, "capabilities": rest}),
    );
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
