//! What holds of every configuration and of every text: properties, with inputs made at random.

use proptest::prelude::*;
use proptest::{collection::vec, option, sample};
use serde_json::Value;
use shadowcat_proto::config::v1 as raw;

use crate::{Diagnostics, FieldPath, LocalConfig, Step, parse_local_in};

fn parse(text: &str) -> Result<LocalConfig, Diagnostics> {
    parse_local_in(text, "random", &|name| (name == "SET").then(|| "x: [\"".to_owned()))
}

// Valid raw messages.

fn duration() -> impl Strategy<Value = Option<String>> {
    option::of((1u32..=60, sample::select(vec!["s", "m"])).prop_map(|(count, unit)| match unit {
        "m" if count > 1 => "1m".to_owned(),
        _ => format!("{count}{unit}"),
    }))
}

/// Everything that goes through YAML unharmed must arrive unharmed, what YAML and variables could mistake for their own
/// included.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[^\\x00]{0,12}",
        sample::select(vec![
            "null", "~", "true", "0x1F", "1e3", "- a", "a: b", "#", "${SET}", "$${", "}", "'", "\"", "\\n", " x ",
            "\u{feff}", "\r\n", "*a", "<<"
        ])
        .prop_map(str::to_owned),
    ]
    .prop_filter("YAML or the mask refuses such characters", |text| !text.chars().any(is_refused))
}

/// What YAML demands to be escaped (YAML 1.2, 5.1, but JSON does not), and what stands for masked characters.
fn is_refused(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' | '\u{100000}'..='\u{10007f}')
}

fn header_value() -> impl Strategy<Value = String> {
    "[!-~]([ -~]{0,20}[!-~])?"
}

