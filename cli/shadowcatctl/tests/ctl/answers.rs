//! Answers of a control plane that never change, and the moment they are looked at.

use std::collections::BTreeMap;

use pbjson_types::Timestamp;
use shadowcat_proto::admin::v1 as admin;
use shadowcat_proto::admin::v1::traffic_request::GroupBy;
use shadowcat_proto::config::v1 as config;
use shadowcat_proto::fleet::v1 as fleet;

/// 2027-01-15T08:00:00Z.
pub(crate) const NOW: i64 = 1_800_000_000;

/// A fleet's configuration as a file.
pub(crate) const FLEET: &str = "\
routes:
- name: workbench
  match: { path: /mcp }
  targets:
  - upstream: everything
upstreams:
- name: everything
  http:
    endpoints:
    - url: http://127.0.0.1:3001/mcp
";

pub(crate) fn ago(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: NOW - seconds, nanos: 0 })
}

pub(crate) fn reference(number: u64) -> fleet::ConfigRef {
    let digest = vec![u8::try_from(number % 256).expect("a byte"); 32];
    fleet::ConfigRef { epoch: "0123456789abcdef0123456789abcdef".to_owned(), number, digest: digest.into() }
}

pub(crate) fn version(number: u64, message: &str) -> admin::Version {
    admin::Version {
        r#ref: Some(reference(number)),
        parent: number - 1,
        author: "admin".to_owned(),
        message: message.to_owned(),
        created_at: ago(300 * (13 - i64::try_from(number).expect("small"))),
        routes: 1,
        upstreams: 2,
    }
}

pub(crate) fn history() -> admin::HistoryResponse {
    let versions = vec![version(12, "send the workbench to the new files"), version(11, ""), version(10, "first")];
    admin::HistoryResponse { versions, next_before: 10 }
}

pub(crate) fn changes() -> Vec<admin::Change> {
    use admin::change::Verb;
    let change = |kind: &str, name: &str, verb: Verb| admin::Change {
        kind: kind.to_owned(),
        name: name.to_owned(),
        verb: verb.into(),
        fields: Vec::new(),
    };
    let field = |path: &str, before: &str, after: &str| admin::FieldChange {
        path: path.to_owned(),
        before: before.to_owned(),
        after: after.to_owned(),
    };
    let mut changed = change("upstreams", "everything", Verb::Changed);
    changed.fields = vec![
        field("http.endpoints[0].url", "\"http://10.0.0.1:3001/mcp\"", "\"http://10.0.0.2:3001/mcp\""),
        field("http.timeouts", "", "{\"connect\":\"2s\"}"),
        field("limits.max_in_flight", "256", ""),
    ];
    vec![
        change("routes", "files", Verb::Added),
        changed,
        change("upstreams", "old", Verb::Removed),
        change("routes", "workbench", Verb::Moved),
    ]
}

pub(crate) fn plan() -> admin::PlanResponse {
    admin::PlanResponse { changes: changes(), current: Some(version(12, "")) }
}

pub(crate) fn applied() -> admin::ApplyResponse {
    admin::ApplyResponse { version: Some(version(12, "why")), changed: true, changes: changes(), nodes: 3 }
}

pub(crate) fn shown() -> admin::GetVersionResponse {
    let source = shadowcat_config::parse_fleet(&[("fleet.yaml".to_owned(), FLEET.to_owned())]).expect("valid");
    let config: config::Config = source.config().clone();
    admin::GetVersionResponse { version: Some(version(12, "why")), config: Some(config), seed: Vec::new() }
}

pub(crate) fn mistake(path: &str) -> fleet::ConfigError {
    fleet::ConfigError {
        path: path.to_owned(),
        message: "no upstream named \"everythin\"".to_owned(),
        hint: "did you mean \"everything\"?".to_owned(),
    }
}

pub(crate) fn rejection(node: &str) -> admin::Rejection {
    admin::Rejection { node: node.to_owned(), errors: vec![mistake("routes[0].targets[0].upstream")] }
}

