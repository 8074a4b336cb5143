//! Who may call what, and what is kept of it.

use std::collections::BTreeMap;

use prost::Message as _;
use shadowcat_control_plane::store::Role;
use shadowcat_proto::admin::v1::{
    ListAuditRequest, ListFleetsRequest, ListUpstreamsRequest, RemoveNodeRequest, StatusRequest, audit_record,
};
use shadowcat_proto::fleet::v1::{NodeHealth, UpstreamHealth, node_message};
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Code, Request};

use crate::harness::{Plane, config, eventually, with_token};
use crate::node::Node;
use crate::nodes::shown;

/// Everything that is not for every viewer, with the least role it takes.
const NOT_FOR_VIEWERS: [(&str, Role); 11] = [
    ("Configurations/Apply", Role::Editor),
    ("Configurations/Rollback", Role::Operator),
    ("Nodes/Drain", Role::Operator),
    ("Nodes/Remove", Role::Admin),
    ("Nodes/CreateJoinToken", Role::Admin),
    ("Sessions/End", Role::Operator),
    ("Tapes/Read", Role::Operator),
    ("Tapes/Tail", Role::Operator),
    ("Tapes/Delete", Role::Admin),
    ("Tapes/Hold", Role::Editor),
    ("Fleets/ListAudit", Role::Admin),
];

/// Every method of the admin API, out of the schema.
fn methods() -> Vec<String> {
    let set = prost_types::FileDescriptorSet::decode(shadowcat_proto::DESCRIPTORS).unwrap();
    let files = set.file.iter().filter(|file| file.package() == "shadowcat.admin.v1");
    let services = files.flat_map(|file| &file.service);
    services
        .flat_map(|service| service.method.iter().map(|method| format!("{}/{}", service.name(), method.name())))
        .collect()
}

async fn call(channel: &Channel, method: &str, request: Request<()>) -> Code {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let path = format!("/shadowcat.admin.v1.{method}").parse().unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    match grpc.server_streaming(request, path, codec).await {
        Ok(response) => match response.into_inner().message().await {
            Ok(_) => Code::Ok,
            Err(status) => status.code(),
        },
        Err(status) => status.code(),
    }
}

#[tokio::test]
async fn every_rpc_asks_for_a_token_and_for_the_role_of_its_row() {
    let plane = Plane::start().await;
    let channel = plane.plain();
    let mut tokens = BTreeMap::new();
    for role in Role::ALL {
        tokens.insert(role, plane.token_of(role).await);
    }
    let methods = methods();
    assert!(methods.len() >= 20, "{methods:?}");
    for method in methods {
        assert_eq!(call(&channel, &method, Request::new(())).await, Code::Unauthenticated, "{method} without a token");
        let needed = NOT_FOR_VIEWERS.iter().find(|(row, _)| *row == method).map_or(Role::Viewer, |(_, role)| *role);
        for (role, token) in &tokens {
            let denied = call(&channel, &method, with_token((), token)).await == Code::PermissionDenied;
            assert_eq!(denied, *role < needed, "{method} as {}", role.as_str());
        }
    }
    plane.stop().await;
}

#[tokio::test]
async fn a_token_that_is_none_is_refused_and_the_attempt_is_audited() {
    let plane = Plane::start().await;
    let viewer = plane.token_of(Role::Viewer).await;
    let request = || RemoveNodeRequest { node: "edge-1".to_owned(), ..RemoveNodeRequest::default() };
    let unknown = shadowcat_control_plane::token::AdminToken::generate().unwrap().reveal();
    for (token, code) in [
        ("nonsense", Code::Unauthenticated),
        (unknown.as_str(), Code::Unauthenticated),
        (viewer.as_str(), Code::PermissionDenied),
    ] {
        let refused = plane.nodes().remove(with_token(request(), token)).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
    }
    let audit = plane.fleets().list_audit(plane.ask(ListAuditRequest::default())).await.unwrap().into_inner();
    let denied: Vec<_> =
        audit.records.iter().filter(|record| record.outcome() == audit_record::Outcome::Denied).collect();
    assert_eq!(denied.len(), 3, "{:?}", audit.records);
    assert!(denied.iter().all(|record| record.verb == "nodes.remove" && record.address.starts_with("127.0.0.1")));
    assert_eq!(denied[0].actor, "viewer");
    assert!(denied[0].reason.contains("admin"), "{}", denied[0].reason);
    plane.stop().await;
}

