use std::time::Duration;

use super::*;
use crate::{Config, HeaderSource, SecretRef, SessionMode, Sharing, Transport};

/// What the documentation of the configuration shows, without what is not acted on yet.
const FLEET: &str = r#"
node:
  bind: 127.0.0.1:8080
  tls: { certificate: gateway.pem, key: gateway.key }
  redis: redis://${REDIS_HOST:-127.0.0.1}:6379

routes:
  - name: workbench
    match: { path: /mcp, host: "*.Example.com", headers: [{ name: x-team, value: blue }] }
    targets:
      - upstream: everything
    sessions: { mode: OPTIONAL, idle_timeout: 300s, max: 1000 }
    cors: { allow_origins: ["https://inspector.example.com"] }
    timeouts: { request: 90s, idle: 10m }
  - name: files
    match: { path: /files }
    targets: [{ upstream: files }]

upstreams:
  - name: everything
    http:
      endpoints:
        - url: "http://10.0.0.1:3001/mcp"
      headers: [{ name: x-api-key, secret: "env:EVERYTHING_KEY" }, { name: x-via, value: shadowcat }]
      connections: { max: 50, idle_timeout: 300s }
      timeouts: { connect: 2s, first_byte: 30s, idle: 300s }
  - name: files
    stdio:
      command: [npx, -y, "@modelcontextprotocol/server-filesystem", /srv/data]
      env: [{ name: RETRIES, value: 3 }, { name: API_KEY, secret: "file:key.txt" }]
      sharing: SHARED
      stop_when_idle_for: 1h
"#;