pub(crate) fn progress(applied: u32, rejections: Vec<admin::Rejection>) -> admin::Progress {
    let done = applied as usize + rejections.len() == 3;
    admin::Progress { number: 12, nodes: 3, applied, rejections, done, superseded_by: 0, left: Vec::new() }
}

fn healths() -> Vec<fleet::UpstreamHealth> {
    let health = |upstream: &str, reachable: bool, last_error: &str| fleet::UpstreamHealth {
        upstream: upstream.to_owned(),
        reachable,
        last_error: last_error.to_owned(),
        in_flight: 3,
        children: u32::from(!reachable),
        removed: false,
    };
    vec![health("everything", true, ""), health("files", false, "npx: command not found")]
}

pub(crate) fn node() -> admin::Node {
    use admin::node::State;
    use fleet::hello::Origin;
    admin::Node {
        name: "edge-1".to_owned(),
        state: State::Connected.into(),
        instance: "fedcba9876543210fedcba9876543210".to_owned(),
        build: "0.1.0".to_owned(),
        labels: BTreeMap::from([("region".to_owned(), "eu".to_owned()), ("rack".to_owned(), "7".to_owned())]),
        version: Some(reference(11)),
        origin: Origin::Stream.into(),
        refusal: Some(admin::Refusal {
            r#ref: Some(reference(12)),
            errors: vec![mistake("routes[0].targets[0].upstream")],
        }),
        last_seen: ago(2),
        joined_at: ago(3 * 24 * 3600),
        certificate_expires_at: ago(-4 * 24 * 3600),
        health: Some(fleet::NodeHealth {
            requests: 18_000_000_000,
            failed: 12,
            sessions: 40,
            streams: 55,
            memory_bytes: 96 * 1024 * 1024,
            versions_live: 1,
        }),
        upstreams: healths(),
        address: "10.0.0.7:41234".to_owned(),
    }
}

pub(crate) fn nodes() -> admin::ListNodesResponse {
    use admin::node::State;
    use fleet::hello::Origin;
    let away = admin::Node {
        name: "edge-2".to_owned(),
        state: State::Away.into(),
        build: "0.1.0".to_owned(),
        version: Some(reference(10)),
        last_seen: ago(7200),
        ..admin::Node::default()
    };
    let bare = admin::Node { name: "edge-3".to_owned(), state: State::Ahead.into(), ..admin::Node::default() };
    let seeded = admin::Node {
        name: "edge-4".to_owned(),
        state: State::Draining.into(),
        origin: Origin::Seed.into(),
        version: Some(reference(12)),
        ..admin::Node::default()
    };
    admin::ListNodesResponse { nodes: vec![node(), away, bare, seeded] }
}

pub(crate) fn token() -> admin::CreateJoinTokenResponse {
    let token = format!("{}.{}", "a".repeat(43), "b".repeat(64));
    admin::CreateJoinTokenResponse { token, expires_at: ago(-900) }
}

pub(crate) fn upstream() -> admin::Upstream {
    let on = |node: &str, health: fleet::UpstreamHealth| admin::upstream::OnNode {
        node: node.to_owned(),
        health: Some(health),
    };
    let [good, bad] = healths().try_into().expect("two");
    admin::Upstream {
        name: "files".to_owned(),
        address: "npx -y @modelcontextprotocol/server-filesystem /srv/data".to_owned(),
        routes: vec!["workbench".to_owned(), "files".to_owned()],
        nodes: vec![on("edge-1", good), on("edge-2", bad)],
    }
}

pub(crate) fn upstreams() -> admin::ListUpstreamsResponse {
    let unseen = admin::Upstream {
        name: "everything".to_owned(),
        address: "http://127.0.0.1:3001/mcp".to_owned(),
        routes: vec!["workbench".to_owned()],
        nodes: Vec::new(),
    };
    let route = |name: &str, host: &str, upstreams: &[&str]| admin::Route {
        name: name.to_owned(),
        path: "/mcp".to_owned(),
        host: host.to_owned(),
        upstreams: upstreams.iter().map(|name| (*name).to_owned()).collect(),
    };
    admin::ListUpstreamsResponse {
        upstreams: vec![unseen, upstream()],
        routes: vec![route("workbench", "", &["everything", "files"]), route("files", "files.example.com", &["files"])],
    }
}