fn route(index: usize) -> impl Strategy<Value = raw::Route> {
    let matches =
        (option::of("[a-z]{1,8}(\\.[a-z]{1,8}){0,2}"), vec(header_value(), 0..3)).prop_map(move |(host, values)| {
            raw::route::Match {
                path: format!("/mcp/{index}"),
                host,
                headers: values
                    .into_iter()
                    .enumerate()
                    .map(|(header, value)| raw::route::r#match::Header { name: format!("x-{header}"), value })
                    .collect(),
            }
        });
    let sessions = (option::of(0..=1i32), duration(), option::of(1..=1_000_000u32))
        .prop_map(|(mode, idle_timeout, max)| raw::route::Sessions { mode, idle_timeout, max });
    let cors = vec("[a-z]{1,5}", 1..3).prop_map(|hosts| raw::route::Cors {
        allow_origins: hosts
            .into_iter()
            .enumerate()
            .map(|(port, host)| format!("https://{host}:{}", port + 1))
            .collect(),
    });
    let timeouts = (duration(), duration()).prop_map(|(request, idle)| raw::route::Timeouts { request, idle });
    (matches, option::of(sessions), option::of(cors), option::of(timeouts)).prop_map(
        move |(matches, sessions, cors, timeouts)| raw::Route {
            name: format!("route-{index}"),
            r#match: Some(matches),
            targets: vec![raw::route::Target { upstream: format!("upstream-{index}"), ..Default::default() }],
            sessions,
            cors,
            timeouts,
            ..Default::default()
        },
    )
}

/// A value in its place, or a reference to a secret.
fn source(value: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = (Option<String>, Option<String>)> {
    prop_oneof![
        value.prop_map(|value| (Some(value), None)),
        "(env:[A-Z_][A-Z0-9_]{0,5}|file:[a-z/. ]{1,9})".prop_map(|reference| (None, Some(reference))),
    ]
}

fn http() -> impl Strategy<Value = raw::upstream::Http> {
    use raw::upstream::http::{Connections, Endpoint, Header, Timeouts};
    let connections =
        (option::of(1..=65_535u32), duration()).prop_map(|(max, idle_timeout)| Connections { max, idle_timeout });
    let timeouts = (duration(), duration(), duration()).prop_map(|(connect, first_byte, idle)| Timeouts {
        connect,
        first_byte,
        idle,
    });
    (
        "https?://[a-z]{1,9}(:80)?(/[a-z]{0,5}(\\?q=[a-z])?)?",
        vec(source(header_value()), 0..3),
        option::of(connections),
        option::of(timeouts),
    )
        .prop_map(|(url, values, connections, timeouts)| raw::upstream::Http {
            endpoints: vec![Endpoint { url, weight: None }],
            headers: values
                .into_iter()
                .enumerate()
                .map(|(index, (value, secret))| Header { name: format!("x-{index}"), value, secret })
                .collect(),
            connections,
            timeouts,
        })
}

fn stdio() -> impl Strategy<Value = raw::upstream::Stdio> {
    use raw::upstream::stdio::EnvVar;
    (vec(text(), 0..4), vec(source(text()), 0..3), option::of(0..=1i32), duration()).prop_map(
        |(arguments, values, sharing, stop_when_idle_for)| raw::upstream::Stdio {
            command: std::iter::once("program".to_owned()).chain(arguments).collect(),
            env: values
                .into_iter()
                .enumerate()
                .map(|(index, (value, secret))| EnvVar { name: format!("V{index}"), value, secret })
                .collect(),
            sharing,
            stop_when_idle_for,
            memory_limit: None,
        },
    )
}

fn upstream(index: usize) -> impl Strategy<Value = raw::Upstream> {
    let transport =
        prop_oneof![http().prop_map(|http| (Some(http), None)), stdio().prop_map(|stdio| (None, Some(stdio)))];
    transport.prop_map(move |(http, stdio)| raw::Upstream {
        name: format!("upstream-{index}"),
        http,
        stdio,
        ..Default::default()
    })
}

fn local() -> impl Strategy<Value = raw::LocalConfig> {
    let node = option::of(option::of(sample::select(vec!["127.0.0.1:0", "[::1]:8080"])))
        .prop_map(|bind| bind.map(|bind| raw::Node { bind: bind.map(str::to_owned), ..Default::default() }));
    (node, 1usize..4).prop_flat_map(|(node, count)| {
        let routes: Vec<_> = (0..count).map(route).collect();
        let upstreams: Vec<_> = (0..count).map(upstream).collect();
        (Just(node), routes, upstreams).prop_map(|(node, routes, upstreams)| raw::LocalConfig {
            node,
            routes,
            upstreams,
            ..Default::default()
        })
    })
}

// Ways to write them down.

/// The JSON mapping, with what would be read as a variable escaped.
fn document(raw: &raw::LocalConfig) -> Value {
    let mut document = serde_json::to_value(raw).expect("raw messages are written as JSON");
    escape(&mut document);
    document
}

fn escape(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace("${", "$${"),
        Value::Array(items) => items.iter_mut().for_each(escape),
        Value::Object(fields) => fields.values_mut().for_each(escape),
        _ => {}
    }
}

/// Block-style YAML; scalars are double-quoted as in JSON, or single-quoted where that can carry them.
fn yaml(value: &Value, indent: usize, out: &mut String) {
    let margin = "  ".repeat(indent);
    let nested = |value: &Value| {
        matches!(value, Value::Array(items) if !items.is_empty())
            || matches!(value, Value::Object(fields) if !fields.is_empty())
    };
    let below = |lead: String, value: &Value, out: &mut String| {
        out.push_str(&margin);
        out.push_str(&lead);
        if nested(value) {
            out.push('\n');
            yaml(value, indent + 1, out);
        } else {
            out.push(' ');
            out.push_str(&scalar(value));
            out.push('\n');
        }
    };
    match value {
        Value::Array(items) => items.iter().for_each(|item| below("-".to_owned(), item, out)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| below(format!("{name}:"), value, out)),
        _ => out.push_str(&scalar(value)),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        _ => value.to_string(),
    }
}

// Ways to spoil them.

#[derive(Debug, Clone)]
enum Spoil {
    Remove,
    Rename(&'static str),
    Replace(Value),
    Repeat,
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let replacement = prop_oneof![
        any::<u32>().prop_map(Value::from),
        Just(Value::Null),
        Just(serde_json::json!([])),
        Just(serde_json::json!({ "name": "x" })),
        text().prop_map(Value::from),
        sample::select(vec!["${UNSET}", "${", "upstream-0", "0s", "*", "OPTIONAL"]).prop_map(Value::from),
    ];
    prop_oneof![
        Just(Spoil::Remove),
        sample::select(vec!["name", "nmae", "policies", "spool", "idleTimeout", "secret", "http", "match"])
            .prop_map(Spoil::Rename),
        replacement.prop_map(Spoil::Replace),
        Just(Spoil::Repeat),
    ]
}

/// Spoils the node that `choose` leads to.
fn apply(value: &mut Value, choose: &mut impl FnMut(usize) -> usize, spoil: &Spoil) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let name = fields.keys().nth(choose(fields.len())).expect("within").clone();
            match spoil {
                _ if choose(2) == 0 => apply(&mut fields[&name], choose, spoil),
                Spoil::Remove => drop(fields.remove(&name)),
                Spoil::Rename(other) => {
                    let value = fields.remove(&name).expect("present");
                    fields.insert((*other).to_owned(), value);
                }
                Spoil::Replace(other) => fields[&name] = other.clone(),
                Spoil::Repeat => {}
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let index = choose(items.len());
            match spoil {
                Spoil::Repeat if choose(2) == 0 => items.push(items[index].clone()),
                _ => apply(&mut items[index], choose, spoil),
            }
        }
        _ => {}
    }
}

