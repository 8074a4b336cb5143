//! What only a message can say, since it did not come from a file.

use shadowcat_proto::config::v1 as raw;

use crate::{Config, parse_fleet_in};

#[test]
fn a_message_holds_nothing_that_a_file_could_not() {
    let transport = |upstream: raw::Upstream| {
        let mut config = fleet();
        config.upstreams = vec![raw::Upstream { name: "u".to_owned(), ..upstream }];
        Config::try_from(&config).expect_err("private characters").to_string()
    };
    let stdio = raw::upstream::Stdio {
        command: vec!["x".to_owned(), "\u{100024}".to_owned()],
        env: vec![raw::upstream::stdio::EnvVar {
            name: "A".to_owned(),
            value: None,
            secret: Some("file:\u{100024}".to_owned()),
        }],
        ..Default::default()
    };
    assert_eq!(
        transport(raw::Upstream { stdio: Some(stdio), ..Default::default() }),
        "upstreams[0].stdio.command[1]: the text has characters from U+100000 to U+10007F (they are for private use, and used here)\n\
         upstreams[0].stdio.env[0].secret: not a reference to a secret (write env:NAME or file:PATH)"
    );
    let endpoint = raw::upstream::http::Endpoint { url: "http://h/\u{100024}".to_owned(), weight: None };
    let http = raw::upstream::Http { endpoints: vec![endpoint], ..Default::default() };
    let refused = transport(raw::Upstream { http: Some(http), ..Default::default() });
    assert!(refused.starts_with("upstreams[0].http.endpoints[0].url: "), "{refused}");
}

#[test]
fn numbers_that_no_enum_has_are_refused() {
    let mut config = fleet();
    config.routes[0].sessions = Some(raw::route::Sessions { mode: Some(7), ..Default::default() });
    config.upstreams[0].stdio.as_mut().expect("a command").sharing = Some(-1);
    assert_eq!(
        Config::try_from(&config).expect_err("unknown").to_string(),
        "upstreams[0].stdio.sharing: unknown value (PER_SESSION or SHARED)\n\
         routes[0].sessions.mode: unknown value (REQUIRED or OPTIONAL)"
    );
}

/// The smallest version.
fn fleet() -> raw::Config {
    let text = "routes: [{ name: r, match: { path: /mcp }, targets: [{ upstream: u }] }]
upstreams: [{ name: u, stdio: { command: [x] } }]";
    parse_fleet_in(&[(String::new(), text.to_owned())], &|_| None).expect("valid").into_config()
}
