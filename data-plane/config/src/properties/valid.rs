//! Messages that the validator has nothing to say to.

use proptest::prelude::*;
use proptest::{collection::vec, option, sample};
use shadowcat_proto::config::v1 as raw;

pub(super) fn duration() -> impl Strategy<Value = Option<String>> {
    option::of((1u32..=60, sample::select(vec!["s", "m"])).prop_map(|(count, unit)| match unit {
        "m" if count > 1 => "1m".to_owned(),
        _ => format!("{count}{unit}"),
    }))
}

/// Everything that goes through YAML unharmed must arrive unharmed, what YAML and variables could mistake for their own
/// included.
pub(super) fn text() -> impl Strategy<Value = String> {
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

pub(super) fn header_value() -> impl Strategy<Value = String> {
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

pub(super) fn local() -> impl Strategy<Value = raw::LocalConfig> {
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
