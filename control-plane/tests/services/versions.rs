//! Versions on their way from an operator to the nodes.

use prost::Message as _;
use shadowcat_control_plane::store::Role;
use shadowcat_proto::admin::v1::{
    ApplyRequest, DiffRequest, GetVersionRequest, HistoryRequest, PlanRequest, Progress, RollbackRequest, WatchRequest,
    change, node,
};
use shadowcat_proto::config::v1 as raw;
use shadowcat_proto::fleet::v1::config_status::State;
use shadowcat_proto::fleet::v1::control_message::Kind;
use shadowcat_proto::fleet::v1::{ConfigRef, ConfigStatus, Hello};
use tonic::Code;

use crate::harness::{Plane, SOON, config, eventually, with_token};
use crate::node::Node;
use crate::nodes::shown;

#[tokio::test]
async fn a_version_is_sent_prepared_activated_and_seen_to_run() {
    let plane = Plane::start().await;
    let node = Node::new(&plane, "edge-1").await;
    let mut stream = node.connected(&plane).await;
    let applied = plane.apply(config("a")).await.unwrap();
    assert!(applied.changed);
    assert_eq!(applied.nodes, 1);
    assert_eq!(applied.changes.len(), 2, "a route and an upstream: {:?}", applied.changes);

    let reference = stream.takes().await;
    assert_eq!(Some(&reference), applied.version.unwrap().r#ref.as_ref());
    eventually("the node is shown with it", || async {
        shown(&plane, "edge-1").await.version.as_ref() == Some(&reference)
    })
    .await;
    stream.is_silent().await;
    plane.stop().await;
}

#[tokio::test]
async fn a_node_that_comes_back_with_the_current_version_is_sent_nothing() {
    let plane = Plane::start().await;
    let node = Node::new(&plane, "edge-1").await;
    plane.apply(config("a")).await.unwrap();
    let reference = node.connected(&plane).await.takes().await;
    node.connected_with(&plane, Some(reference)).await.is_silent().await;
    plane.stop().await;
}

#[tokio::test]
async fn a_rejected_version_is_not_sent_again_and_another_is() {
    let plane = Plane::start().await;
    let node = Node::new(&plane, "edge-1").await;
    let mut stream = node.connected(&plane).await;
    plane.apply(config("a")).await.unwrap();
    let rejected = stream.snapshot().await;
    stream.status(&rejected, State::Rejected).await;
    stream.is_silent().await;
    let told = shown(&plane, "edge-1").await.refusal.unwrap();
    assert_eq!(told.errors[0].message, "not here");
    eventually("the store keeps it", || async {
        let kept = plane.store.node("default", "edge-1").await.unwrap().unwrap();
        kept.seen.refusal.is_some_and(|(number, _)| number == 1)
    })
    .await;

    // The node forgot; the control plane did not, and does not because the node came back. Then the other way round.
    for _ in 0..3 {
        node.connected(&plane).await.is_silent().await;
        let kept = plane.store.node("default", "edge-1").await.unwrap().unwrap();
        assert_eq!(kept.seen.refusal.map(|(number, errors)| (number, errors.contains("not here"))), Some((1, true)));
    }
    let hello = Hello { instance: "again".to_owned(), rejected: vec![rejected], ..Hello::default() };
    let mut stream = node.connect(&plane, hello).await.unwrap();
    stream.welcomed().await;
    stream.is_silent().await;

    plane.apply(config("b")).await.unwrap();
    assert_eq!(stream.takes().await.number, 2);
    plane.stop().await;
}

#[tokio::test]
async fn what_a_node_refused_is_sent_again_when_it_is_applied_again() {
    let plane = Plane::start().await;
    let node = Node::new(&plane, "edge-1").await;
    let mut stream = node.connected(&plane).await;
    plane.apply(config("a")).await.unwrap();
    let rejected = stream.snapshot().await;
    stream.status(&rejected, State::Rejected).await;
    eventually("it is shown", || async { shown(&plane, "edge-1").await.refusal.is_some() }).await;
    let again = plane.apply(config("a")).await.unwrap();
    assert!(again.changed);
    let reference = stream.takes().await;
    assert_eq!((reference.number, &reference.digest), (2, &rejected.digest));
    eventually("it runs", || async { shown(&plane, "edge-1").await.version.as_ref() == Some(&reference) }).await;
    assert_eq!(shown(&plane, "edge-1").await.refusal, None);
    assert!(!plane.apply(config("a")).await.unwrap().changed, "nobody refuses it any more");
    plane.stop().await;
}

/// Follows a version to where every node has answered.
async fn progress(plane: &Plane) -> Progress {
    let mut told = plane.configurations().watch(plane.ask(WatchRequest::default())).await.unwrap().into_inner();
    let mut last = None;
    while let Some(next) = tokio::time::timeout(SOON, told.message()).await.expect("it ends").unwrap() {
        last = Some(next);
    }
    last.unwrap()
}

#[tokio::test]
async fn a_refusal_that_nobody_heard_of_is_known_once_the_node_says_so() {
    let plane = Plane::start().await;
    let node = Node::new(&plane, "edge-1").await;
    let reference = plane.apply(config("a")).await.unwrap().version.unwrap().r#ref.unwrap();
    let hello = Hello { instance: "one".to_owned(), rejected: vec![reference.clone()], ..Hello::default() };
    let mut stream = node.connect(&plane, hello).await.unwrap();
    stream.welcomed().await;
    stream.is_silent().await;
    let told = shown(&plane, "edge-1").await.refusal.unwrap();
    assert_eq!(told.r#ref.unwrap().number, reference.number);
    assert!(told.errors[0].message.contains("its own log tells"), "{told:?}", told = told.errors);
    let progress = progress(&plane).await;
    assert_eq!((progress.done, progress.rejections.len()), (true, 1));

    assert!(plane.apply(config("a")).await.unwrap().changed, "under another number it may go well");
    assert_eq!(stream.takes().await.number, 2);
    eventually("it is settled", || async { shown(&plane, "edge-1").await.refusal.is_none() }).await;
    plane.stop().await;
}

#[tokio::test]
async fn what_a_node_went_back_from_hides_nothing_that_it_refuses_now() {
    let plane = Plane::start().await;
    let node = Node::new(&plane, "edge-1").await;
    let mut stream = node.connected(&plane).await;
    plane.apply(config("a")).await.unwrap();
    let first = stream.takes().await;
    plane.apply(config("b")).await.unwrap();
    let second = stream.snapshot().await;
    stream.status(&second, State::Rejected).await;
    stream.status(&first, State::Reverted).await;
    stream.is_silent().await;
    let told = shown(&plane, "edge-1").await.refusal.unwrap();
    assert_eq!(told.r#ref.as_ref(), Some(&second), "{told:?}");
    assert!(plane.apply(config("b")).await.unwrap().changed, "what is refused is given another number");
    plane.stop().await;
}

#[tokio::test]
async fn a_node_that_went_away_without_a_version_is_named() {
    let plane = Plane::start().await;
    let (stays, leaves) = (Node::new(&plane, "stays").await, Node::new(&plane, "leaves").await);
    let (mut stays, mut leaves) = (stays.connected(&plane).await, leaves.connected(&plane).await);
    plane.apply(config("a")).await.unwrap();
    let watch = plane.configurations().watch(plane.ask(WatchRequest::default())).await.unwrap();
    let mut told = watch.into_inner();
    assert_eq!(told.message().await.unwrap().unwrap().nodes, 2);
    leaves.snapshot().await;
    drop(leaves);
    stays.takes().await;
    let mut last = Progress::default();
    while let Some(next) = tokio::time::timeout(SOON, told.message()).await.expect("it ends").unwrap() {
        last = next;
    }
    assert_eq!((last.done, last.nodes, last.applied, &*last.left), (true, 2, 1, &["leaves".to_owned()][..]));
    plane.stop().await;
}

#[tokio::test]
async fn a_node_ahead_of_the_database_is_named_and_not_waited_for() {
    let plane = Plane::start().await;
    let node = Node::new(&plane, "edge-1").await;
    let known = plane.apply(config("a")).await.unwrap().version.unwrap().r#ref.unwrap();
    let mut stream = node.connected_with(&plane, Some(ConfigRef { number: 99, ..known })).await;
    stream.is_silent().await;
    let progress = progress(&plane).await;
    assert_eq!((progress.done, progress.applied), (true, 0));
    assert!(progress.rejections[0].errors[0].message.contains("runs version 99"), "{:?}", progress.rejections);
    plane.stop().await;
}

#[tokio::test]
async fn who_may_not_write_a_configuration_does_not_read_the_credentials_in_it() {
    let plane = Plane::start().await;
    let secret = |value: &str| {
        let mut config = config("a");
        let (name, value) = ("x-team-token".to_owned(), Some(value.to_owned()));
        let header = raw::upstream::http::Header { name, value, ..Default::default() };
        config.upstreams[0].http.as_mut().unwrap().headers.push(header);
        config
    };
    plane.apply(secret("hush-1")).await.unwrap();
    plane.apply(secret("hush-2")).await.unwrap();
    for (role, reads) in [(Role::Viewer, false), (Role::Operator, false), (Role::Editor, true)] {
        let token = plane.token_of(role).await;
        let mut configurations = plane.configurations();
        let got = configurations.get(with_token(GetVersionRequest::default(), &token)).await.unwrap().into_inner();
        assert_eq!(got.seed.is_empty(), !reads, "{role:?}");
        let diff = DiffRequest { from: 0, to: 1, ..DiffRequest::default() };
        let diff = configurations.diff(with_token(diff, &token)).await.unwrap().into_inner();
        let plan = PlanRequest { config: Some(config("a")), ..PlanRequest::default() };
        let plan = configurations.plan(with_token(plan, &token)).await.unwrap().into_inner();
        let told = format!("{:?} {diff:?} {plan:?}", got.config);
        assert_eq!(told.contains("hush"), reads, "{role:?}: {told}");
    }
    let token = plane.token_of(Role::Operator).await;
    let rollback = with_token(RollbackRequest { number: 1, ..RollbackRequest::default() }, &token);
    let back = plane.configurations().rollback(rollback).await.unwrap().into_inner();
    assert!(back.changed && !format!("{:?}", back.changes).contains("hush"), "{:?}", back.changes);
    plane.stop().await;
}

#[tokio::test]
async fn one_version_is_outstanding_and_the_newest_follows() {
    let plane = Plane::start().await;
    let node = Node::new(&plane, "edge-1").await;
    let mut stream = node.connected(&plane).await;
    plane.apply(config("v0")).await.unwrap();
    let first = stream.snapshot().await;
    for number in 1..=20 {
        plane.apply(config(&format!("v{number}"))).await.unwrap();
    }
    stream.is_silent().await;
    stream.status(&first, State::Prepared).await;
    assert!(
        matches!(stream.next().await.unwrap(), Kind::Activate(activate) if activate.r#ref.as_ref() == Some(&first))
    );
    stream.status(&first, State::Applied).await;
    assert_eq!(stream.takes().await.number, 21, "those between are skipped");
    stream.is_silent().await;
    plane.stop().await;
}

#[tokio::test]
async fn a_node_ahead_of_the_database_is_shown_and_left_alone() {
    let plane = Plane::start().await;
    let node = Node::new(&plane, "edge-1").await;
    let applied = plane.apply(config("a")).await.unwrap();
    let mut have = applied.version.unwrap().r#ref.unwrap();
    have.number = 7;
    let mut stream = node.connected_with(&plane, Some(have)).await;
    stream.is_silent().await;
    assert_eq!(shown(&plane, "edge-1").await.state(), node::State::Ahead);
    plane.stop().await;
}

#[tokio::test]
async fn a_node_that_moves_to_another_fleet_is_given_what_that_one_has() {
    let plane = Plane::start().await;
    let apply = |fleet: &str, name: &str| ApplyRequest {
        fleet: fleet.to_owned(),
        config: Some(config(name)),
        ..ApplyRequest::default()
    };
    let mut configurations = plane.configurations();
    for name in ["a", "b", "c"] {
        configurations.apply(plane.ask(apply("other", name))).await.unwrap();
    }
    let applied = configurations.apply(plane.ask(apply("default", "d"))).await.unwrap().into_inner();
    let get = GetVersionRequest { fleet: "other".to_owned(), ..GetVersionRequest::default() };
    let theirs = configurations.get(plane.ask(get)).await.unwrap().into_inner().version.unwrap().r#ref.unwrap();
    assert_eq!(theirs.number, 3);
    let node = Node::new(&plane, "edge-1").await;
    let mut stream = node.connected_with(&plane, Some(theirs)).await;
    assert_eq!(Some(stream.takes().await), applied.version.unwrap().r#ref);
    plane.stop().await;
}

#[tokio::test]
async fn an_invalid_configuration_changes_nothing_and_every_error_is_told() {
    let plane = Plane::start().await;
    let mut wrong: raw::Config = config("a");
    wrong.routes[0].targets[0].upstream = "b".to_owned();
    wrong.routes[0].r#match.as_mut().unwrap().path = "no-slash".to_owned();
    let refused = plane.apply(wrong).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let told = ConfigStatus::decode(refused.details()).unwrap();
    assert_eq!(told.state(), State::Rejected);
    let paths: Vec<_> = told.errors.iter().map(|error| error.path.as_str()).collect();
    assert!(paths.contains(&"routes[0].match.path"), "{paths:?}");
    assert!(paths.contains(&"routes[0].targets[0].upstream"), "{paths:?}");
    assert!(refused.message().contains("routes[0].match.path"), "{}", refused.message());
    let history = plane.configurations().history(plane.ask(HistoryRequest::default())).await.unwrap().into_inner();
    assert!(history.versions.is_empty());
    plane.stop().await;
}

#[tokio::test]
async fn more_mistakes_than_a_header_holds_are_told_as_far_as_they_fit() {
    let plane = Plane::start().await;
    let mut wrong = config("a");
    let route = wrong.routes[0].clone();
    wrong.routes = (0..500)
        .map(|number| {
            let mut route = route.clone();
            route.name = format!("Wrong Name {number}");
            route
        })
        .collect();
    let refused = plane.apply(wrong).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    let told = ConfigStatus::decode(refused.details()).unwrap();
    assert!(told.errors.last().unwrap().message.contains("more mistakes"), "{:?}", told.errors.last());
    plane.stop().await;
}

#[tokio::test]
async fn the_same_configuration_commits_nothing_and_a_conflict_names_the_current_version() {
    let plane = Plane::start().await;
    plane.apply(config("a")).await.unwrap();
    let again = plane.apply(config("a")).await.unwrap();
    assert!(!again.changed);
    assert_eq!(again.version.unwrap().r#ref.unwrap().number, 1);

    let request = |if_version| ApplyRequest { config: Some(config("b")), if_version, ..ApplyRequest::default() };
    let refused = plane.configurations().apply(plane.ask(request(Some(0)))).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted);
    assert!(refused.message().contains("the current version is 1"), "{}", refused.message());
    plane.configurations().apply(plane.ask(request(Some(1)))).await.unwrap();
    plane.stop().await;
}

#[tokio::test]
async fn history_diff_plan_and_rollback_agree() {
    let plane = Plane::start().await;
    let mut configurations = plane.configurations();
    for name in ["a", "b"] {
        plane.apply(config(name)).await.unwrap();
    }
    let plan = PlanRequest { config: Some(config("c")), ..PlanRequest::default() };
    let plan = configurations.plan(plane.ask(plan)).await.unwrap().into_inner();
    assert_eq!(plan.current.unwrap().r#ref.unwrap().number, 2);
    assert_eq!(plan.changes.len(), 4);

    let diff = configurations.diff(plane.ask(DiffRequest { from: 1, to: 2, ..DiffRequest::default() })).await.unwrap();
    let verbs: Vec<_> = diff.into_inner().changes.iter().map(|change| (change.verb(), change.name.clone())).collect();
    assert!(verbs.contains(&(change::Verb::Added, "b".to_owned())), "{verbs:?}");
    assert!(verbs.contains(&(change::Verb::Removed, "a".to_owned())), "{verbs:?}");

    let rollback = RollbackRequest { number: 1, ..RollbackRequest::default() };
    let back = configurations.rollback(plane.ask(rollback)).await.unwrap().into_inner().version.unwrap();
    assert_eq!((back.r#ref.as_ref().unwrap().number, back.message.as_str()), (3, "rollback to 1"));
    let page = HistoryRequest { limit: 2, ..HistoryRequest::default() };
    let page = configurations.history(plane.ask(page)).await.unwrap().into_inner();
    let numbers: Vec<_> = page.versions.iter().map(|version| version.r#ref.as_ref().unwrap().number).collect();
    assert_eq!((numbers, page.next_before), (vec![3, 2], 2));
    assert_eq!(page.versions[0].r#ref.as_ref().unwrap().digest, {
        let first = GetVersionRequest { number: 1, ..GetVersionRequest::default() };
        let first = configurations.get(plane.ask(first)).await.unwrap().into_inner();
        assert_eq!(first.config, Some(config("a")));
        let (named, content) = shadowcat_config::decode(&first.seed).unwrap();
        assert_eq!(
            (named.number, Some(named.epoch)),
            (1, first.version.as_ref().unwrap().r#ref.clone().map(|named| named.epoch))
        );
        assert_eq!(raw::Config::decode(content).unwrap(), config("a"));
        first.version.unwrap().r#ref.unwrap().digest
    });
    plane.stop().await;
}

#[tokio::test]
async fn progress_is_told_until_every_node_has_answered() {
    let plane = Plane::start().await;
    let (good, bad) = (Node::new(&plane, "good").await, Node::new(&plane, "bad").await);
    let (mut good, mut bad) = (good.connected(&plane).await, bad.connected(&plane).await);
    plane.apply(config("a")).await.unwrap();
    let watch = plane.configurations().watch(plane.ask(WatchRequest::default())).await.unwrap();
    let mut progress = watch.into_inner();
    let first = progress.message().await.unwrap().unwrap();
    assert_eq!((first.number, first.nodes, first.applied, first.done), (1, 2, 0, false));
    good.takes().await;
    let rejected = bad.snapshot().await;
    bad.status(&rejected, State::Rejected).await;
    let mut last = first;
    while let Some(next) = progress.message().await.unwrap() {
        last = next;
    }
    assert!(last.done);
    assert_eq!((last.applied, last.rejections.len()), (1, 1));
    assert_eq!(last.rejections[0].node, "bad");
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_storm_of_commits_every_node_ends_on_the_newest() {
    const NODES: usize = 50;
    const COMMITS: u64 = 100;
    let plane = Plane::start().await;
    let token = plane.join_token(50).await;
    let mut nodes = Vec::new();
    for number in 0..NODES {
        let node = Node::join(&plane, &token, &format!("edge-{number}")).await.unwrap();
        let mut stream = node.connected(&plane).await;
        nodes.push(tokio::spawn(async move {
            // Stream::takes asserts that nothing else comes while a version is outstanding.
            let mut taken = vec![0];
            while *taken.last().unwrap() < COMMITS {
                taken.push(stream.takes().await.number);
            }
            stream.is_silent().await;
            taken
        }));
    }
    for number in 1..=COMMITS {
        plane.apply(config(&format!("v{number}"))).await.unwrap();
    }
    for node in nodes {
        let taken = node.await.unwrap();
        assert!(taken.is_sorted(), "{taken:?}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn a_configuration_larger_than_a_message_of_grpc_passes_whole() {
    let plane = Plane::start().await;
    let node = Node::new(&plane, "edge-1").await;
    let mut stream = node.connected(&plane).await;
    let mut large = config("a");
    let mut random = fastrand::Rng::with_seed(1);
    let (route, upstream) = (large.routes.remove(0), large.upstreams.remove(0));
    for number in 0..700 {
        let name = format!("u{number}");
        let (mut route, mut upstream) = (route.clone(), upstream.clone());
        (route.name, upstream.name) = (name.clone(), name.clone());
        route.r#match.as_mut().unwrap().path = format!("/{name}");
        route.targets[0].upstream.clone_from(&name);
        let value: String = std::iter::repeat_with(|| random.alphanumeric()).take(8000).collect();
        let header =
            raw::upstream::http::Header { name: "x-large".to_owned(), value: Some(value), ..Default::default() };
        upstream.http.as_mut().unwrap().headers.push(header);
        large.routes.push(route);
        large.upstreams.push(upstream);
    }
    plane.apply(large.clone()).await.unwrap();
    assert_eq!(stream.takes().await.number, 1);
    let mut configurations = plane.configurations().max_decoding_message_size(64 << 20);
    let got = configurations.get(plane.ask(GetVersionRequest::default())).await.unwrap().into_inner();
    assert_eq!(got.config, Some(large));
    plane.stop().await;
}
