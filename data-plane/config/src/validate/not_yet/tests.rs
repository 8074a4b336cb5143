use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use shadowcat_proto::config::v1 as raw;

use super::message;
use crate::schema::json_schema;
use crate::source::document;
use crate::{Config, Diagnostics, LocalConfig, canonical, parse_local_in};

/// Everything that a configuration has, so that each refusal has its cause.
const EVERYTHING: &str = include_str!("../../../tests/golden/everything.yaml");

/// What is refused of it: where, and as what.
const REFUSED: [(&str, &str); 20] = [
    ("identity_providers", "identity providers"),
    ("policies", "policies"),
    ("rate_limits", "rate limits"),
    ("routes[0].authentication", "authentication"),
    ("routes[0].policies", "policies"),
    ("routes[0].rate_limits", "rate limits"),
    ("routes[0].rule_sets", "interception rules"),
    ("routes[0].targets[1]", "several targets of one route"),
    ("routes[0].targets[1].prefix", "name prefixes of federated targets"),
    ("routes[0].targets[1].tools", "selecting and renaming tools"),
    ("rule_sets", "interception rules"),
    ("upstreams[0].circuit_breaker", "circuit breakers"),
    ("upstreams[0].health_check", "health checks of upstreams"),
    ("upstreams[0].http.endpoints[0].weight", "weights of endpoints"),
    ("upstreams[0].http.endpoints[1]", "several endpoints of one upstream"),
    ("upstreams[0].limits", "limits on calls in flight"),
    ("upstreams[0].load_balancing", "load balancing"),
    ("upstreams[0].retry", "retries"),
    ("upstreams[1].stdio.memory_limit", "memory limits of children"),
    ("upstreams[1].stdio.sharing", "one child per principal"),
];

/// The fields of each message that are acted on. Every other one is refused as a whole.
const ACTED_ON: [(&str, &str); 22] = [
    ("", "node recordings routes upstreams"),
    ("Node", "bind redis spool tls"),
    ("Node.Spool", "max_age max_size"),
    ("Node.Tls", "certificate key"),
    ("Recording", "capture max_message name on_overflow principals redact retention sample_percent"),
    ("Recording.Redact", "keys paths values"),
    ("Recording.Retention", "keep max_size"),
    ("Route", "cors match name recording sessions targets timeouts"),
    ("Route.Cors", "allow_origins"),
    ("Route.Match", "headers host path"),
    ("Route.Match.Header", "name value"),
    ("Route.Sessions", "idle_timeout max mode"),
    ("Route.Target", "upstream"),
    ("Route.Timeouts", "idle request"),
    ("Upstream", "http name stdio"),
    ("Upstream.Http", "connections endpoints headers timeouts"),
    ("Upstream.Http.Connections", "idle_timeout max"),
    ("Upstream.Http.Endpoint", "url"),
    ("Upstream.Http.Header", "name secret value"),
    ("Upstream.Http.Timeouts", "connect first_byte idle"),
    ("Upstream.Stdio", "command env sharing stop_when_idle_for"),
    ("Upstream.Stdio.EnvVar", "name secret value"),
];

/// What is told, sorted.
fn told(refused: &Diagnostics) -> BTreeSet<(String, String)> {
    refused.entries().iter().map(|entry| (entry.path.to_string(), entry.message.clone())).collect()
}

/// The refusals of some of the table.
fn refused(which: impl Fn(&str) -> bool) -> BTreeSet<(String, String)> {
    let rows = REFUSED.iter().filter(|(path, _)| which(path));
    rows.map(|(path, what)| ((*path).to_owned(), message(what))).collect()
}

#[test]
fn all_that_is_not_acted_on_is_refused_by_name_in_a_file_and_in_a_message() {
    let file = parse_local_in(EVERYTHING, "", &|_| None).expect_err("much of it is not acted on");
    assert_eq!(told(&file), refused(|_| true));

    let tree = document::read(EVERYTHING, &|_| None, &mut Vec::new()).expect("YAML");
    let local = raw::LocalConfig::deserialize(&tree).expect("it fits the schema");
    assert_eq!(told(&LocalConfig::try_from(&local).expect_err("as a message")), refused(|_| true));

    let raw::LocalConfig {
        routes, upstreams, identity_providers, policies, rate_limits, rule_sets, recordings, ..
    } = local;
    let version = raw::Config { routes, upstreams, identity_providers, policies, rate_limits, rule_sets, recordings };
    let version: raw::Config = prost::Message::decode(&*canonical(&version)).expect("its own bytes");
    assert_eq!(told(&Config::try_from(&version).expect_err("from its bytes")), refused(|_| true));
}

