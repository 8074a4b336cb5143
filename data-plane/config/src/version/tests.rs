use super::*;

fn route(name: &str, path: &str) -> raw::Route {
    raw::Route {
        name: name.to_owned(),
        r#match: Some(raw::route::Match { path: path.to_owned(), ..Default::default() }),
        targets: vec![raw::route::Target { upstream: "u".to_owned(), ..Default::default() }],
        ..Default::default()
    }
}

fn routes(names: &[&str]) -> raw::Config {
    raw::Config { routes: names.iter().map(|name| route(name, "/mcp")).collect(), ..Default::default() }
}

/// The changes, one line each.
fn told(before: &raw::Config, after: &raw::Config) -> Vec<String> {
    let field = |field: &FieldChange| format!(" {}: {:?} -> {:?}", field.path, field.before, field.after);
    let line = |change: &Change| {
        let key = format!("{}/{}", change.key.kind, change.key.name);
        match &change.verb {
            Verb::Changed(fields) => format!("~ {key}{}", fields.iter().map(field).collect::<String>()),
            Verb::Added => format!("+ {key}"),
            Verb::Removed => format!("- {key}"),
            Verb::Moved => format!("> {key}"),
        }
    };
    diff(before, after).iter().map(line).collect()
}

#[test]
fn a_digest_is_the_sha_256_of_the_bytes_and_is_read_as_it_is_printed() {
    let empty = digest(&canonical(&raw::Config::default()));
    assert_eq!(empty.to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(empty.to_string().parse(), Ok(empty));
    assert_eq!(Digest::from_slice(empty.as_bytes()), Some(empty));
    assert_eq!(Digest::from_slice(b"short"), None);
    for text in ["", "e3b0", &"+1".repeat(32), &"é".repeat(32)] {
        assert_eq!(text.parse::<Digest>(), Err(InvalidDigest), "{text:?}");
    }
}

#[test]
fn a_resource_keeps_its_digest_while_others_change() {
    let before = routes(&["a", "b"]);
    let mut after = before.clone();
    after.routes[1].policies.push("p".to_owned());
    let (before, after) = (resource_digests(&before), resource_digests(&after));
    let key = |name: &str| ResourceKey { kind: "routes", name: name.to_owned() };
    assert_eq!(before[&key("a")], after[&key("a")]);
    assert_ne!(before[&key("b")], after[&key("b")]);
    assert_eq!(before.len(), 2);
}

#[test]
fn changes_are_told_by_resource_and_field() {
    let mut before = routes(&["a", "b"]);
    before.routes[0].timeouts = Some(raw::route::Timeouts { request: Some("30s".to_owned()), idle: None });
    let mut after = routes(&["a", "c"]);
    after.routes[0] = route("a", "/other");
    after.routes[0].policies = vec!["p".to_owned()];
    after.upstreams.push(raw::Upstream { name: "u".to_owned(), ..Default::default() });
    assert_eq!(
        told(&before, &after),
        [
            r#"~ routes/a match.path: "\"/mcp\"" -> "\"/other\"" policies: "" -> "[\"p\"]" timeouts: "{\"request\":\"30s\"}" -> """#,
            "+ routes/c",
            "- routes/b",
            "+ upstreams/u",
        ]
    );
    assert_eq!(told(&before, &before), Vec::<String>::new());
}

#[test]
fn an_item_more_in_the_middle_of_a_list_is_one_change() {
    let with = |names: &[&str]| {
        let mut config = routes(&["a"]);
        config.routes[0].policies = names.iter().map(|name| (*name).to_owned()).collect();
        config
    };
    assert_eq!(told(&with(&["a", "b"]), &with(&["a", "x", "b"])), [r#"~ routes/a policies[1]: "" -> "\"x\"""#]);
    assert_eq!(told(&with(&["a", "a"]), &with(&["a"])), [r#"~ routes/a policies[1]: "\"a\"" -> """#]);
    assert_eq!(
        told(&with(&["a", "b"]), &with(&["b", "a"])),
        [r#"~ routes/a policies[0]: "\"a\"" -> "\"b\"" policies[1]: "\"b\"" -> "\"a\"""#]
    );
}

#[test]
fn the_fewest_routes_that_were_moved_are_told() {
    assert_eq!(told(&routes(&["a", "b", "c", "d"]), &routes(&["d", "a", "b", "c"])), ["> routes/d"]);
    assert_eq!(told(&routes(&["a", "b", "c"]), &routes(&["c", "x", "b", "a"])).len(), 3);
    assert_eq!(told(&routes(&["a", "b", "c"]), &routes(&["a", "c"])), ["- routes/b"]);
}

#[test]
fn the_order_of_other_kinds_is_no_change() {
    let upstream = |name: &str| raw::Upstream { name: name.to_owned(), ..Default::default() };
    let before = raw::Config { upstreams: vec![upstream("a"), upstream("b")], ..Default::default() };
    let after = raw::Config { upstreams: vec![upstream("b"), upstream("a")], ..Default::default() };
    assert_eq!(told(&before, &after), Vec::<String>::new());
}
