//! Nodes: how they come, how they are known, and how they go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shadowcat_control_plane::store::{NewJoinToken, Outcome, Role};
use shadowcat_control_plane::token::JoinToken;
use shadowcat_net::Fingerprint;
use shadowcat_proto::admin::v1::{
    self as api, DrainNodeRequest, EndSessionsRequest, GetNodeRequest, GetSessionRequest, ListAuditRequest,
    ListNodesRequest, ListSessionsRequest, RemoveNodeRequest, node,
};
use shadowcat_proto::fleet::v1::config_status::State;
use shadowcat_proto::fleet::v1::control_message::Kind;
use shadowcat_proto::fleet::v1::{
    Draining, EndedSessions, Hello, JoinRequest, Session, SessionPage, command, command_reply,
    fleet_client::FleetClient,
};
use sqlx::{Connection as _, SqliteConnection};
use tonic::Code;

use crate::harness::{Plane, config, database, directory, eventually, with_token};
use crate::node::Node;

/// A node as `nodes show` prints it.
pub(crate) async fn shown(plane: &Plane, name: &str) -> api::Node {
    let request = GetNodeRequest { node: name.to_owned(), ..GetNodeRequest::default() };
    plane.nodes().get(plane.ask(request)).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_join_token_names_the_authority_and_is_good_for_as_many_nodes_as_it_says() {
    let plane = Plane::start().await;
    let token = plane.join_token(2).await;
    let parsed: JoinToken = token.parse().unwrap();
    assert_eq!(parsed.authority(), Fingerprint::of(&plane.authority));
    Node::join(&plane, &token, "one").await.unwrap();
    let made_up = Node::join(&plane, &token, "").await.unwrap().name;
    assert!(made_up.starts_with("node-"), "{made_up}");
    let refused = Node::join(&plane, &token, "three").await.err().unwrap();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    plane.stop().await;
}

#[tokio::test]
async fn a_token_that_is_wrong_or_has_expired_is_refused_in_words_and_audited() {
    let plane = Plane::start().await;
    let unknown = JoinToken::generate(Fingerprint::of(&plane.authority)).unwrap();
    let expired = JoinToken::generate(Fingerprint::of(&plane.authority)).unwrap();
    let row = NewJoinToken {
        hash: expired.hash(),
        fleet: "default".to_owned(),
        uses: 1,
        expires_at: std::time::SystemTime::now() - Duration::from_secs(1),
    };
    let by = shadowcat_control_plane::store::Actor {
        fleet: "default".to_owned(),
        name: "test".to_owned(),
        address: String::new(),
        verb: "nodes.create_join_token".to_owned(),
        resource: String::new(),
    };
    plane.store.create_join_token(row, by).await.unwrap();
    let mut words = Vec::new();
    for token in ["no token at all".to_owned(), unknown.reveal(), expired.reveal()] {
        let refused = Node::join(&plane, &token, "edge-1").await.err().unwrap();
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
        words.push(refused.message().to_owned());
    }
    words.dedup();
    assert_eq!(words.len(), 3, "each has its word: {words:?}");
    let audit = plane.fleets().list_audit(plane.ask(ListAuditRequest::default())).await.unwrap().into_inner();
    let denied = audit.records.iter().filter(|record| record.outcome() == api::audit_record::Outcome::Denied);
    assert!(denied.clone().all(|record| record.verb == "nodes.join"));
    assert_eq!(denied.count(), 3, "{:?}", audit.records);
    plane.stop().await;
}

#[tokio::test]
async fn a_request_that_cannot_be_signed_costs_no_use_of_a_token() {
    let plane = Plane::start().await;
    let token = plane.join_token(1).await;
    let request = JoinRequest { token: token.clone(), signing_request: "nonsense".into(), node: "edge-1".to_owned() };
    let refused = FleetClient::new(plane.secured(None)).join(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    Node::join(&plane, &token, "edge-1").await.unwrap();
    plane.stop().await;
}

#[tokio::test]
async fn a_stream_without_a_certificate_is_refused() {
    let plane = Plane::start().await;
    for channel in [plane.secured(None), plane.plain()] {
        let refused = FleetClient::new(channel).sync(futures_util::stream::pending()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
        assert!(refused.message().contains("join with a token"), "{}", refused.message());
    }
    plane.stop().await;
}

#[tokio::test]
async fn of_two_instances_with_one_name_the_newest_wins() {
    let plane = Plane::start().await;
    let node = Node::new(&plane, "edge-1").await;
    let hello = |instance: &str| Hello { instance: instance.to_owned(), ..Hello::default() };
    let mut old = node.connect(&plane, hello("first")).await.unwrap();
    old.welcomed().await;
    let mut new = node.connect(&plane, hello("second")).await.unwrap();
    new.welcomed().await;
    assert_eq!(old.ended().await.code(), Code::AlreadyExists);
    plane.apply(config("a")).await.unwrap();
    new.takes().await;
    assert_eq!(shown(&plane, "edge-1").await.instance, "second");
    plane.stop().await;
}

#[tokio::test]
async fn of_two_instances_with_one_name_at_two_replicas_the_newest_wins() {
    let dir = directory();
    let store = database(&dir).await;
    let (here, there) = (Plane::on(Arc::clone(&store), Arc::clone(&dir)).await, Plane::on(store, dir).await);
    let node = Node::new(&here, "edge-1").await;
    let hello = |instance: &str| Hello { instance: instance.to_owned(), ..Hello::default() };
    let kept = async |instance: &str| {
        eventually("it is noted", || async {
            here.store.node("default", "edge-1").await.unwrap().unwrap().seen.instance == instance
        })
        .await;
    };
    let mut old = node.connect(&here, hello("first")).await.unwrap();
    old.welcomed().await;
    kept("first").await;
    let mut new = node.connect(&there, hello("second")).await.unwrap();
    new.welcomed().await;
    kept("second").await;
    here.apply(config("a")).await.unwrap();
    // The old one is heard of once more, and with that hears that its name is another's.
    let status = old.snapshot().await;
    old.status(&status, State::Rejected).await;
    assert_eq!(old.ended().await.code(), Code::AlreadyExists);
    new.takes().await;
    kept("second").await;
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn nobody_joins_under_the_name_of_a_node_that_is_connected_and_who_was_away_hears_of_the_other() {
    const WORD: &str = "another machine has joined under this node's name";
    let dir = directory();
    let plane = Plane::on(database(&dir).await, Arc::clone(&dir)).await;
    let first = Node::new(&plane, "edge-1").await;
    let stream = first.connected(&plane).await;
    let token = plane.join_token(1).await;
    let taken = Node::join(&plane, &token, "edge-1").await.err().unwrap();
    assert!(taken.code() == Code::AlreadyExists && taken.message().contains("is connected"), "{taken}");
    let denied = plane.store.audit("default", 0, 1).await.unwrap();
    assert!(denied[0].outcome == Outcome::Denied && denied[0].reason.contains("is connected"), "{denied:?}");
    drop(stream);
    eventually("it is away", || async { shown(&plane, "edge-1").await.state() == node::State::Away }).await;
    Node::join(&plane, &token, "edge-1").await.expect("the refusal has taken no use of the token");
    // A minute later, which the test does not wait for.
    let url = format!("sqlite:{}", dir.path().join("test.db").display());
    let mut beside = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("UPDATE nodes SET joined_at = joined_at + 60000").execute(&mut beside).await.unwrap();
    let mut again = first.connect(&plane, Hello::default()).await.unwrap();
    let refused = again.ended().await;
    assert!(refused.code() == Code::PermissionDenied && refused.message().contains(WORD), "{refused}");
    plane.stop().await;
}

#[tokio::test]
async fn a_removed_node_is_gone_within_a_second_and_does_not_come_back_without_a_token() {
    let plane = Plane::start().await;
    let mut node = Node::new(&plane, "edge-1").await;
    let mut stream = node.connected(&plane).await;
    let began = Instant::now();
    let request = RemoveNodeRequest { node: "edge-1".to_owned(), ..RemoveNodeRequest::default() };
    plane.nodes().remove(plane.ask(request.clone())).await.unwrap();
    assert_eq!(stream.ended().await.code(), Code::PermissionDenied);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let mut again = node.connect(&plane, Hello::default()).await.unwrap();
    assert_eq!(again.ended().await.code(), Code::PermissionDenied);
    assert_eq!(node.renew(&plane).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(plane.nodes().remove(plane.ask(request)).await.unwrap_err().code(), Code::NotFound);

    Node::new(&plane, "edge-1").await.connected(&plane).await;
    plane.stop().await;
}

#[tokio::test]
async fn a_certificate_is_renewed_and_the_new_one_opens_a_stream() {
    let plane = Plane::start().await;
    let mut node = Node::new(&plane, "edge-1").await;
    let before = node.chain[0].clone();
    node.renew(&plane).await.unwrap();
    assert_ne!(node.chain[0], before);
    node.connected(&plane).await;
    plane.stop().await;
}

#[tokio::test]
async fn a_node_that_leaves_is_shown_as_away_at_once() {
    let plane = Plane::start().await;
    let node = Node::new(&plane, "edge-1").await;
    let stream = node.connected(&plane).await;
    assert_eq!(shown(&plane, "edge-1").await.state(), node::State::Connected);
    drop(stream);
    eventually("it is away", || async { shown(&plane, "edge-1").await.state() == node::State::Away }).await;
    plane.stop().await;
}

#[tokio::test]
async fn who_may_not_end_a_session_sees_the_beginning_of_its_id() {
    let plane = Plane::start().await;
    let node = Node::new(&plane, "one").await;
    let mut stream = node.connected(&plane).await;
    for (role, seen) in [(Role::Viewer, "01234567"), (Role::Operator, "0123456789abcdef")] {
        let token = plane.token_of(role).await;
        let answer = async {
            for _ in 0..2 {
                let Kind::Command(command) = stream.next().await.unwrap() else { panic!("a command") };
                let sessions = vec![Session { id: "0123456789abcdef".to_owned(), ..Session::default() }];
                let page = SessionPage { sessions, next: String::new() };
                stream.reply(command.id, command_reply::Kind::Sessions(page)).await;
            }
        };
        let ask = async {
            let mut sessions = plane.sessions();
            let listed = sessions.list(with_token(ListSessionsRequest::default(), &token)).await.unwrap().into_inner();
            let get = GetSessionRequest { id: "0123456789abcdef".to_owned(), ..GetSessionRequest::default() };
            let got = sessions.get(with_token(get, &token)).await.unwrap().into_inner();
            [listed.sessions[0].clone(), got].map(|session| session.session.unwrap().id)
        };
        let ((), ids) = tokio::join!(answer, ask);
        assert_eq!(ids, [seen, seen], "{role:?}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn sessions_are_asked_of_every_node_and_the_silent_ones_are_named() {
    let plane = Plane::start().await;
    let (one, mute) = (Node::new(&plane, "one").await, Node::new(&plane, "mute").await);
    let (mut one, _mute) = (one.connected(&plane).await, mute.connected(&plane).await);
    let answer = async {
        let Kind::Command(command) = one.next().await.unwrap() else { panic!("a command") };
        assert!(matches!(command.kind, Some(command::Kind::ListSessions(_))));
        let session = Session { id: "s1".to_owned(), ..Session::default() };
        one.reply(
            command.id,
            command_reply::Kind::Sessions(SessionPage { sessions: vec![session], next: String::new() }),
        )
        .await;
        let Kind::Command(command) = one.next().await.unwrap() else { panic!("a command") };
        assert!(matches!(&command.kind, Some(command::Kind::EndSessions(end)) if end.ids == ["s1"]));
        one.reply(command.id, command_reply::Kind::Ended(EndedSessions { count: 1 })).await;
    };
    let ask = async {
        let mut sessions = plane.sessions();
        let listed = sessions.list(plane.ask(ListSessionsRequest::default())).await.unwrap().into_inner();
        assert_eq!(listed.sessions.len(), 1);
        assert_eq!(listed.sessions[0].node, "one");
        assert_eq!(listed.silent, ["mute"]);
        let end = EndSessionsRequest { ids: vec!["s1".to_owned()], ..EndSessionsRequest::default() };
        let ended = sessions.end(plane.ask(end)).await.unwrap().into_inner();
        assert_eq!((ended.count, ended.silent), (1, vec!["mute".to_owned()]));
    };
    tokio::join!(answer, ask);
    plane.stop().await;
}

#[tokio::test]
async fn a_node_is_told_to_drain() {
    let plane = Plane::start().await;
    let node = Node::new(&plane, "edge-1").await;
    let mut stream = node.connected(&plane).await;
    let request = DrainNodeRequest { node: "edge-1".to_owned(), ..DrainNodeRequest::default() };
    let answer = async {
        let Kind::Command(command) = stream.next().await.unwrap() else { panic!("a command") };
        stream.reply(command.id, command_reply::Kind::Draining(Draining { grace_ms: 30_000 })).await;
    };
    let mut nodes = plane.nodes();
    let (drained, ()) = tokio::join!(nodes.drain(plane.ask(request)), answer);
    assert_eq!(drained.unwrap().into_inner().grace_ms, 30_000);
    let listed = nodes.list(plane.ask(ListNodesRequest::default())).await.unwrap().into_inner();
    assert_eq!(listed.nodes[0].state(), node::State::Draining);
    plane.stop().await;
}

#[tokio::test]
async fn a_control_plane_that_stops_says_so_to_its_nodes() {
    let plane = Plane::start().await;
    let node = Node::new(&plane, "edge-1").await;
    let mut stream = node.connected(&plane).await;
    let (ended, ()) = tokio::join!(stream.ended(), plane.stop());
    assert_eq!(ended.code(), Code::Unavailable, "{ended}");
}

#[tokio::test]
async fn a_page_of_sessions_goes_on_where_each_node_ended_and_tells_what_nodes_share_once() {
    let plane = Plane::start().await;
    let (one, two) = (Node::new(&plane, "one").await, Node::new(&plane, "two").await);
    let (mut one, mut two) = (one.connected(&plane).await, two.connected(&plane).await);
    let ids = ["s1", "s2", "s3"];
    // Both have the same three sessions, and page through them alike.
    let serve = async |stream: &mut crate::node::Stream| {
        for _ in 0..2 {
            let Kind::Command(command) = stream.next().await.unwrap() else { panic!("a command") };
            let Some(command::Kind::ListSessions(list)) = command.kind else { panic!("a list") };
            let begin: usize = list.cursor.parse().unwrap_or(0);
            let end = ids.len().min(begin + list.limit as usize);
            let session = |id: &&str| Session { id: (*id).to_owned(), ..Session::default() };
            let next = if end < ids.len() { end.to_string() } else { String::new() };
            let page = SessionPage { sessions: ids[begin..end].iter().map(session).collect(), next };
            stream.reply(command.id, command_reply::Kind::Sessions(page)).await;
        }
    };
    let ask = async {
        let mut told = Vec::new();
        let mut request = ListSessionsRequest { limit: 2, ..ListSessionsRequest::default() };
        loop {
            let page = plane.sessions().list(plane.ask(request.clone())).await.unwrap().into_inner();
            assert!(page.sessions.len() <= 2);
            told.extend(page.sessions.into_iter().map(|session| session.session.unwrap().id));
            if page.next.is_empty() {
                return told;
            }
            request.cursor = page.next;
        }
    };
    let (told, (), ()) = tokio::join!(ask, serve(&mut one), serve(&mut two));
    assert_eq!(told, ids);
    plane.stop().await;
}
