//! Tapes on their way from nodes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use shadowcat_control_plane::store;
use shadowcat_control_plane::tapes::index::{self, Filter, Index, What};
use shadowcat_proto::admin::v1::RemoveNodeRequest;
use shadowcat_proto::fleet::v1::ship_reply::Kind;
use shadowcat_proto::fleet::v1::{LiveRecords, Traffic, ship_message};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
use tempfile::TempDir;
use tonic::Code;

use crate::harness::{Plane, database, directory, eventually};
use crate::node::Node;
use crate::postgres_server::PostgresServer;
use crate::spool::{CALLS, RECORDS, Segment, Shipping};

/// How often the control plane is killed between the bytes of a segment and its acknowledgement.
const KILLS: u64 = 100;

/// The same where the index is in Postgres.
const KILLS_WITH_POSTGRES: u64 = 30;

/// Lives of a control plane that may end elsewhere for each that ends there.
const LIVES_A_KILL: u64 = 5;

/// With this seed every run kills at the same moments, as far as a machine lets it.
const SEED: u64 = 7;

/// The longest that a control plane lives once the bytes of a segment are there, in microseconds: adjusted so that half of them have told
/// the index by then.
const GOES_ON_MIN: u64 = 4_000;
const GOES_ON_MAX: u64 = 2_000_000;

/// Segments that a node records between two kills.
const RECORDED: u64 = 2;

async fn shipping(plane: &Plane, node: &Node) -> Shipping {
    Shipping::begin(node, plane.grpc, &plane.authority).await.unwrap()
}

fn segments(numbers: impl IntoIterator<Item = u64>) -> BTreeMap<u64, Segment> {
    numbers.into_iter().map(|number| (number, Segment::new(number))).collect()
}

pub(crate) async fn index_in(directory: &Path) -> Arc<dyn Index> {
    index::open(&format!("sqlite:{}", directory.join("control-plane.db").display())).await.unwrap()
}

pub(crate) fn all() -> Filter {
    Filter { fleet: "default".to_owned(), ..Filter::default() }
}

