//! What is no secret stays.

use serde_json::json;

use super::{cleaned, redactor};

fn innocents() -> impl Iterator<Item = &'static str> {
    include_str!("innocent.txt").lines().filter(|line| !line.starts_with('#'))
}

#[test]
fn innocent_text_stays() {
    let redactor = redactor();
    for text in innocents() {
        assert_eq!(redactor.text(text), text);
        let body = json!({"result": {"content": [{"type": "text", "text": text}], "note": text}}).to_string();
        assert_eq!(cleaned(&redactor, &body), body);
        assert_eq!(redactor.header("Mcp-Note", text).as_deref(), Some(text));
    }
}

#[test]
fn the_protocols_own_members_stay() {
    let redactor = redactor();
    for body in [
        r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"get_token","_meta":{"progressToken":"t-1"}}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"abc","progress":1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"nextCursor":"c","requestState":"s","task":{"taskId":"t"}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"page-2"}}"#,
    ] {
        assert_eq!(cleaned(&redactor, body), body);
    }
}

#[test]
fn numbers_under_token_names_stay_and_numbers_under_password_names_go() {
    let redactor = redactor();
    let body = r#"{"token":5,"secret_version":3,"max_tokens":4096,"token_limit":"9","tokens":[1,2,3]}"#;
    assert_eq!(cleaned(&redactor, body), body);
    let body = r#"{"password": 123456, "passwords": {"min": 8}}"#;
    let tag = redactor.tag("secret", "123456");
    assert_eq!(cleaned(&redactor, body), format!(r#"{{"password": "{tag}", "passwords": {{"min": 8}}}}"#));
}

#[test]
fn a_schema_stays_a_schema_although_it_names_secrets() {
    let redactor = redactor();
    let schema = r##"{"tools":[{"name":"login","inputSchema":{"type":"object","required":["password"],"properties":{
        "password":{"type":"string","minLength":8,"description":"The password"},"token":{"$ref":"#/$defs/t"}}}}]}"##;
    assert_eq!(cleaned(&redactor, schema), schema);
    let default = r#"{"inputSchema":{"properties":{"password":{"type":"string","default":"hunter2"}}}}"#;
    assert!(!cleaned(&redactor, default).contains("hunter2"));
    let direct = r#"{"inputSchema":{"password":"hunter2"}}"#;
    assert!(!cleaned(&redactor, direct).contains("hunter2"));
}