#[tokio::test]
async fn what_changes_something_is_in_the_audit_record_with_its_author() {
    let plane = Plane::start().await;
    plane.apply(config("a")).await.unwrap();
    Node::new(&plane, "edge-1").await;
    let audit = plane.fleets().list_audit(plane.ask(ListAuditRequest::default())).await.unwrap().into_inner();
    let told: Vec<_> = audit.records.iter().map(|record| (record.verb.as_str(), record.actor.as_str())).collect();
    for expected in [("configurations.apply", "admin"), ("nodes.create_join_token", "admin"), ("nodes.join", "edge-1")]
    {
        assert!(told.contains(&expected), "{told:?}");
    }
    let page = ListAuditRequest { limit: 1, ..ListAuditRequest::default() };
    let first = plane.fleets().list_audit(plane.ask(page)).await.unwrap().into_inner();
    let page = ListAuditRequest { limit: 1, before: first.next_before, ..ListAuditRequest::default() };
    let second = plane.fleets().list_audit(plane.ask(page)).await.unwrap().into_inner();
    assert!(second.records[0].sequence < first.records[0].sequence);
    plane.stop().await;
}

#[tokio::test]
async fn status_and_upstreams_tell_what_the_nodes_see() {
    let plane = Plane::start().await;
    let node = Node::new(&plane, "edge-1").await;
    let away = Node::new(&plane, "away").await;
    drop(away);
    let mut stream = node.connected(&plane).await;
    plane.apply(config("a")).await.unwrap();
    stream.takes().await;
    let health = UpstreamHealth {
        upstream: "a".to_owned(),
        last_error: "connection refused".to_owned(),
        ..UpstreamHealth::default()
    };
    stream.say(node_message::Kind::UpstreamHealth(health)).await;
    stream.say(node_message::Kind::NodeHealth(NodeHealth { sessions: 3, ..NodeHealth::default() })).await;
    eventually("the node is shown with its health", || async {
        shown(&plane, "edge-1").await.health.is_some_and(|health| health.sessions == 3)
    })
    .await;

    let status = plane.fleets().status(plane.ask(StatusRequest::default())).await.unwrap().into_inner();
    assert_eq!((status.connected, status.away, status.current_nodes), (1, 1, 1));
    assert_eq!(status.unreachable[0].nodes[0].health.as_ref().unwrap().last_error, "connection refused");
    assert!(status.stale_since.is_none());
    let listed = plane.upstreams().list(plane.ask(ListUpstreamsRequest::default())).await.unwrap().into_inner();
    assert_eq!(listed.upstreams[0].address, "http://127.0.0.1:3001/mcp");
    assert_eq!(listed.upstreams[0].routes, ["a"]);
    assert_eq!((listed.routes[0].path.as_str(), listed.routes[0].upstreams[0].as_str()), ("/a", "a"));
    let fleets = plane.fleets().list(plane.ask(ListFleetsRequest {})).await.unwrap().into_inner();
    assert_eq!(fleets.fleets, ["default"]);
    plane.stop().await;
}

#[tokio::test]
async fn health_and_reflection_are_served_to_whoever_asks() {
    let plane = Plane::start().await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(plane.plain());
    let served = health.check(tonic_health::pb::HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(served.status(), tonic_health::pb::health_check_response::ServingStatus::Serving);

    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_client::ServerReflectionClient};
    let request = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let asked = futures_util::stream::iter([request]);
    let answers = ServerReflectionClient::new(plane.plain()).server_reflection_info(asked).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(services)) = answer else { panic!("{answer:?}") };
    assert!(services.service.iter().any(|service| service.name == "shadowcat.admin.v1.Configurations"));
    plane.stop().await;
}