/// The objects that are kept in a directory.
pub(crate) fn objects(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(objects(&entry.path()));
        } else {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_segment_that_is_stored_is_there_with_its_messages_and_is_not_sent_again() {
    let dir = directory();
    let plane = Plane::on(database(&dir).await, Arc::clone(&dir)).await;
    let node = Node::new(&plane, "edge-1").await;
    let apart = vec![b"\"large\"".repeat(20_000), b"\"larger\"".repeat(30_000)];
    let mut stream = shipping(&plane, &node).await;
    let segment = Segment::with(1, apart);
    stream.ship(&mut BTreeMap::from([(1, segment.clone())])).await.unwrap();

    let index = index_in(dir.path()).await;
    let found = index.search(&all(), What::Calls, None, 100).await.unwrap();
    assert_eq!((found.len() as u64, &*found[0].node, found[0].latency), (CALLS, "edge-1", Some(1_000)));
    assert_eq!(objects(&dir.path().join("tapes/segments")).len(), 1);
    assert_eq!(objects(&dir.path().join("tapes/blobs")).len(), 2);
    assert_eq!(index.totals("default").await.unwrap().messages, 2);

    stream.offer(&segment).await;
    assert!(matches!(stream.next().await.unwrap(), Kind::Stored(_)), "it is known");
    // What another segment has too is not wanted again.
    let next = Segment::with(2, segment.messages.clone());
    stream.offer(&next).await;
    let Kind::Wanted(wanted) = stream.next().await.unwrap() else { panic!("it is wanted") };
    assert!(wanted.blobs.is_empty());
    assert_eq!(index.sources("default").await.unwrap()[0].repeated, 1);
    let key = stream.key.clone();
    assert_eq!(shipping(&plane, &node).await.key, key, "a fleet has one key");
    plane.stop().await;
}

#[tokio::test]
async fn what_is_damaged_is_kept_and_what_is_not_what_was_offered_is_refused() {
    let dir = directory();
    let plane = Plane::on(database(&dir).await, Arc::clone(&dir)).await;
    let node = Node::new(&plane, "edge-1").await;
    let mut stream = shipping(&plane, &node).await;
    let mut damaged = Segment::new(1);
    let middle = damaged.sealed.len() / 2;
    damaged.sealed[middle] ^= 0x10;
    stream.ship(&mut BTreeMap::from([(1, damaged)])).await.unwrap();
    let index = index_in(dir.path()).await;
    let source = &index.sources("default").await.unwrap()[0];
    assert!(!source.gaps.is_empty() && source.gaps.iter().all(|gap| gap.why == "corrupt"), "{:?}", source.gaps);
    assert_eq!(objects(&dir.path().join("tapes/segments")).len(), 1, "the bytes are kept as they came");

    let (offered, mut sent) = (Segment::new(2), Segment::new(2));
    sent.sealed[middle] ^= 0x10;
    stream.offer(&offered).await;
    let Kind::Wanted(wanted) = stream.next().await.unwrap() else { panic!("it is wanted") };
    stream.send(&sent, &wanted).await;
    let Kind::Refused(refused) = stream.next().await.unwrap() else { panic!("it is refused") };
    assert!(refused.why.contains("its digest is another"), "{}", refused.why);
    stream.ship(&mut BTreeMap::from([(2, offered)])).await.unwrap();
    plane.stop().await;
}

/// What is missing of the one source there is, and why, with the frames that are found.
async fn missing(directory: &Path) -> (Vec<(u64, u64, String)>, u64, Vec<String>) {
    let index = index_in(directory).await;
    let source = index.sources("default").await.unwrap().remove(0);
    index.close().await;
    let gaps = source.gaps.iter().map(|gap| (gap.after, gap.before, gap.why.clone())).collect();
    (gaps, source.frames, source.gaps.into_iter().map(|gap| gap.detail).collect())
}

#[tokio::test]
async fn what_the_index_will_not_have_is_kept_as_bytes_acknowledged_and_told() {
    let dir = directory();
    let plane = Plane::on(database(&dir).await, Arc::clone(&dir)).await;
    let node = Node::new(&plane, "edge-1").await;
    let url = format!("sqlite:{}", dir.path().join("tapes.db").display());
    let mut beside = SqliteConnection::connect(&url).await.unwrap();
    let trigger = format!(
        "CREATE TRIGGER bug BEFORE INSERT ON frames WHEN NEW.seq = {} BEGIN SELECT RAISE(ABORT, 'a bug of ours'); END",
        RECORDS + 5
    );
    sqlx::raw_sql(AssertSqlSafe(trigger)).execute(&mut beside).await.unwrap();
    let mut stream = shipping(&plane, &node).await;
    // One says that it is another, besides.
    let mut waiting = segments([1, 2, 3, 5]);
    waiting.insert(4, Segment { sequence: 4, records: Segment::new(4).records, ..Segment::new(9) });
    stream.ship(&mut waiting).await.unwrap();
    let (gaps, frames, details) = missing(dir.path()).await;
    let gap = |sequence: u64| ((sequence - 1) * RECORDS, sequence * RECORDS + 1, "not_indexed".to_owned());
    assert_eq!((gaps, frames), (vec![gap(2), gap(4)], 3 * 2 * CALLS));
    assert!(details[0].contains("a bug of ours") && details[1].contains("it is segment 9"), "{details:?}");
    for (sequence, detail) in [(2, &details[0]), (4, &details[1])] {
        let object = detail.split(" is kept in ").nth(1).unwrap().split(',').next().unwrap();
        let kept = std::fs::read(dir.path().join("tapes").join(object)).unwrap();
        let sent = if sequence == 2 { Segment::new(2) } else { Segment::new(9) };
        assert_eq!(kept, sent.sealed, "{object}");
    }
    let told = plane.get("/metrics").await;
    assert!(
        told.contains("shadowcat_tapes_segments_unread_total{fleet=\"default\",reason=\"not_indexed\"} 2"),
        "{told}"
    );
    stream.offer(&Segment::new(2)).await;
    assert!(matches!(stream.next().await.unwrap(), Kind::Stored(_)), "it is known");
    plane.stop().await;
}

#[tokio::test]
async fn nobody_ships_for_another_node_and_nobodys_bytes_take_the_place_of_others() {
    let dir = directory();
    let plane = Plane::on(database(&dir).await, Arc::clone(&dir)).await;
    let (honest, other) = (Node::new(&plane, "edge-1").await, Node::new(&plane, "edge-2").await);
    // It has heard of the instance, and is first.
    let mut claimed = segments(1..=2);
    claimed.get_mut(&2).unwrap().sealed = b"of no use".to_vec();
    shipping(&plane, &other).await.ship(&mut claimed).await.unwrap();
    shipping(&plane, &honest).await.ship(&mut segments(1..=2)).await.unwrap();
    let index = index_in(dir.path()).await;
    let of = |node: &str| Filter { node: node.to_owned(), ..all() };
    let found = async |node: &str| index.search(&of(node), What::Frames, None, 100).await.unwrap().len() as u64;
    assert_eq!((found("edge-1").await, found("edge-2").await), (2 * 2 * CALLS, 2 * CALLS));
    let told: Vec<_> = index.sources("default").await.unwrap();
    let told: BTreeMap<_, _> =
        told.iter().map(|source| (&*source.node, (source.segments, source.gaps.len()))).collect();
    assert_eq!(told, BTreeMap::from([("edge-1", (2, 0)), ("edge-2", (2, 1))]));
    assert_eq!(objects(&dir.path().join("tapes/segments")).len(), 4);
    plane.stop().await;
}

#[tokio::test]
async fn two_machines_that_use_copies_of_one_data_directory_lose_nothing_silently() {
    let dir = directory();
    let plane = Plane::on(database(&dir).await, Arc::clone(&dir)).await;
    let node = Node::new(&plane, "edge-1").await;
    let (mut one, mut copy) = (shipping(&plane, &node).await, shipping(&plane, &node).await);
    one.ship(&mut segments(1..=2)).await.unwrap();
    // What both had when it was copied is stored once; what came after is of either.
    let went_on = Segment::with(2, vec![b"\"of the copy\"".repeat(10_000)]);
    copy.ship(&mut BTreeMap::from([(1, Segment::new(1)), (2, went_on)])).await.unwrap();
    one.ship(&mut segments([3])).await.unwrap();
    let (gaps, frames, details) = missing(dir.path()).await;
    assert_eq!((gaps, frames), (vec![(RECORDS, 2 * RECORDS + 1, "twin".to_owned())], 3 * 2 * CALLS));
    assert!(details[0].contains("give each a directory of its own"), "{details:?}");
    assert_eq!(objects(&dir.path().join("tapes/segments")).len(), 4);
    assert_eq!(objects(&dir.path().join("tapes/blobs")).len(), 1, "its message is kept with it");
    plane.stop().await;
}

#[tokio::test]
async fn a_message_that_is_damaged_costs_its_segment_nothing_else() {
    let dir = directory();
    let plane = Plane::on(database(&dir).await, Arc::clone(&dir)).await;
    let node = Node::new(&plane, "edge-1").await;
    let mut stream = shipping(&plane, &node).await;
    let segment = Segment::with(1, vec![b"\"large\"".repeat(20_000)]);
    stream.offer(&segment).await;
    let Kind::Wanted(wanted) = stream.next().await.unwrap() else { panic!("it is wanted") };
    let mut pieces = segment.pieces(&wanted);
    let mut bytes = pieces[0].bytes.to_vec();
    *bytes.last_mut().unwrap() ^= 0x10;
    pieces[0].bytes = bytes.into();
    for piece in pieces {
        stream.say(ship_message::Kind::Chunk(piece)).await;
    }
    assert!(matches!(stream.next().await.unwrap(), Kind::Stored(_)));
    let (gaps, frames, details) = missing(dir.path()).await;
    assert_eq!((gaps, frames), (vec![(0, RECORDS + 1, "corrupt".to_owned())], 2 * CALLS));
    assert!(details[0].contains(blake3::hash(&segment.messages[0]).to_hex().as_str()), "{details:?}");
    plane.stop().await;
}

#[tokio::test]
async fn a_node_that_was_removed_ships_nothing() {
    let plane = Plane::start().await;
    let node = Node::new(&plane, "edge-1").await;
    let mut stream = shipping(&plane, &node).await;
    let _sync = node.connected(&plane).await;
    stream.say(ship_message::Kind::Traffic(Traffic::default())).await;
    stream.say(ship_message::Kind::Live(LiveRecords::default())).await;
    let request = RemoveNodeRequest { node: "edge-1".to_owned(), ..RemoveNodeRequest::default() };
    plane.nodes().remove(plane.ask(request)).await.unwrap();
    let ended = loop {
        if let Err(ended) = stream.next().await {
            break ended;
        }
    };
    assert_eq!(ended.code(), Code::PermissionDenied);
    let Err(refused) = Shipping::begin(&node, plane.grpc, &plane.authority).await else { panic!("it is refused") };
    assert_eq!(refused.code(), Code::PermissionDenied);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_place_for_bytes_is_away_nothing_is_acknowledged_and_nothing_is_lost() {
    let dir = directory();
    let plane = Plane::on(database(&dir).await, Arc::clone(&dir)).await;
    let node = Node::new(&plane, "edge-1").await;
    let mut stream = shipping(&plane, &node).await;
    let (place, aside) = (dir.path().join("tapes"), dir.path().join("aside"));
    std::fs::rename(&place, &aside).unwrap();
    std::fs::write(&place, b"no directory").unwrap();
    let mut waiting = segments(1..=8);
    let shipped = async {
        stream.ship(&mut waiting).await.unwrap();
        waiting.len()
    };
    let mended = async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let index = index_in(dir.path()).await;
        assert!(index.search(&all(), What::Frames, None, 1).await.unwrap().is_empty());
        std::fs::remove_file(&place).unwrap();
        std::fs::rename(&aside, &place).unwrap();
    };
    assert_eq!(tokio::join!(shipped, mended).0, 0);
    stored_once(dir.path(), 8).await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_index_is_away_nothing_is_acknowledged_and_nothing_is_lost() {
    let dir = directory();
    let plane = Plane::on(database(&dir).await, Arc::clone(&dir)).await;
    let node = Node::new(&plane, "edge-1").await;
    let mut stream = shipping(&plane, &node).await;
    let mut waiting = segments(1..=4);
    stream.ship(&mut waiting).await.unwrap();
    let (place, aside) = (dir.path().join("tapes.db"), dir.path().join("aside.db"));
    std::fs::rename(&place, &aside).unwrap();
    let config = plane.apply(crate::harness::config("a")).await;
    assert!(config.is_ok(), "configurations do not wait for tapes");
    waiting.extend(segments(5..=8));
    let gone = async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        std::fs::rename(&aside, &place).unwrap();
    };
    let (shipped, ()) = tokio::join!(stream.ship(&mut waiting), gone);
    shipped.unwrap();
    stored_once(dir.path(), 8).await;
    plane.stop().await;
}

/// Every segment up to this one is stored once, and every frame is found once.
async fn stored_once(directory: &Path, last: u64) {
    stored_once_in(&index_in(directory).await, directory, last).await;
}

async fn stored_once_in(index: &Arc<dyn Index>, directory: &Path, last: u64) {
    let found = index.search(&all(), What::Frames, None, 100_000).await.unwrap();
    let mut places: Vec<u64> = found.iter().map(|frame| frame.seq).collect();
    places.reverse();
    // All records but the head of each segment.
    let recorded: Vec<u64> = (1..=last * RECORDS).filter(|seq| seq % RECORDS != 1).collect();
    assert!(places == recorded, "{} frames are found, and {} were recorded", places.len(), recorded.len());
    let source = &index.sources("default").await.unwrap()[0];
    assert_eq!((source.segments, source.frames), (last, last * 2 * CALLS));
    assert!(source.gaps.is_empty(), "{:?}", source.gaps);
    let tape = &index.tapes(&all(), None, 10).await.unwrap()[0];
    assert_eq!((tape.frames, tape.calls), (last * 2 * CALLS, last * CALLS));
    assert_eq!(kept_segments(directory), last);
    index.close().await;
}

/// Segments whose bytes are kept.
fn kept_segments(directory: &Path) -> u64 {
    objects(&directory.join("tapes/segments")).iter().filter(|name| name.ends_with(".zst")).count() as u64
}

/// A control plane in a process of its own, which is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) grpc: SocketAddr,
}

