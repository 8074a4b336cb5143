//! A stream's deadlines, on a clock that the test turns.

use hyper::rt::Executor as _;
use hyper_util::rt::TokioExecutor;
use shadowcat_proto::fleet::v1::{SegmentChunk, SegmentOffer, ShipHello};
use tempfile::TempDir;
use tokio::time::{advance, pause};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::*;
use crate::fleet::hub::Replicas;
use crate::observe::Metrics;
use crate::store;
use crate::tapes::blobs::Blobs;
use crate::tapes::index;

const INSTANCE: &str = "0123456789abcdef0123456789abcdef";

const CONTENT: &[u8] = b"some bytes of a segment";

/// The node's end of a stream.
struct Node {
    says: mpsc::Sender<Result<ShipMessage, Status>>,
    hears: mpsc::Receiver<Result<ShipReply, Status>>,
}

async fn tapes(dir: &TempDir) -> Arc<Tapes> {
    let url = format!("sqlite:{}", dir.path().join("test.db").display());
    let blobs = Blobs::open(dir.path().join("tapes").to_str().unwrap()).unwrap();
    let (index, store) = (index::open(&url).await.unwrap(), store::open(&url).await.unwrap());
    Tapes::new(blobs, index, store, Metrics::new(), CancellationToken::new()).0
}

fn open(tapes: &Arc<Tapes>) -> Node {
    let hub = Arc::new(Hub::new("ours", Replicas::One, Metrics::new()));
    let (says, mut said) = mpsc::channel(1);
    let (outgoing, hears) = mpsc::channel(OUTGOING_MAX);
    let incoming = futures_util::stream::poll_fn(move |context| said.poll_recv(context));
    let of = ("f".to_owned(), "edge-1".to_owned());
    TokioExecutor::new().execute(serve(Arc::clone(tapes), hub, of, async { Ok(()) }, (incoming, outgoing)));
    Node { says, hears }
}

impl Node {
    async fn say(&self, kind: ship_message::Kind) {
        self.says.send(Ok(ShipMessage { kind: Some(kind) })).await.unwrap();
    }

    async fn next(&mut self) -> Result<ship_reply::Kind, Status> {
        self.hears.recv().await.ok_or_else(|| Status::ok("the stream ended"))?.map(|reply| reply.kind.unwrap())
    }

    /// Takes what comes until a segment is wanted.
    async fn wanted(&mut self) {
        while !matches!(self.next().await.unwrap(), ship_reply::Kind::Wanted(_)) {}
    }

    async fn send(&self, bytes: &'static [u8]) {
        let chunk = SegmentChunk {
            instance: INSTANCE.to_owned(),
            sequence: 1,
            bytes: Bytes::from_static(bytes),
            ..SegmentChunk::default()
        };
        self.say(ship_message::Kind::Chunk(chunk)).await;
        // There is room again once it was taken.
        drop(self.says.reserve().await.unwrap());
    }
}

#[tokio::test]
async fn what_is_wanted_and_does_not_come_gives_its_memory_back() {
    let dir = TempDir::new().unwrap();
    let tapes = tapes(&dir).await;
    let free = tapes.budget.available_permits();
    let mut node = open(&tapes);
    node.say(ship_message::Kind::Hello(ShipHello { instance: INSTANCE.to_owned() })).await;
    node.say(ship_message::Kind::Offer(SegmentOffer {
        instance: INSTANCE.to_owned(),
        sequence: 1,
        bytes: u32::try_from(CONTENT.len()).unwrap(),
        digest: Bytes::copy_from_slice(blake3::hash(CONTENT).as_bytes()),
        first_record: 1,
        last_record: 9,
        blobs: Vec::new(),
    }))
    .await;
    node.wanted().await;
    assert_eq!(tapes.budget.available_permits(), free - CONTENT.len());
    pause();
    let almost = PROGRESS_WITHIN - Duration::from_secs(1);
    advance(almost).await;
    node.send(&CONTENT[..4]).await;
    let began = Instant::now();
    advance(almost).await;
    // It says something, and sends nothing.
    node.send(b"").await;
    let ended = loop {
        if let Err(ended) = node.next().await {
            break ended;
        }
    };
    assert_eq!(ended.code(), Code::DeadlineExceeded);
    assert_eq!(ended.message(), "nothing came of what was wanted for 30 s: connect again");
    let after = began.elapsed();
    assert!((PROGRESS_WITHIN..PROGRESS_WITHIN + Duration::from_secs(1)).contains(&after), "{after:?}");
    assert!(node.next().await.is_err());
    assert_eq!(tapes.budget.available_permits(), free);
}
