//! A stream's deadlines, on a clock that the test turns.

use bytes::Bytes;
use hyper::rt::Executor as _;
use hyper_util::rt::TokioExecutor;
use shadowcat_config::{Digest, digest};
use shadowcat_proto::fleet::v1::control_message::Kind;
use shadowcat_proto::fleet::v1::{NodeHealth, SnapshotChunk};
use tonic::Code;

use super::*;
use crate::fleet::hub::Replicas;
use crate::fleet::streaming::{HELLO_DEADLINE, LAST_WORD, RECONNECT_GRACE, RECONNECT_WITHIN, STREAM_AGE};
use crate::observe::Metrics;
use crate::store::Version;

fn shared() -> Arc<Streams> {
    let hub = Arc::new(Hub::new("ours", Replicas::One, Metrics::new()));
    Arc::new(Streams { hub, notes: Arc::new(Notes::default()), stop: CancellationToken::new() })
}

/// A version that packs to several chunks.
fn publish(shared: &Streams, number: u64) {
    publish_bytes(shared, number, 3_000_000);
}

fn publish_bytes(shared: &Streams, number: u64, bytes: usize) {
    let mut random = fastrand::Rng::with_seed(number);
    let content: Bytes = std::iter::repeat_with(|| random.u8(..)).take(bytes).collect();
    let digest: Digest = digest(&content);
    let version = Version {
        fleet: "f".to_owned(),
        number,
        digest,
        parent: number - 1,
        author: String::new(),
        message: String::new(),
        created_at: SystemTime::now(),
        routes: 0,
        upstreams: 0,
    };
    shared.hub.publish(Head::new("ours", version, content).unwrap());
}

/// The node's end of a stream.
struct Node {
    says: mpsc::Sender<Result<NodeMessage, Status>>,
    hears: mpsc::Receiver<Result<ControlMessage, Status>>,
}

fn open(shared: &Arc<Streams>) -> Node {
    let (says, mut said) = mpsc::channel(1);
    let (outgoing, hears) = mpsc::channel(OUTGOING_MAX);
    let incoming = futures_util::stream::poll_fn(move |context| said.poll_recv(context));
    TokioExecutor::new().execute(serve(
        Arc::clone(shared),
        Peer::test(),
        async { Ok(Remembered::default()) },
        incoming,
        outgoing,
    ));
    Node { says, hears }
}

impl Node {
    async fn say(&self, kind: node_message::Kind) {
        self.says.send(Ok(NodeMessage { kind: Some(kind) })).await.unwrap();
    }

    async fn next(&mut self) -> Result<Kind, Status> {
        self.hears.recv().await.ok_or_else(|| Status::ok("the stream ended"))?.map(|message| message.kind.unwrap())
    }

