use crate::limits::{MAX_DIAGNOSTICS, MAX_HEADERS, MAX_ROUTES};
use crate::{AllowedOrigin, Config, SessionMode, Transport, parse_local_in};

/// What is said of a configuration with these routes and upstreams, one line each.
fn told(routes: &str, upstreams: &str) -> Vec<String> {
    let text = format!("routes: [{routes}]\nupstreams: [{upstreams}]");
    match parse_local_in(&text, "", &|_| None) {
        Ok(_) => Vec::new(),
        Err(diagnostics) => diagnostics.entries().iter().map(ToString::to_string).collect(),
    }
}

const ROUTE: &str = "{ name: r, match: { path: /mcp }, targets: [{ upstream: u }] }";
const UPSTREAM: &str = "{ name: u, stdio: { command: [x] } }";

/// What is said of a route that is sane but for `field`.
fn of_route(field: &str) -> Vec<String> {
    let mut fields = vec!["name: r", "match: { path: /mcp }", "targets: [{ upstream: u }]"];
    let name = field.split(':').next().expect("a field");
    fields.retain(|sane| !sane.starts_with(name));
    fields.push(field);
    told(&format!("{{ {} }}", fields.join(", ")), UPSTREAM)
}

fn of_upstream(transport: &str) -> Vec<String> {
    told(ROUTE, &format!("{{ name: u, {transport} }}"))
}

fn of_http(field: &str) -> Vec<String> {
    of_upstream(&format!("http: {{ endpoints: [{{ url: 'http://h/mcp' }}], {field} }}"))
}

