use super::*;

#[test]
fn what_is_printed_reads_like_a_file_of_a_person() {
    let config = raw::Config {
        routes: vec![raw::Route {
            name: "files".to_owned(),
            r#match: Some(raw::route::Match {
                path: "/mcp".to_owned(),
                host: Some("*.example.com".to_owned()),
                headers: vec![raw::route::r#match::Header { name: "x-team".to_owned(), value: "1".to_owned() }],
            }),
            targets: vec![raw::route::Target { upstream: "files".to_owned(), ..Default::default() }],
            sessions: Some(raw::route::Sessions { mode: Some(1), idle_timeout: Some("5m".to_owned()), max: Some(7) }),
            authentication: Some(raw::route::Authentication::default()),
            ..Default::default()
        }],
        upstreams: vec![raw::Upstream {
            name: "files".to_owned(),
            stdio: Some(raw::upstream::Stdio {
                command: ["npx", "-y", "a b", "", "${HOME}", "null", "\u{7}"].map(str::to_owned).to_vec(),
                ..Default::default()
            }),
            ..Default::default()
        }],
        policies: vec![raw::Policy {
            name: "admins".to_owned(),
            rules: vec![raw::policy::Rule { allow: Some(r#"r == "admin""#.to_owned()), ..Default::default() }],
        }],
        rule_sets: vec![raw::RuleSet {
            name: "safety".to_owned(),
            source: Some("rules:\n  - deny\n\n# end\n".to_owned()),
            ..Default::default()
        }],
        ..Default::default()
    };
    let expected = r#"routes:
  - name: files
    match:
      path: /mcp
      host: "*.example.com"
      headers:
        - name: x-team
          value: "1"
    targets:
      - upstream: files
    sessions:
      mode: OPTIONAL
      idle_timeout: 5m
      max: 7
    authentication: {}
upstreams:
  - name: files
    stdio:
      command:
        - npx
        - "-y"
        - "a b"
        - ""
        - "$${HOME}"
        - "null"
        - "\u0007"
policies:
  - name: admins
    rules:
      - allow: 'r == "admin"'
rule_sets:
  - name: safety
    source: |
      rules:
        - deny

      # end
"#;
    assert_eq!(print_yaml(&config), expected);
    assert_eq!(print_yaml(&raw::Config::default()), "{}\n");
}

#[test]
fn a_number_that_the_schema_does_not_know_is_told_in_the_place_of_the_file() {
    let stdio = raw::upstream::Stdio { sharing: Some(7), ..Default::default() };
    let upstream = raw::Upstream { stdio: Some(stdio), ..Default::default() };
    let config = raw::Config { upstreams: vec![upstream], ..Default::default() };
    assert!(
        print_yaml(&config).starts_with("# this configuration cannot be written down: "),
        "{}",
        print_yaml(&config)
    );
}

#[test]
fn what_looks_like_a_credential_is_masked() {
    use raw::upstream::{http::Header, stdio::EnvVar};
    let header = |name: &str| Header { name: name.to_owned(), value: Some("v".to_owned()), secret: None };
    let variable = |name: &str| EnvVar { name: name.to_owned(), value: Some("v".to_owned()), secret: None };
    let config = raw::Config {
        routes: vec![raw::Route {
            r#match: Some(raw::route::Match {
                headers: vec![raw::route::r#match::Header { name: "X-Token".to_owned(), value: "v".to_owned() }],
                ..Default::default()
            }),
            ..Default::default()
        }],
        upstreams: vec![raw::Upstream {
            http: Some(raw::upstream::Http {
                headers: vec![
                    header("X-Api-Key"),
                    header("x-via"),
                    Header { name: "authorization".to_owned(), value: None, secret: Some("env:A".to_owned()) },
                ],
                ..Default::default()
            }),
            stdio: Some(raw::upstream::Stdio {
                env: vec![variable("DB_PASSWORD"), variable("NODE_ENV")],
                ..Default::default()
            }),
            ..Default::default()
        }],
        ..Default::default()
    };
    let masked = mask(&config);
    let matched = masked.routes[0].r#match.as_ref().expect("there");
    assert_eq!(matched.headers[0].value, "***");
    let http = masked.upstreams[0].http.as_ref().expect("there");
    let values: Vec<_> = http.headers.iter().map(|header| header.value.as_deref()).collect();
    assert_eq!(values, [Some("***"), Some("v"), None]);
    assert_eq!(http.headers[2].secret.as_deref(), Some("env:A"));
    let stdio = masked.upstreams[0].stdio.as_ref().expect("there");
    let values: Vec<_> = stdio.env.iter().map(|variable| variable.value.as_deref()).collect();
    assert_eq!(values, [Some("***"), Some("v")]);
}
