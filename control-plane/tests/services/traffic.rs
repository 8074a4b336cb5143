//! What calls come to, as nodes tell it and operators see it.

use std::sync::Arc;

use shadowcat_control_plane::store::Role;
use shadowcat_proto::admin::v1::traffic_request::{GroupBy, Order, Window};
use shadowcat_proto::admin::v1::{StatusRequest, TrafficRequest, TrafficResponse};
use shadowcat_proto::fleet::v1::{Traffic, TrafficSeries, ship_message};
use tonic::Code;

use crate::harness::{Plane, database, directory, eventually, with_token};
use crate::node::Node;
use crate::spool::Shipping;

/// From 1 024 to 1 536 us, and from 12 288 to 16 384 us.
const FAST: usize = 9;
const SLOW: usize = 16;

const FIRST: &str = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";
const SECOND: &str = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b";

/// So many calls of a tool, of which so many failed.
fn series(tool: &str, (calls, errors): (u64, u64), bucket: usize) -> TrafficSeries {
    let mut latency = vec![0; bucket];
    latency.push(calls);
    TrafficSeries {
        route: "workbench".to_owned(),
        upstream: "everything".to_owned(),
        method: "tools/call".to_owned(),
        tool: tool.to_owned(),
        calls,
        errors,
        latency,
    }
}

/// A boot of a node that tells what it has counted.
struct Teller(Shipping);

impl Teller {
    async fn begin(plane: &Plane, node: &Node, instance: &str) -> Self {
        Self(Shipping::begin_as(node, (plane.grpc, &plane.authority), instance).await.unwrap())
    }

    async fn tell(&self, series: &[TrafficSeries]) {
        self.0.say(ship_message::Kind::Traffic(Traffic { series: series.to_vec() })).await;
    }
}

async fn asked(plane: &Plane, group_by: GroupBy, order: Order) -> TrafficResponse {
    let request = TrafficRequest {
        window: Window::OneMinute.into(),
        group_by: group_by.into(),
        order: order.into(),
        ..TrafficRequest::default()
    };
    plane.fleets().traffic(plane.ask(request)).await.unwrap().into_inner()
}

/// Waits until so many calls are seen.
async fn seen(plane: &Plane, calls: u64) {
    eventually("the calls are seen", || async {
        asked(plane, GroupBy::Route, Order::Calls).await.total.is_some_and(|total| total.calls == calls)
    })
    .await;
}

#[tokio::test]
async fn what_nodes_count_is_seen_by_tool_and_by_node_and_a_restart_takes_nothing_away() {
    let plane = Plane::start().await;
    let (one, two) = (Node::new(&plane, "one").await, Node::new(&plane, "two").await);
    let (first, other) = (Teller::begin(&plane, &one, FIRST).await, Teller::begin(&plane, &two, SECOND).await);
    // What was there before is of no window.
    first.tell(&[series("search", (1_000, 0), FAST)]).await;
    other.tell(&[]).await;
    first.tell(&[series("search", (1_006, 0), FAST), series("boom", (4, 4), SLOW)]).await;
    other.tell(&[series("search", (90, 0), FAST)]).await;
    seen(&plane, 100).await;

    let by_tool = asked(&plane, GroupBy::Tool, Order::Errors).await;
    let rows: Vec<_> = by_tool.rows.iter().map(|row| (&*row.method, &*row.tool, row.calls, row.errors)).collect();
    assert_eq!(rows, [("tools/call", "boom", 4, 4), ("tools/call", "search", 96, 0)]);
    let total = by_tool.total.unwrap();
    assert_eq!((total.errors, by_tool.nodes, by_tool.left_out), (4, 2, 0));
    assert!((total.error_share - 0.04).abs() < 1e-9 && total.calls_per_second > 0.0, "{total:?}");
    assert!(total.p50_us.is_some_and(|latency| (1_024..1_536).contains(&latency)), "{total:?}");
    assert!(total.p99_us.is_some_and(|latency| (12_288..16_384).contains(&latency)), "{total:?}");
    let by_node = asked(&plane, GroupBy::Node, Order::Calls).await.rows;
    let nodes: Vec<_> = by_node.iter().map(|row| (&*row.node, row.calls)).collect();
    assert_eq!(nodes, [("two", 90), ("one", 10)]);

    // Gone, and started anew: it counts from nothing.
    drop(first);
    let again = Teller::begin(&plane, &one, SECOND).await;
    again.tell(&[]).await;
    again.tell(&[series("search", (5, 0), FAST)]).await;
    seen(&plane, 105).await;
    let status = plane.fleets().status(plane.ask(StatusRequest::default())).await.unwrap().into_inner();
    assert_eq!(status.traffic.map(|total| (total.calls, total.errors)), Some((105, 4)));
    let failing: Vec<_> = status.failing.iter().map(|row| (&*row.tool, row.errors)).collect();
    assert_eq!(failing, [("boom", 4)]);
    plane.stop().await;
}

#[tokio::test]
async fn a_replica_tells_of_the_nodes_of_the_others_too() {
    let dir = directory();
    let store = database(&dir).await;
    let (here, there) = (Plane::on(Arc::clone(&store), Arc::clone(&dir)).await, Plane::on(store, dir).await);
    let (one, two) = (Node::new(&here, "one").await, Node::new(&here, "two").await);
    let (first, other) = (Teller::begin(&here, &one, FIRST).await, Teller::begin(&there, &two, SECOND).await);
    for teller in [&first, &other] {
        teller.tell(&[]).await;
        teller.tell(&[series("search", (10, 1), FAST)]).await;
    }
    for plane in [&here, &there] {
        seen(plane, 20).await;
        let by_node = asked(plane, GroupBy::Node, Order::Calls).await;
        let nodes: Vec<_> = by_node.rows.iter().map(|row| (&*row.node, row.calls)).collect();
        assert_eq!((nodes, by_node.nodes), (vec![("one", 10), ("two", 10)], 2));
        let by_tool = asked(plane, GroupBy::Tool, Order::Calls).await.rows;
        assert_eq!((by_tool.len(), by_tool[0].calls, by_tool[0].errors), (1, 20, 2));
    }
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn a_fleet_without_calls_has_none_and_nobody_is_asked_without_a_token() {
    let plane = Plane::start().await;
    let viewer = plane.token_of(Role::Viewer).await;
    let told = plane.fleets().traffic(with_token(TrafficRequest::default(), &viewer)).await.unwrap().into_inner();
    assert_eq!((told.total.map(|total| (total.calls, total.p50_us)), told.rows.len()), (Some((0, None)), 0));
    let refused = plane.fleets().traffic(TrafficRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    plane.stop().await;
}