    async fn last(&mut self) -> Status {
        loop {
            if let Err(status) = self.next().await {
                return status;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_does_not_begin_with_hello_ends() {
    let shared = shared();
    let began = Instant::now();
    assert_eq!(open(&shared).last().await.code(), Code::DeadlineExceeded);
    assert_eq!(began.elapsed(), HELLO_DEADLINE);

    let mut node = open(&shared);
    node.say(node_message::Kind::NodeHealth(NodeHealth::default())).await;
    assert_eq!(node.last().await.code(), Code::FailedPrecondition);
}

#[tokio::test(start_paused = true)]
async fn a_version_without_an_answer_ends_the_stream_whether_the_node_reads_or_not() {
    let shared = shared();
    publish(&shared, 1);
    for reads in [true, false] {
        let mut node = open(&shared);
        let began = Instant::now();
        node.say(node_message::Kind::Hello(Hello::default())).await;
        if reads {
            assert_eq!(node.last().await.code(), Code::DeadlineExceeded);
        } else {
            node.says.closed().await;
        }
        let after = began.elapsed();
        assert!((REPLY_DEADLINE..REPLY_DEADLINE + LAST_WORD * 2).contains(&after), "{after:?}");
        assert!(shared.hub.fleet("f").nodes().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_read_holds_eight_messages_and_one_snapshot_whatever_is_committed() {
    let shared = shared();
    publish(&shared, 1);
    let mut node = open(&shared);
    node.say(node_message::Kind::Hello(Hello::default())).await;
    for number in 2..20 {
        // The clock moves on when the stream has nothing to do any more.
        tokio::time::sleep(Duration::from_millis(10)).await;
        publish(&shared, number);
    }
    assert_eq!(node.hears.len(), OUTGOING_MAX);
    assert!(matches!(node.next().await.unwrap(), Kind::Welcome(_)));
    let mut index = 0;
    loop {
        let Kind::Snapshot(SnapshotChunk { r#ref, index: at, last, .. }) = node.next().await.unwrap() else {
            panic!("a snapshot goes on to its end")
        };
        assert_eq!((r#ref.unwrap().number, at), (1, index));
        index += 1;
        if last {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_waits_for_a_piece_of_a_snapshot_and_not_for_all_of_them() {
    let shared = shared();
    publish(&shared, 1);
    let mut node = open(&shared);
    node.say(node_message::Kind::Hello(Hello::default())).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(node.hears.len(), OUTGOING_MAX, "the transport is full, and pieces wait");
    let live = shared.hub.fleet("f").node("n").unwrap();
    let drain = shadowcat_proto::fleet::v1::command::Kind::Drain(shadowcat_proto::fleet::v1::Drain {});
    let read = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let mut before = 0;
        loop {
            match node.next().await.unwrap() {
                Kind::Command(_) => return before,
                Kind::Snapshot(piece) => assert!(!piece.last, "the command came after the last piece"),
                _ => {}
            }
            before += 1;
        }
    };
    let (_, before) = tokio::join!(live.ask(drain, Duration::from_secs(1)), read);
    assert_eq!(before, OUTGOING_MAX + 1, "what the transport had, and the piece that was next");
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_left_at_its_age_and_ended_if_it_is_not() {
    let shared = shared();
    let mut node = open(&shared);
    let began = Instant::now();
    node.say(node_message::Kind::Hello(Hello::default())).await;
    assert!(matches!(node.next().await.unwrap(), Kind::Welcome(_)));
    let Kind::Reconnect(reconnect) = node.next().await.unwrap() else { panic!("it is told to reconnect") };
    let age = began.elapsed();
    assert!((STREAM_AGE.mul_f64(0.8)..=STREAM_AGE.mul_f64(1.2)).contains(&age), "{age:?}");
    assert!(u128::from(reconnect.after_ms) <= RECONNECT_WITHIN.as_millis());
    assert_eq!(node.last().await.code(), Code::Unavailable);
    assert!(began.elapsed() <= age + RECONNECT_WITHIN + RECONNECT_GRACE);
}

#[tokio::test(start_paused = true)]
async fn askers_that_went_away_make_room_for_others() {
    let shared = shared();
    let mut node = open(&shared);
    node.say(node_message::Kind::Hello(Hello::default())).await;
    assert!(matches!(node.next().await.unwrap(), Kind::Welcome(_)));
    let live = shared.hub.fleet("f").node("n").unwrap();
    let drain = || shadowcat_proto::fleet::v1::command::Kind::Drain(shadowcat_proto::fleet::v1::Drain {});
    for round in 0..3 {
        let asks = (0..COMMANDS_MAX / 2).map(|_| live.ask(drain(), Duration::from_secs(2)));
        let read = async {
            for _ in 0..COMMANDS_MAX / 2 {
                assert!(matches!(node.next().await.unwrap(), Kind::Command(_)));
            }
        };
        let (answers, ()) = tokio::join!(futures_util::future::join_all(asks), read);
        assert!(answers.iter().all(|answer| *answer == Err(AskError::Silent)), "{round}: {answers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_answers_no_command_is_busy_until_its_askers_gave_up_and_is_asked_again_then() {
    let shared = shared();
    let mut node = open(&shared);
    node.say(node_message::Kind::Hello(Hello::default())).await;
    assert!(matches!(node.next().await.unwrap(), Kind::Welcome(_)));
    let live = shared.hub.fleet("f").node("n").unwrap();
    let drain = || shadowcat_proto::fleet::v1::command::Kind::Drain(shadowcat_proto::fleet::v1::Drain {});
    let asks = || (0..COMMANDS_MAX).map(|_| live.ask(drain(), Duration::from_secs(2)));
    // It does not even read: what nobody waits for any more is not sent when it does.
    let one_more = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        live.ask(drain(), Duration::from_secs(2)).await
    };
    let (answers, busy) = tokio::join!(futures_util::future::join_all(asks()), one_more);
    assert!(answers.iter().all(|answer| *answer == Err(AskError::Silent)), "{answers:?}");
    assert_eq!(busy, Err(AskError::Busy));

    let last = live.ask(drain(), Duration::from_secs(2));
    let read = async {
        let mut commands = 0;
        loop {
            let Kind::Command(command) = node.next().await.unwrap() else { panic!("a command") };
            commands += 1;
            if command.id > COMMANDS_MAX as u64 {
                let kind = Some(shadowcat_proto::fleet::v1::command_reply::Kind::Failed("no".to_owned()));
                node.say(node_message::Kind::CommandReply(CommandReply { id: command.id, kind })).await;
                return commands;
            }
        }
    };
    let (last, commands) = tokio::join!(last, read);
    assert_eq!(last, Err(AskError::Failed("no".to_owned())));
    assert_eq!(commands, OUTGOING_MAX + 1, "the transport had taken a few");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_refuses_without_reading_is_given_up() {
    let shared = shared();
    let node = open(&shared);
    node.say(node_message::Kind::Hello(Hello::default())).await;
    for number in 1..=200 {
        if node.says.is_closed() {
            return;
        }
        publish_bytes(&shared, number, 1_000);
        let reference = shared.hub.fleet("f").head().unwrap().snapshot.reference().clone();
        tokio::time::sleep(Duration::from_millis(10)).await;
        let state = shadowcat_proto::fleet::v1::config_status::State::Rejected.into();
        let status = ConfigStatus { r#ref: Some(reference), state, ..ConfigStatus::default() };
        let _ = node.says.send(Ok(NodeMessage { kind: Some(node_message::Kind::ConfigStatus(status)) })).await;
    }
    panic!("the queue grows without an end");
}