fn resolves(path: &FieldPath, document: &Value) -> bool {
    path.steps()
        .iter()
        .try_fold(document, |here, step| match step {
            Step::Field(name) => here.get(&**name),
            Step::Item(index) => here.get(index),
        })
        .is_some()
}

proptest! {
    #[test]
    fn a_configuration_is_the_same_however_it_is_written(raw in local()) {
        let meant = LocalConfig::try_from(&raw);
        prop_assert!(meant.is_ok(), "{meant:?}");
        let document = document(&raw);
        let mut block = String::new();
        yaml(&document, 0, &mut block);
        for text in [document.to_string(), serde_json::to_string_pretty(&document).expect("printable"), block] {
            prop_assert_eq!(&parse(&text), &meant, "{}", text);
        }
    }

    #[test]
    fn every_diagnostic_leads_to_a_place_in_the_document(raw in local(), spoils in vec((spoil(), vec(any::<sample::Index>(), 24)), 1..4)) {
        let mut document = document(&raw);
        for (spoil, choices) in &spoils {
            let mut choices = choices.iter().cycle();
            apply(&mut document, &mut |count| choices.next().expect("endless").index(count), spoil);
        }
        if let Err(diagnostics) = parse(&document.to_string()) {
            prop_assert!(!diagnostics.entries().is_empty());
            for diagnostic in diagnostics.entries() {
                prop_assert!(resolves(&diagnostic.path, &document), "{diagnostic}\n{document}");
                prop_assert!(diagnostic.position.is_some(), "{diagnostic}");
            }
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}", yaml in "[-:#?{}\\[\\]&*!|>'\"$a \n]{0,200}") {
        let _ = parse(&text);
        let _ = parse(&yaml);
    }

    #[test]
    fn no_damage_to_a_file_makes_the_reader_panic(raw in local(), at in any::<sample::Index>(), length in 0usize..40, with in "[-:#{}\\[\\]'\"$\n a]{0,5}") {
        let mut block = String::new();
        yaml(&document(&raw), 0, &mut block);
        let characters: Vec<char> = block.chars().collect();
        let start = at.index(characters.len());
        let damaged: String = characters[..start].iter().copied().chain(with.chars()).chain(characters[start..].iter().copied().skip(length)).collect();
        let _ = parse(&damaged);
    }
}
