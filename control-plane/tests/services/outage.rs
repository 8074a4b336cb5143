//! A database that is gone, and replicas that share one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shadowcat_control_plane::{ControlPlane, Settings};
use shadowcat_proto::admin::v1::{GetVersionRequest, HistoryRequest, StatusRequest, WatchRequest};
use tonic::Code;

use crate::harness::{Plane, config, database, directory, eventually};
use crate::node::Node;

#[tokio::test]
async fn replicas_on_one_store_see_each_others_versions_and_removals() {
    let dir = directory();
    let store = database(&dir).await;
    let one = Plane::on(Arc::clone(&store), Arc::clone(&dir)).await;
    let other = Plane::on(store, dir).await;
    let node = Node::new(&one, "edge-1").await;
    let mut stream = node.connected(&other).await;
    eventually("it is noted", || async {
        one.store.node("default", "edge-1").await.unwrap().unwrap().last_seen.is_some()
    })
    .await;
    let began = Instant::now();
    assert_eq!(one.apply(config("a")).await.unwrap().nodes, 1);
    stream.takes().await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());

    let watch = one.configurations().watch(one.ask(WatchRequest::default())).await.unwrap();
    let mut watch = watch.into_inner();
    let mut last = None;
    while let Some(progress) = watch.message().await.unwrap() {
        last = Some(progress);
    }
    assert_eq!(last.map(|last| (last.done, last.nodes, last.applied)), Some((true, 1, 1)));
    eventually("the node is seen from the other replica", || async {
        let status = one.fleets().status(one.ask(StatusRequest::default())).await.unwrap().into_inner();
        (status.connected, status.current_nodes) == (1, 1)
    })
    .await;
    let request = shadowcat_proto::admin::v1::RemoveNodeRequest { node: "edge-1".to_owned(), ..Default::default() };
    one.nodes().remove(one.ask(request)).await.unwrap();
    assert_eq!(stream.ended().await.code(), Code::PermissionDenied);
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_database_that_is_gone_changes_nothing_for_nodes_and_is_told_to_operators() {
    let plane = Plane::start().await;
    let node = Node::new(&plane, "edge-1").await;
    let mut stream = node.connected(&plane).await;
    plane.apply(config("a")).await.unwrap();
    stream.takes().await;
    plane.fleets().status(plane.ask(StatusRequest::default())).await.unwrap();

    plane.store.close().await;
    eventually("it is noticed", || async {
        let _ = plane.store.heads().await;
        plane.store.health().is_err()
    })
    .await;
    let mut again = node.connected(&plane).await;
    assert_eq!(again.takes().await.number, 1, "a node is served from memory");

    let began = Instant::now();
    let refused = plane.apply(config("b")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let status = plane.fleets().status(plane.ask(StatusRequest::default())).await.unwrap();
    assert!(status.metadata().contains_key("shadowcat-stale-since"), "{:?}", status.metadata());
    let status = status.into_inner();
    assert!(status.stale_since.is_some());
    assert_eq!((status.current.unwrap().r#ref.unwrap().number, status.connected), (1, 1));
    let current = plane.configurations().get(plane.ask(GetVersionRequest::default())).await.unwrap().into_inner();
    assert_eq!(current.config, Some(config("a")));
    let history = plane.configurations().history(plane.ask(HistoryRequest::default())).await.unwrap_err();
    assert_eq!(history.code(), Code::Unavailable);
    plane.stop().await;
}

#[tokio::test]
async fn a_second_control_plane_on_one_sqlite_file_does_not_start() {
    let dir = directory();
    let local: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    let settings = Settings { bind: local, console_bind: local, ..Settings::new(dir.path()) };
    let first = ControlPlane::build(settings.clone()).await.unwrap();
    let Err(refused) = ControlPlane::build(settings.clone()).await else { panic!("it starts") };
    assert!(refused.to_string().contains("is in use by another control plane"), "{refused}");
    drop(first);
    ControlPlane::build(settings).await.unwrap();
}
