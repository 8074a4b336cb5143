//! Conversations that never change: one of each kind of record, and one of an enemy.

use shadowcat_proto::admin::v1 as admin;

use crate::recorded::{HOSTILE, answer, event, frame, message, recorded};

fn call(frame: admin::Frame, name: &str) -> admin::Frame {
    admin::Frame { name: name.to_owned(), ..frame }
}

/// A message as members of its record, linked as a recorder links it: an answer names the `seq` of its request.
fn body(json: &str) -> String {
    let requests = [("0", 2), ("1", 5), ("2", 6), ("\"q\"", 8)];
    let said: serde_json::Value = serde_json::from_str(json).expect("JSON");
    let Some(id) = said.get("id").map(ToString::to_string) else { return format!(",\"body\":{json}") };
    let request = requests.iter().find(|(named, _)| *named == id).expect("asked").1;
    let re = if said.get("method").is_none() { format!(",\"re\":{request}") } else { String::new() };
    format!(",\"id\":{id}{re},\"body\":{json}")
}

/// A session with most of what can happen in one.
pub(crate) fn conversation() -> Vec<admin::TapeRecord> {
    [beginning(), calls(), rest()].concat()
}

fn beginning() -> Vec<admin::TapeRecord> {
    vec![
        event(
            1,
            "head",
            r#","head":{"format":[1,0],"instance":"3f","segment":1,"node":"edge-1","created_by":"shadowcat 0.1.0","clock":1,"redaction_key":"00000000"}"#,
        ),
        recorded(
            message(2, "c2s", "initialize", 2),
            &body(
                r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"inspector","version":"0.17.2"}}}"#,
            ),
        ),
        recorded(
            answer(message(3, "s2c", "initialize", 2), "ok", 1200),
            &body(
                r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"everything","version":"1.0"}}}"#,
            ),
        ),
        recorded(
            message(4, "c2s", "notifications/initialized", 4),
            &body(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
        ),
    ]
}

/// A call in which the server asks its client, and another that ends before it.
fn calls() -> Vec<admin::TapeRecord> {
    vec![
        recorded(
            call(message(5, "c2s", "tools/call", 5), "search"),
            &format!(
                r#","red":[{{"ptr":"/params/arguments/key","rule":"key","tag":"⟦r:key:0badcafe⟧","len":40}}]{}"#,
                body(
                    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","arguments":{"query":"refund","limit":1.0,"key":"⟦r:key:0badcafe⟧"}}}"#
                )
            ),
        ),
        recorded(
            call(message(6, "c2s", "resources/read", 6), "file:///etc/motd"),
            &body(r#"{"jsonrpc":"2.0","id":2,"method":"resources/read","params":{"uri":"file:///etc/motd"}}"#),
        ),
        recorded(
            message(7, "s2c", "notifications/progress", 5),
            &body(
                r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1,"total":3,"message":"reading"}}"#,
            ),
        ),
        recorded(
            message(8, "s2c", "elicitation/create", 5),
            &body(
                r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"Which year?","requestedSchema":{"type":"object"}}}"#,
            ),
        ),
        recorded(
            answer(message(9, "c2s", "elicitation/create", 5), "ok", 880_000),
            &body(r#"{"jsonrpc":"2.0","id":"q","result":{"action":"accept","content":{"year":2026}}}"#),
        ),
        recorded(
            answer(call(message(10, "s2c", "resources/read", 6), "file:///etc/motd"), "rpc_error", 900),
            &body(
                r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32002,"message":"Resource not found","data":{"uri":"file:///etc/motd"}}}"#,
            ),
        ),
        recorded(
            answer(call(message(11, "s2c", "tools/call", 5), "search"), "tool_error", 1_500_000),
            &body(
                r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"2 found, 1 denied:\n- a.txt\n- b.txt"},{"type":"image","data":"aGVsbG8=","mimeType":"image/png"}],"isError":true}}"#,
            ),
        ),
    ]
}

fn rest() -> Vec<admin::TapeRecord> {
    vec![
        event(12, "stderr", r#","text":"warning: slow disk""#),
        event(13, "gap", r#","gap":{"why":"queue_full","frames":12}"#),
        recorded(
            call(message(14, "c2s", "tools/call", 14), "upload"),
            r#","id":9,"blob":{"hash":"00ff","bytes":1048576}"#,
        ),
        recorded(
            answer(admin::Frame { kind: "life".to_owned(), ..message(15, "local", "tools/call", 14) }, "cancelled", 0),
            r#","life":"call_abandoned","out":"cancelled","text":"the client left""#,
        ),
        recorded(
            admin::Frame { kind: "http".to_owned(), ..frame(16, 4_000_000) },
            r#","http":{"method":"DELETE","path":"/mcp","status":204}"#,
        ),
        event(17, "end", ""),
    ]
}

/// Records that try what recorded text can try.
pub(crate) fn hostile() -> Vec<admin::TapeRecord> {
    let text = serde_json::to_string(HOSTILE).expect("JSON");
    let huge = "x".repeat(1 << 20);
    let call = admin::Frame { name: HOSTILE.to_owned(), ..message(2, "c2s", "tools/call", 2) };
    let result = format!(
        r#","body":{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"text","text":{text}}},{{"type":"text","text":"{huge}"}},{{"type":{text},"uri":{text},"mimeType":{text}}}],"isError":true}}}}"#
    );
    let ended = answer(message(3, "s2c", "tools/call", 2), HOSTILE, 1);
    let control = '\u{9b}';
    let error = format!(r#","body":{{"error":{{"code":1,"message":{text},"data":[{text},"{control}"]}}}}"#);
    let mut broken = event(5, "stderr", "");
    broken.line = HOSTILE.as_bytes().to_vec();
    let mut bytes = event(6, "stderr", "");
    bytes.line = vec![0xff, 0x1b, 0x9b];
    vec![
        recorded(call, &format!(r#","body":{{"params":{{"name":{text},"arguments":{{{text}:"{huge}"}}}}}}"#)),
        recorded(ended, &result),
        recorded(answer(message(4, "s2c", "tools/list", 4), HOSTILE, 1), &error),
        broken,
        bytes,
        event(7, "stderr", &format!(r#","text":{text}"#)),
        event(8, "gap", &format!(r#","gap":{{"why":{text},"instance":{text}}}"#)),
        event(9, "life", &format!(r#","life":{text},"text":{text}"#)),
        event(10, "http", &format!(r#","http":{{"method":{text},"path":{text}}}"#)),
        event(11, HOSTILE.lines().next().unwrap_or_default(), ""),
        recorded(message(12, "s2c", "tools/list", 4), r#","b64":"%%%""#),
        recorded(message(13, "s2c", "tools/list", 4), r#","b64":"W3sibm90IjoianNvbiJ9XQ==""#),
    ]
}