#[test]
fn names_are_labels_and_unique_among_their_kind() {
    for name in ["A", "a_b", "-a", "a-", "a.b", "\"a b\"", &"a".repeat(64)] {
        let found = of_route(&format!("name: {name}"));
        let name = name.trim_matches('"');
        assert_eq!(
            found,
            [format!("routes[0].name: {name:?} is not a name (up to 63 lower-case letters, digits and inner hyphens)")]
        );
    }
    for name in ["a", "0", "a-b", &"a".repeat(63)] {
        assert!(of_route(&format!("name: {name}")).is_empty());
    }
    let twice = "{ name: r, match: { path: /b }, targets: [{ upstream: u }] }";
    assert_eq!(
        told(&format!("{ROUTE}, {twice}"), UPSTREAM),
        [r#"routes[1].name: the name "r" is taken (names are unique among their kind)"#]
    );
}

#[test]
fn references_resolve_and_nothing_lies_unused() {
    assert_eq!(
        of_route("targets: [{ upstream: v }]"),
        [r#"routes[0].targets[0].upstream: no upstream named "v" (did you mean "u"?)"#]
    );
    assert_eq!(
        of_route("targets: [{ upstream: other }]"),
        [r#"routes[0].targets[0].upstream: no upstream named "other""#]
    );
    let unused = "{ name: spare, stdio: { command: [x] } }";
    assert_eq!(
        told(ROUTE, &format!("{UPSTREAM}, {unused}")),
        [r#"upstreams[1]: no route uses the upstream "spare" (make it the target of a route, or remove it)"#]
    );
}

#[test]
fn what_is_missing_is_told_where_it_belongs() {
    assert_eq!(
        told("{ sessions: { max: 1 } }", "{ }"),
        [
            "routes[0]: name is missing (errors, logs and metrics show it)",
            "routes[0]: targets is missing (write targets: [{ upstream: NAME }])",
            "routes[0]: match is missing (write match: { path: /mcp })",
            "upstreams[0]: name is missing (errors, logs and metrics show it)",
            "upstreams[0]: http or stdio is missing (write http: { endpoints: [{ url: URL }] }, or stdio: { command: [PROGRAM] })",
        ]
    );
    assert_eq!(of_upstream("http: {}"), ["upstreams[0].http: endpoints is missing (write endpoints: [{ url: URL }])"]);
    assert_eq!(
        of_upstream("stdio: {}"),
        ["upstreams[0].stdio: command is missing (write command: [PROGRAM, ARGUMENT, …])"]
    );
    assert_eq!(of_route("targets: [{}]"), ["routes[0].targets[0]: upstream is missing (name one of the upstreams)"]);
    assert_eq!(
        of_route("cors: {}"),
        ["routes[0].cors: allow_origins is missing (name the origins whose pages may call, or remove cors)"]
    );
}

#[test]
fn one_of_several_ways_is_taken() {
    assert_eq!(
        of_upstream("stdio: { command: [x] }, http: { endpoints: [{ url: 'http://h' }] }"),
        ["upstreams[0]: http and stdio are both set (keep one of the two)"]
    );
    assert_eq!(
        of_http("headers: [{ name: a, value: b, secret: 'env:C' }, { name: d }]"),
        [
            "upstreams[0].http.headers[0]: value and secret are both set (keep one of the two)",
            "upstreams[0].http.headers[1]: value is missing (write value: TEXT, or secret: env:NAME)",
        ]
    );
}

#[test]
fn paths_are_literal_and_not_the_gateways_own() {
    for (path, message) in [
        ("mcp", r#""mcp" is not a path (a path starts with /)"#),
        ("/mcp/*", r#""/mcp/*" looks like a pattern (a path is matched byte for byte; patterns are not known)"#),
        ("/a?b", r#""/a?b" is not a path (no query, no fragment, no . or .. and nothing that a URL would escape)"#),
        (
            "/a/../b",
            r#""/a/../b" is not a path (no query, no fragment, no . or .. and nothing that a URL would escape)"#,
        ),
        (
            "/health",
            "/health belongs to the gateway (/health and /metrics tell of the gateway itself: take another path)",
        ),
        (
            "/metrics/x",
            "/metrics/x belongs to the gateway (/health and /metrics tell of the gateway itself: take another path)",
        ),
    ] {
        assert_eq!(of_route(&format!("match: {{ path: '{path}' }}")), [format!("routes[0].match.path: {message}")]);
    }
    for path in ["/", "/mcp", "/healthy", "/a/b-c_d.e~f/%41:@", "/a/"] {
        assert!(of_route(&format!("match: {{ path: '{path}' }}")).is_empty(), "{path}");
    }
}

#[test]
fn hosts_are_names_or_wildcards_below_one() {
    for host in ["a:80", "http://a", "*", "*a.b", "a.*.b", "a..b", "", "[::g]", "ä.de"] {
        assert_eq!(
            of_route(&format!("match: {{ path: /mcp, host: '{host}' }}")),
            [format!(
                "routes[0].match.host: {host:?} is not a host (write mcp.example.com or *.example.com, without scheme and port)"
            )]
        );
    }
    for host in ["localhost", "A.example.com", "*.example.com", "127.0.0.1", "[::1]", "my_service"] {
        assert!(of_route(&format!("match: {{ path: /mcp, host: '{host}' }}")).is_empty(), "{host}");
    }
}

#[test]
fn no_two_routes_match_the_same_requests() {
    let route = |name: &str, demands: &str| {
        format!("{{ name: {name}, match: {{ path: /mcp, {demands} }}, targets: [{{ upstream: u }}] }}")
    };
    let both = "headers: [{ name: x-a, value: '1' }, { name: x-b, value: '2' }]";
    let turned = "headers: [{ name: X-B, value: '2' }, { name: X-A, value: '1' }]";
    assert_eq!(
        told(&[route("a", both), route("b", turned)].join(","), UPSTREAM),
        [r#"routes[1].match: matches the same requests as the route "a" (give it another path, host or header)"#]
    );
    let apart = [
        route("a", both),
        route("b", "host: h"),
        route("c", "host: '*.h'"),
        route("d", ""),
        route("e", "headers: [{ name: x-a, value: '1' }]"),
    ];
    assert!(told(&apart.join(","), UPSTREAM).is_empty());
}

#[test]
fn routes_are_tried_from_the_most_specific_to_the_least() {
    let route = |name: &str, demands: &str| {
        format!("{{ name: {name}, match: {{ path: /mcp, {demands} }}, targets: [{{ upstream: u }}] }}")
    };
    let header = "headers: [{ name: x-a, value: '1' }]";
    let routes = [
        route("any", ""),
        route("header", header),
        route("wild", "host: '*.h'"),
        route("deep", "host: '*.g.h'"),
        route("host", "host: h"),
        route("host-header", &format!("host: h, {header}")),
    ];
    let text = format!("{{ routes: [{}], upstreams: [{UPSTREAM}] }}", routes.join(","));
    let config = parse_local_in(&text, "", &|_| None).expect("valid").config;
    let order: Vec<&str> = config.routes().iter().map(|route| route.name.as_str()).collect();
    assert_eq!(order, ["host-header", "host", "deep", "wild", "header", "any"]);
}

#[test]
fn headers_that_are_not_the_users_are_refused() {
    for name in ["Connection", "content-length", "TE", "transfer-encoding", "proxy-authorization", "upgrade"] {
        let lower = name.to_ascii_lowercase();
        let message = format!("name: {lower} belongs to a single connection and never crosses the gateway (remove it)");
        assert_eq!(
            of_http(&format!("headers: [{{ name: {name}, value: x }}]")),
            [format!("upstreams[0].http.headers[0].{message}")]
        );
        assert_eq!(
            of_route(&format!("match: {{ path: /mcp, headers: [{{ name: {name}, value: x }}] }}")),
            [format!("routes[0].match.headers[0].{message}")]
        );
    }
    for name in ["host", "mcp-session-id", "Mcp-Protocol-Version", "last-event-id", "accept", "content-type"] {
        let message = format!("{} is set by the gateway for every message (remove it)", name.to_ascii_lowercase());
        assert_eq!(
            of_http(&format!("headers: [{{ name: {name}, value: x }}]")),
            [format!("upstreams[0].http.headers[0].name: {message}")]
        );
    }
    assert_eq!(
        of_route("match: { path: /mcp, headers: [{ name: Host, value: a }] }"),
        ["routes[0].match.headers[0].name: host is not matched as a header (write it as host: beside path:)"]
    );
}

#[test]
fn headers_are_legal_and_named_once() {
    assert_eq!(
        of_http(
            "headers: [{ name: 'a b', value: c }, { name: d, value: \"e\\nf\" }, { name: g, value: h }, { name: G, value: i }, { value: j }]"
        ),
        [
            r#"upstreams[0].http.headers[0].name: "a b" is not a header name (letters, digits and hyphens)"#,
            "upstreams[0].http.headers[1].value: the value cannot be sent in a header (visible ASCII, and spaces only inside)",
            "upstreams[0].http.headers[3].name: g is set twice (remove one of the two)",
            "upstreams[0].http.headers[4]: name is missing (every header has one)",
        ]
    );
    let many = "{ name: a, value: b },".repeat(MAX_HEADERS + 1);
    assert_eq!(
        of_http(&format!("headers: [{many}]")),
        ["upstreams[0].http.headers: 65 items are too many (at most 64)"]
    );
}

#[test]
fn secrets_are_references_and_never_repeated() {
    assert_eq!(
        of_http(
            "headers: [{ name: authorization, value: Bearer hunter2 }, { name: x-a, secret: hunter2 }, { name: x-b, secret: 'env:hunter-2' }]"
        ),
        [
            "upstreams[0].http.headers[0].value: authorization is a credential, written in plain text (write secret: env:NAME or secret: file:PATH)",
            "upstreams[0].http.headers[1].secret: not a reference to a secret (write env:NAME or file:PATH)",
            "upstreams[0].http.headers[2].secret: not a reference to a secret (write env:NAME or file:PATH)",
        ]
    );
    assert_eq!(
        of_upstream("stdio: { command: [x], env: [{ name: A, secret: 'vault:a' }, { name: B, secret: 'k8s:b' }] }"),
        [
            "upstreams[0].stdio.env[0].secret: this version does not act on vault: secrets yet (write env:NAME or file:PATH)",
            "upstreams[0].stdio.env[1].secret: this version does not act on k8s: secrets yet (mount the secret and write file:PATH, or env:NAME)",
        ]
    );
}

#[test]
fn urls_are_complete_and_hold_no_credentials() {
    let form = "as in http://127.0.0.1:3001/mcp";
    for (url, message) in [
        ("localhost:3001/mcp", format!("not a URL ({form})")),
        ("/mcp", format!("not a URL ({form})")),
        ("http://", format!("not a URL ({form})")),
        ("ws://h/mcp", format!("the URL is neither http nor https ({form})")),
        ("http://h:0/", format!("the URL has no legal host and port ({form})")),
        ("http://h:99999/", format!("the URL has no legal host and port ({form})")),
        ("http://*.h/", format!("the URL has no legal host and port ({form})")),
        ("http://h/#a", "the URL has a fragment, which is never sent (remove what begins with #)".to_owned()),
        (
            "https://u:hunter2@h/mcp",
            "the URL holds a user name or password, which logs would show (send it in headers, with secret: env:NAME)"
                .to_owned(),
        ),
    ] {
        let found = of_upstream(&format!("http: {{ endpoints: [{{ url: '{url}' }}] }}"));
        assert_eq!(found, [format!("upstreams[0].http.endpoints[0].url: {message}")], "{url}");
    }
    for url in ["http://h", "HTTPS://h:8443/a/b?c=d", "http://[::1]:3001/mcp", "http://my_service/mcp"] {
        assert!(of_upstream(&format!("http: {{ endpoints: [{{ url: '{url}' }}] }}")).is_empty(), "{url}");
    }
}

#[test]
fn durations_and_counts_have_units_and_bounds() {
    assert_eq!(
        of_route("sessions: { idle_timeout: 0s, max: 0 }, timeouts: { request: 30, idle: 25h }"),
        [
            "routes[0].sessions.idle_timeout: 0s is out of range (from 1s to 168h)",
            "routes[0].sessions.max: 0 is out of range (from 1 to 1000000)",
            r#"routes[0].timeouts.request: "30" is not a duration (write a whole number and ms, s, m or h, as in 250ms or 30s)"#,
            "routes[0].timeouts.idle: 25h is out of range (from 10ms to 24h)",
        ]
    );
    assert_eq!(
        of_http("connections: { max: 65536, idle_timeout: 2h }, timeouts: { connect: 61s, first_byte: 9ms, idle: 1d }"),
        [
            "upstreams[0].http.connections.max: 65536 is out of range (from 1 to 65535)",
            "upstreams[0].http.connections.idle_timeout: 2h is out of range (from 1s to 1h)",
            "upstreams[0].http.timeouts.connect: 61s is out of range (from 10ms to 1m)",
            "upstreams[0].http.timeouts.first_byte: 9ms is out of range (from 10ms to 24h)",
            r#"upstreams[0].http.timeouts.idle: "1d" is not a duration (write a whole number and ms, s, m or h, as in 250ms or 30s)"#,
        ]
    );
}

#[test]
fn origins_are_those_that_browsers_send() {
    assert_eq!(
        of_route("cors: { allow_origins: [\"https://a/\", 'https://b', 'https://B:443'] }"),
        [
            r#"routes[0].cors.allow_origins[0]: "https://a/" is not an origin (write scheme://host[:port] with http or https and no path, or * for every origin)"#
        ]
    );
    assert_eq!(
        of_route("cors: { allow_origins: ['https://b', 'https://B:443', '*'] }"),
        [
            "routes[0].cors.allow_origins[1]: the origin is named twice (remove one of the two)",
            "routes[0].cors.allow_origins[2]: * is every origin (write * alone, or only the origins you mean)",
        ]
    );
    let text = format!(
        "{{ routes: [{}], upstreams: [{UPSTREAM}] }}",
        ROUTE.replace(" }] }", " }], cors: { allow_origins: ['*'] } }")
    );
    let config = parse_local_in(&text, "", &|_| None).expect("valid").config;
    assert_eq!(config.routes()[0].cors.as_ref().map(|cors| &*cors.allow_origins), Some(&[AllowedOrigin::Any][..]));
}

#[test]
fn commands_and_variables_are_what_the_system_takes() {
    assert_eq!(
        of_upstream(
            "stdio: { command: [npx -y server], env: [{ name: A-B, value: x }, { name: C, value: \"\\0\" }, { name: D, value: '' }, { name: D, value: x }] }"
        ),
        [
            r#"upstreams[0].stdio.command[0]: no program is called "npx -y server" (no shell reads it: write [npx, -y, server])"#,
            r#"upstreams[0].stdio.env[0].name: "A-B" is not the name of a variable (letters, digits and underscores, not starting with a digit)"#,
            "upstreams[0].stdio.env[1].value: it holds a NUL byte (the operating system ends text there)",
            "upstreams[0].stdio.env[3].name: D is set twice (remove one of the two)",
        ]
    );
    assert_eq!(
        of_upstream("stdio: { command: [''] }"),
        ["upstreams[0].stdio.command[0]: the program has no name (write command: [PROGRAM, ARGUMENT, …])"]
    );
    let many = "a,".repeat(257);
    assert_eq!(
        of_upstream(&format!("stdio: {{ command: [{many}] }}")),
        ["upstreams[0].stdio.command: 257 items are too many (at most 256)"]
    );
}

#[test]
fn settings_of_the_process_are_checked_with_the_rest() {
    let text = format!(
        "{{ node: {{ bind: 'localhost:8080', tls: {{ key: k }}, redis: 'localhost' }}, routes: [{ROUTE}], upstreams: [{UPSTREAM}] }}"
    );
    assert_eq!(
        parse_local_in(&text, "f", &|_| None).expect_err("three mistakes").to_string(),
        "f:1:17: node.bind: \"localhost:8080\" is not an address and port (as in 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080)\n\
         f:1:40: node.tls: certificate is missing (a PEM file with the certificate and its chain)\n\
         f:1:59: node.redis: not a Redis URL (as in redis://127.0.0.1:6379/0, or rediss:// for TLS)"
    );
}

#[test]
fn ten_thousand_routes_are_served_and_no_more() {
    let route =
        |index: usize| format!("{{ name: r{index}, match: {{ path: /{index} }}, targets: [{{ upstream: u }}] }}");
    let routes: Vec<String> = (0..=MAX_ROUTES).map(route).collect();
    assert!(told(&routes[1..].join(","), UPSTREAM).is_empty());
    assert_eq!(told(&routes.join(","), UPSTREAM), ["routes: 10001 items are too many (at most 10000)"]);
}

#[test]
fn a_thousand_mistakes_are_told_and_the_rest_is_counted() {
    let route =
        |index: usize| format!("{{ name: r{index}, match: {{ path: /{index} }}, targets: [{{ upstream: x }}] }}");
    let routes: Vec<String> = (0..MAX_ROUTES).map(route).collect();
    let found = told(&routes.join(","), UPSTREAM);
    assert_eq!(found.len(), MAX_DIAGNOSTICS + 1);
    assert_eq!(found[0], "1000 of 10000 mistakes are told (mend these first)");
}

#[test]
fn a_transport_from_code_is_held_to_the_same_rules() {
    let refused = Transport::http("http://u:p@h").expect_err("credentials").to_string();
    assert!(refused.starts_with("endpoints[0].url: the URL holds a user name or password"), "{refused}");
    let refused = Transport::stdio(Vec::new()).expect_err("no program").to_string();
    assert_eq!(refused, "command is missing (write command: [PROGRAM, ARGUMENT, …])");

    let transport = Transport::stdio(vec!["cat".to_owned()]).expect("valid");
    let config = Config::single(transport, SessionMode::Optional);
    assert_eq!((&*config.routes()[0].matches.path, config.upstreams().len()), ("/mcp", 1));
}