#[test]
fn every_field_of_the_schema_is_acted_on_or_refused() {
    let schema = json_schema();
    let acted_on: BTreeMap<&str, BTreeSet<&str>> =
        ACTED_ON.iter().map(|(message, fields)| (*message, fields.split(' ').collect())).collect();
    let refused: BTreeSet<&str> = REFUSED.iter().filter_map(|(path, _)| path.rsplit('.').next()).collect();
    for (message, known) in &acted_on {
        let definition = if message.is_empty() { &schema } else { &schema["$defs"][message] };
        let fields = definition["properties"].as_object().expect("a message");
        for field in fields.keys() {
            let (acted_on, refused) = (known.contains(field.as_str()), refused.contains(field.as_str()));
            assert!(acted_on || refused, "{message}.{field} is neither acted on nor refused");
        }
        for below in known.iter().filter_map(|field| message_in(&fields[*field])) {
            assert!(acted_on.contains_key(below), "what is acted on of {below} is not said");
        }
    }
}

/// The message that a field holds, one or several.
fn message_in(field: &Value) -> Option<&str> {
    let reference = field.get("$ref").or_else(|| field["items"].get("$ref"))?;
    reference.as_str()?.strip_prefix("#/$defs/")
}

#[test]
fn references_names_and_values_are_checked_beside_the_refusal() {
    let broken = [
        ("providers: [corp, opaque]", "providers: [corp, opaqe]"),
        ("policies: [tools-by-role]", "policies: [tool-by-role]"),
        ("recording: default", "recording: defaults"),
        ("rate: 600/min", "rate: 600"),
        ("keep: 168h", "keep: 7d"),
        ("max_size: 10Gi", "max_size: 10GB"),
        ("memory_limit: 512Mi", "memory_limit: lots"),
        ("name: fs-safety, source", "name: FS, source"),
        ("name: per-tool", "name: per-user"),
        ("sample_percent: 100", "sample_percent: 101"),
        ("queue_wait: 1s", "queue_wait: 1"),
    ];
    let text = broken.iter().fold(EVERYTHING.to_owned(), |text, (sane, broken)| {
        assert!(text.contains(sane), "{sane}");
        text.replacen(sane, broken, 1)
    });
    let refused = parse_local_in(&text, "", &|_| None).expect_err("broken");
    let told: Vec<String> = refused.entries().iter().map(ToString::to_string).collect();
    let rest: Vec<&String> = told.iter().filter(|line| !line.contains("does not act on")).collect();
    assert_eq!(
        rest,
        [
            r#"routes[0].authentication.providers[1]: no identity provider named "opaqe" (did you mean "opaque"?)"#,
            r#"routes[0].policies[0]: no policy named "tool-by-role" (did you mean "tools-by-role"?)"#,
            r#"routes[0].rate_limits[1]: no rate limit named "per-tool""#,
            r#"routes[0].rule_sets[0]: no rule set named "fs-safety""#,
            r#"routes[0].recording: no recording named "defaults" (did you mean "default"?)"#,
            r#"upstreams[0].limits.queue_wait: "1" is not a duration (write a whole number and ms, s, m or h, as in 250ms or 30s)"#,
            r#"upstreams[1].stdio.memory_limit: "lots" is not a size (write a whole number above 0 and Ki, Mi, Gi or Ti, as in 512Mi)"#,
            r#"rate_limits[0].rate: "600" is not a rate (write a whole number above 0 and /s, /min or /h, as in 600/min)"#,
            r#"rate_limits[1].name: the name "per-user" is taken (names are unique among their kind)"#,
            r#"rule_sets[0].name: "FS" is not a name (up to 63 lower-case letters, digits and inner hyphens)"#,
            "recordings[0].sample_percent: 101 is out of range (from 0 to 100)",
            r#"recordings[0].retention.keep: "7d" is not a duration (write a whole number and ms, s, m or h, as in 250ms or 30s)"#,
            r#"recordings[0].retention.max_size: "10GB" is not a size (write a whole number above 0 and Ki, Mi, Gi or Ti, as in 512Mi)"#,
        ]
    );
}