fn environment(name: &str) -> Option<String> {
    match name {
        "PATTERN" => Some("a: b # \"c\"\n- d".to_owned()),
        "MAX" => Some("7".to_owned()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<LocalConfig, Diagnostics> {
    parse_local_in(text, "fleet.yaml", &environment)
}

fn told(text: &str) -> String {
    parse(text).map_or_else(|diagnostics| diagnostics.to_string(), |_| "nothing".to_owned())
}

#[test]
fn everything_a_file_may_say_arrives_in_the_configuration() {
    let LocalConfig { node, config } = parse(FLEET).expect("the file is valid");
    assert_eq!(node.bind, "127.0.0.1:8080".parse().ok());
    assert_eq!(node.redis, "redis://127.0.0.1:6379".parse().ok());
    assert_eq!(node.tls.map(|tls| tls.key), Some("gateway.key".into()));

    let [workbench, files] = config.routes() else { panic!("two routes: {config:?}") };
    assert_eq!(workbench.name.as_str(), "workbench");
    assert!(workbench.matches.host.as_ref().is_some_and(|host| host.matches("mcp.example.com")));
    assert_eq!(workbench.matches.headers, [("x-team".parse().expect("name"), "blue".parse().expect("value"))]);
    assert_eq!(workbench.sessions.mode, SessionMode::Optional);
    assert_eq!((workbench.sessions.idle_timeout, workbench.sessions.max), (Duration::from_secs(300), 1000));
    assert!(
        workbench
            .cors
            .as_ref()
            .is_some_and(|cors| cors.allows(&"https://inspector.example.com".parse().expect("value")))
    );
    assert_eq!(
        (workbench.timeouts.request, workbench.timeouts.idle),
        (Duration::from_secs(90), Duration::from_secs(600))
    );

    let Transport::Http(http) = &workbench.target.transport else { panic!("{workbench:?}") };
    assert_eq!(http.url, "http://10.0.0.1:3001/mcp");
    assert_eq!(http.headers[0].value, HeaderSource::Secret(SecretRef::Env("EVERYTHING_KEY".to_owned())));
    assert_eq!((http.connections.max, http.timeouts.first_byte), (50, Duration::from_secs(30)));
    let Transport::Stdio(stdio) = &files.target.transport else { panic!("{files:?}") };
    assert_eq!(stdio.command.len(), 4);
    assert_eq!(stdio.env[0].value, crate::ValueSource::Value("3".to_owned()));
    assert_eq!((stdio.sharing, stdio.stop_when_idle_for), (Sharing::Shared, Duration::from_secs(3600)));
}

#[test]
fn what_is_left_out_has_the_documented_defaults() {
    let text = "routes: [{ name: a, match: { path: /mcp }, targets: [{ upstream: a }] }]
upstreams: [{ name: a, http: { endpoints: [{ url: 'http://h/mcp' }] } }]";
    let config = parse(text).expect("valid").config;
    let single = Config::single(Transport::http("http://h/mcp").expect("valid"), SessionMode::Required);
    let (route, expected) = (&config.routes()[0], &single.routes()[0]);
    assert_eq!(
        (&route.sessions, &route.timeouts, &route.cors, &route.target.transport),
        (&expected.sessions, &expected.timeouts, &expected.cors, &expected.target.transport)
    );
    assert_eq!(route.sessions.idle_timeout, Duration::from_mins(30));
}

#[test]
fn json_is_read_as_it_is() {
    let text = "\u{feff}{\n\t\"routes\": [{\"name\": \"a\", \"match\": {\"path\": \"\\/mcp\"},\r\n\t\"targets\": [{\"upstream\": \"a\"}]}],
  \"upstreams\": [{\"name\": \"a\", \"stdio\": {\"command\": [\"x\", \"\\ud83d\\ude00\\u0000\"]}}]}";
    assert_eq!(
        told(text),
        "fleet.yaml:4:58: upstreams[0].stdio.command[1]: it holds a NUL byte (the operating system ends text there)"
    );
}

#[test]
fn a_variable_stays_inside_its_value_whatever_it_holds() {
    let text = FLEET.replace("max: 50", "max: ${MAX}");
    let text = text
        .replace("/srv/data]", "\"${PATTERN}\", ${PATTERN}, '$${MAX}', ${NONE:-a, b: \"c\"}] # and ${NOTHING} here");
    let config = parse(&text).expect("valid").config;
    let Transport::Http(http) = &config.upstreams()[0].transport else { panic!("{config:?}") };
    assert_eq!(http.connections.max, 7);
    let Transport::Stdio(stdio) = &config.upstreams()[1].transport else { panic!("{config:?}") };
    let pattern = environment("PATTERN").expect("set");
    assert_eq!(stdio.command[3..], [&pattern, &pattern, "${MAX}", "a, b: \"c\""]);
}

#[test]
fn every_unset_variable_is_told_and_its_value_is_not_judged() {
    let text = FLEET.replace("${REDIS_HOST:-127.0.0.1}", "${REDIS_HOST}").replace("mode: OPTIONAL", "mode: '${MODE}'");
    assert_eq!(
        told(&text),
        "fleet.yaml:5:10: node.redis: the environment variable REDIS_HOST is not set (set it, or write ${REDIS_HOST:-default})\n\
         fleet.yaml:12:23: routes[0].sessions.mode: the environment variable MODE is not set (set it, or write ${MODE:-default})"
    );
}

#[test]
fn what_is_not_acted_on_yet_is_told_by_name_beside_every_other_mistake() {
    let text = r#"
node: { spool: { max_size: 512Mi, max_age: 24h } }
routes:
  - name: workbench
    match: { path: mcp }
    targets:
      - { upstream: files, prefix: files_, tools: { allow: ["read_*"] } }
      - upstream: fils
    policies: [tools-by-role]
upstreams:
  - name: files
    http: { endpoints: [{ url: "http://a/mcp", weight: 2 }, { url: "http://b/mcp" }] }
    retry: { budget_percent: 20 }
  - { name: other, stdio: { command: [x], sharing: PER_PRINCIPAL } }
identity_providers: [{ name: corp, jwt: {} }]
"#;
    assert_eq!(
        told(text),
        r#"fleet.yaml:5:20: routes[0].match.path: "mcp" is not a path (a path starts with /)
fleet.yaml:7:28: routes[0].targets[0].prefix: this version does not act on name prefixes of federated targets yet (remove it: what would be ignored is refused)
fleet.yaml:7:44: routes[0].targets[0].tools: this version does not act on selecting and renaming tools yet (remove it: what would be ignored is refused)
fleet.yaml:8:9: routes[0].targets[1]: this version does not act on several targets of one route yet (remove it: what would be ignored is refused)
fleet.yaml:8:19: routes[0].targets[1].upstream: no upstream named "fils" (did you mean "files"?)
fleet.yaml:9:5: routes[0].policies: this version does not act on policies yet (remove it: what would be ignored is refused)
fleet.yaml:9:16: routes[0].policies[0]: no policy named "tools-by-role"
fleet.yaml:12:48: upstreams[0].http.endpoints[0].weight: this version does not act on weights of endpoints yet (remove it: what would be ignored is refused)
fleet.yaml:12:61: upstreams[0].http.endpoints[1]: this version does not act on several endpoints of one upstream yet (remove it: what would be ignored is refused)
fleet.yaml:13:5: upstreams[0].retry: this version does not act on retries yet (remove it: what would be ignored is refused)
fleet.yaml:14:43: upstreams[1].stdio.sharing: this version does not act on one child per principal yet (remove it: what would be ignored is refused)
fleet.yaml:15:1: identity_providers: this version does not act on identity providers yet (remove it: what would be ignored is refused)"#
    );
}

#[test]
fn what_does_not_fit_the_schema_is_told_where_it_is() {
    for (broken, with, expected) in [
        (
            "timeouts: { request",
            "timeout: { request",
            r#"fleet.yaml:14:5: routes[0].timeout: unknown field (did you mean "timeouts"?)"#,
        ),
        (
            "idle_timeout: 300s, max: 1000",
            "idleTimeout: 300s",
            r#"fleet.yaml:12:33: routes[0].sessions.idleTimeout: unknown field (did you mean "idle_timeout"?)"#,
        ),
        (
            "cors: {",
            "x: {",
            "fleet.yaml:13:5: routes[0].x: unknown field (known here: name, match, targets, sessions, cors, timeouts, authentication, policies, rate_limits, rule_sets, recording)",
        ),
        (
            "OPTIONAL",
            "OPTIONL",
            r#"fleet.yaml:12:23: routes[0].sessions.mode: unknown value "OPTIONL" (did you mean "OPTIONAL"?)"#,
        ),
        (
            "OPTIONAL",
            "1",
            r#"fleet.yaml:12:23: routes[0].sessions.mode: unknown value "1" (known here: REQUIRED, OPTIONAL)"#,
        ),
        (
            "max: 1000",
            "max: lots",
            r#"fleet.yaml:12:58: routes[0].sessions.max: "lots" is not a whole number from 0 to 4294967295"#,
        ),
        (
            "max: 1000",
            "max: 4294967296",
            r#"fleet.yaml:12:58: routes[0].sessions.max: "4294967296" is not a whole number from 0 to 4294967295"#,
        ),
        ("max: 1000", "max: [1]", "fleet.yaml:12:58: routes[0].sessions.max: expected a single value, found a list"),
        (
            "command: [npx,",
            "command: npx # ",
            "fleet.yaml:29:16: upstreams[1].stdio.command: expected a list, found a single value",
        ),
        (
            "targets: [{ upstream: files }]",
            "targets: [files]",
            "fleet.yaml:17:15: routes[1].targets[0]: expected a mapping, found a single value",
        ),
        (
            "name: workbench",
            "name:",
            "fleet.yaml:8:9: routes[0].name: expected a single value, found nothing (write a value, or remove the field)",
        ),
        (
            "  stdio:\n",
            "  stdio: &a\n",
            "fleet.yaml:29:7: upstreams[1].stdio: anchors, aliases and tags are not part of a configuration (write the value where it is used)",
        ),
        (
            "name: workbench",
            "name: !!str x",
            "fleet.yaml:8:17: routes[0].name: anchors, aliases and tags are not part of a configuration (write the value where it is used)",
        ),
        (
            "max: 1000",
            "max: 1000, max: 1",
            "fleet.yaml:12:64: routes[0].sessions.max: the field is set twice (keep one of the two)",
        ),
        (
            "\nupstreams:",
            "\n---\nupstreams:",
            "fleet.yaml:19:1: a second document begins here (a file holds one configuration)",
        ),
    ] {
        assert!(FLEET.contains(broken), "{broken}");
        assert_eq!(told(&FLEET.replacen(broken, with, 1)), expected);
    }
}

#[test]
fn what_is_no_document_is_told() {
    for (text, expected) in [
        ("", "fleet.yaml: the file is empty (a configuration has routes and upstreams)"),
        ("# nothing yet\n", "fleet.yaml: the file is empty (a configuration has routes and upstreams)"),
        (
            "a\u{100024}",
            "fleet.yaml: the text has characters from U+100000 to U+10007F (they are for private use, and used here)",
        ),
        (
            "${A}: b",
            "fleet.yaml:1:1: ${A}: unknown field (known here: node, routes, upstreams, identity_providers, policies, rate_limits, rule_sets, recordings)",
        ),
        ("- a", "fleet.yaml:1:1: expected a mapping, found a list"),
        ("{}", "fleet.yaml:1:1: routes is missing (without a route nothing is served)"),
        ("? [a]\n: b", "fleet.yaml:1:3: the name of a field is plain text"),
        ("*a", "fleet.yaml:1:1: not YAML: while parsing node, found unknown anchor"),
        ("a: [1", "fleet.yaml:1:4: not YAML: unclosed bracket '['"),
    ] {
        assert_eq!(told(text), expected, "{text:?}");
    }
}

#[test]
fn nesting_and_size_are_bounded() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(told(&nested(32)).contains("expected a mapping"), "{}", told(&nested(32)));
    assert!(told(&nested(40)).contains("nested deeper than 32 levels"), "{}", told(&nested(40)));
    assert!(told(&nested(100_000)).contains("not YAML"));
    assert!(told(&"- ".repeat(100_000)).contains("nested deeper than 32 levels"));
    let many = format!("[{}]", "1,".repeat(crate::limits::MAX_NODES));
    assert!(told(&many).contains("more than 1000000 values"));
    let long = " ".repeat(usize::try_from(MAX_FILE_BYTES).expect("small") + 1);
    assert_eq!(told(&long), "fleet.yaml: the text is longer than 16777216 bytes");
}

#[test]
fn a_file_is_read_whole_or_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("fleet.yaml");
    let refused = load_local(&path).expect_err("there is no such file").to_string();
    assert!(refused.starts_with(&format!("{}: the file cannot be read: ", path.display())), "{refused}");

    std::fs::write(&path, FLEET).expect("written");
    assert_eq!(load_local(&path), parse(FLEET));

    std::fs::write(&path, b"routes: \xff").expect("written");
    let refused = load_local(&path).expect_err("not text").to_string();
    assert!(refused.ends_with("the file is not UTF-8 text"), "{refused}");
}