pub(crate) fn session(id: &str) -> admin::Session {
    let session = fleet::Session {
        id: id.to_owned(),
        route: "workbench".to_owned(),
        upstream: "everything".to_owned(),
        principal: "anonymous".to_owned(),
        protocol_version: "2025-11-25".to_owned(),
        age_ms: 90_500,
        idle_timeout_ms: 300_000,
        owner: String::new(),
    };
    admin::Session { session: Some(session), node: "edge-1".to_owned() }
}

pub(crate) fn sessions() -> admin::ListSessionsResponse {
    admin::ListSessionsResponse {
        sessions: vec![session("kX3v"), session("Zp0q")],
        next: String::new(),
        silent: vec!["edge-2".to_owned()],
    }
}

pub(crate) fn status() -> admin::StatusResponse {
    admin::StatusResponse {
        current: Some(version(12, "send the workbench to the new files")),
        connected: 3,
        away: 1,
        current_nodes: 2,
        rejections: vec![rejection("edge-1")],
        unreachable: vec![upstream()],
        build: "0.1.0".to_owned(),
        stale_since: ago(42),
        traffic: traffic(GroupBy::Tool).total,
        failing: vec![traffic(GroupBy::Tool).rows[1].clone()],
    }
}

/// Calls of two tools and of what is not told apart.
pub(crate) fn traffic(group_by: GroupBy) -> admin::TrafficResponse {
    let row = |name: &str, (calls, errors): (u64, u64), latency: [u64; 3]| {
        let named = |by: GroupBy| if by == group_by { name.to_owned() } else { String::new() };
        admin::TrafficRow {
            route: named(GroupBy::Route),
            upstream: named(GroupBy::Upstream),
            method: if group_by == GroupBy::Tool && !name.is_empty() { "tools/call".to_owned() } else { String::new() },
            tool: named(GroupBy::Tool),
            node: named(GroupBy::Node),
            calls,
            errors,
            calls_per_second: f64::from(u32::try_from(calls).expect("few")) / 64.0,
            error_share: f64::from(u32::try_from(errors).expect("few")) / f64::from(u32::try_from(calls).expect("few")),
            p50_us: Some(latency[0]),
            p90_us: Some(latency[1]),
            p99_us: Some(latency[2]),
        }
    };
    admin::TrafficResponse {
        total: Some(row("", (76_960, 64), [812, 3_100, 2_415_000])),
        rows: vec![
            row("search", (76_800, 0), [812, 3_000, 9_000]),
            row(
                "fetch\u{1b}[2J-of-a-name-that-is-longer-than-what-a-line-has-room-for",
                (128, 64),
                [40_000, 900_000, 2_415_000],
            ),
            row("", (32, 0), [90, 95, 99]),
        ],
        left_out: 4,
        nodes: 2,
    }
}

pub(crate) fn audit() -> admin::ListAuditResponse {
    use admin::audit_record::Outcome;
    let record = |sequence: u64, verb: &str, outcome: Outcome, reason: &str| admin::AuditRecord {
        sequence,
        at: ago(60 * (10 - i64::try_from(sequence).expect("small"))),
        actor: "admin".to_owned(),
        address: "127.0.0.1:50000".to_owned(),
        verb: verb.to_owned(),
        resource: "version 12".to_owned(),
        outcome: outcome.into(),
        reason: reason.to_owned(),
    };
    admin::ListAuditResponse {
        records: vec![
            record(9, "configurations.apply", Outcome::Done, ""),
            record(8, "nodes.remove", Outcome::Denied, "a viewer may not remove nodes"),
        ],
        next_before: 8,
    }
}