impl Process {
    pub(crate) fn start(directory: &Path) -> Self {
        Self::start_on(directory, &format!("sqlite:{}", directory.join("test.db").display()))
    }

    fn start_on(directory: &Path, database: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_shadowcat-control-plane"))
            .env_clear()
            .args(["--bind", "127.0.0.1:0", "--console-bind", "127.0.0.1:0", "--log-format", "json", "--data-dir"])
            .arg(directory)
            .args(["--database", database])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let grpc = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, address) = line.split_once("nodes and operators on https://")?;
            address.split('"').next()?.parse().ok()
        });
        // Whatever it says after that is of no interest, and must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, grpc: grpc.expect("it says where it listens") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tape_acknowledgement_means_durable() {
    let dir = directory();
    let database = format!("sqlite:{}", dir.path().join("test.db").display());
    let index = format!("sqlite:{}", dir.path().join("control-plane.db").display());
    kill_before_acknowledgements(&dir, (&database, &index), KILLS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tape_acknowledgement_means_durable_in_postgres() {
    let database = PostgresServer::shared().await.database().await;
    kill_before_acknowledgements(&directory(), (&database, &database), KILLS_WITH_POSTGRES).await;
}

/// Kills a control plane so many times while it has the bytes of a segment and has not acknowledged it. Whatever was acknowledged
/// before is stored, and afterwards everything is, once.
async fn kill_before_acknowledgements(dir: &Arc<TempDir>, (database, index): (&str, &str), kills: u64) {
    let plane = Plane::on(store::open(database).await.unwrap(), Arc::clone(dir)).await;
    let node = Node::new(&plane, "edge-1").await;
    let authority = plane.authority.clone();
    plane.stop().await;

    let mut random = fastrand::Rng::with_seed(SEED);
    let (mut waiting, mut last, mut lives) = (BTreeMap::new(), 0, 0);
    let (mut uncommitted, mut committed, mut goes_on) = (0, 0, GOES_ON_MIN);
    while uncommitted + committed < kills {
        lives += 1;
        assert!(lives <= LIVES_A_KILL * kills, "{lives} lives, of which {uncommitted} and {committed} ended there");
        waiting.extend(segments(last + 1..=last + RECORDED));
        last += RECORDED;
        let kept = kept_segments(dir.path());
        let process = Process::start_on(dir.path(), database);
        let shipped = async {
            Shipping::begin(&node, process.grpc, &authority).await.unwrap().ship(&mut waiting).await.unwrap();
        };
        let kept_more = async {
            while kept_segments(dir.path()) == kept {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            () = shipped => {}
            () = kept_more => {}
        }
        // Nothing that it says from here on is read.
        tokio::time::sleep(Duration::from_micros(random.u64(0..goes_on))).await;
        drop(process);
        let acknowledged = last - waiting.len() as u64;
        let opened = index::open(index).await.unwrap();
        let indexed = opened.sources("default").await.unwrap().first().map_or(0, |source| source.segments);
        opened.close().await;
        assert!(indexed >= acknowledged, "{acknowledged} segments were acknowledged, and {indexed} are stored");
        let kept = kept_segments(dir.path());
        goes_on = if kept > indexed { 2 * goes_on } else { goes_on / 2 }.clamp(GOES_ON_MIN, GOES_ON_MAX);
        uncommitted += u64::from(kept > indexed);
        committed += u64::from(kept == indexed && kept > acknowledged);
    }
    eprintln!(
        "{lives} lives, of which {uncommitted} ended before the index had a segment, and {committed} before it was acknowledged"
    );
    assert!(uncommitted > 0 && committed > 0, "{uncommitted} and {committed}");
    let process = Process::start_on(dir.path(), database);
    Shipping::begin(&node, process.grpc, &authority).await.unwrap().ship(&mut waiting).await.unwrap();
    drop(process);
    stored_once_in(&index::open(index).await.unwrap(), dir.path(), last).await;
}

#[tokio::test]
async fn what_is_not_acknowledged_when_the_control_plane_stops_is_taken_again() {
    let dir = directory();
    let store = database(&dir).await;
    let plane = Plane::on(Arc::clone(&store), Arc::clone(&dir)).await;
    let node = Node::new(&plane, "edge-1").await;
    let mut stream = shipping(&plane, &node).await;
    stream.offer(&Segment::new(1)).await;
    assert!(matches!(stream.next().await.unwrap(), Kind::Wanted(_)));
    plane.stop().await;
    assert_eq!(stream.next().await.unwrap_err().code(), Code::Unavailable);
    let plane = Plane::on(database(&dir).await, Arc::clone(&dir)).await;
    shipping(&plane, &node).await.ship(&mut segments(1..=3)).await.unwrap();
    eventually("its frames are found", || async {
        let index = index_in(dir.path()).await;
        index.search(&all(), What::Frames, None, 100).await.unwrap().len() as u64 == 3 * 2 * CALLS
    })
    .await;
    plane.stop().await;
}
