//! What a node has recorded, as the test plays it, and the way it ships that.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use pbjson_types::Timestamp;
use rustls::pki_types::CertificateDer;
use serde_json::value::RawValue;
use shadowcat_proto::fleet::v1::ship_reply::Kind;
use shadowcat_proto::fleet::v1::{
    Blob, SegmentChunk, SegmentOffer, SegmentWanted, ShipHello, ShipMessage, ShipReply, ship_message,
};
use shadowcat_tape::line::{Message, encode, encode_message};
use shadowcat_tape::record::{BlobRef, Direction, Head, Kind as RecordKind, Outcome, Record};
use shadowcat_tape::segment::seal;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::harness::SOON;
use crate::node::Node;

pub(crate) const INSTANCE: &str = "3f9a21c0123456789abcdef012345678";

/// An hour ago, in nanoseconds since 1970: nothing of it is due.
static CLOCK: LazyLock<u64> = LazyLock::new(|| {
    let hour_ago = SystemTime::now() - Duration::from_secs(60 * 60);
    u64::try_from(hour_ago.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos()).unwrap()
});

/// Calls of one segment.
pub(crate) const CALLS: u64 = 10;

/// A head, and two records a call.
pub(crate) const RECORDS: u64 = 1 + 2 * CALLS;

/// Pieces, smaller than they might be, so that a segment has some.
const PIECE: usize = 700;

/// A segment that waits to be stored.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) sequence: u64,
    pub(crate) instance: String,
    pub(crate) sealed: Vec<u8>,
    /// The numbers of its first and its last record.
    pub(crate) records: (u64, u64),
    /// Messages that are kept apart: their content.
    pub(crate) messages: Vec<Vec<u8>>,
}

impl Segment {
    /// The segment of this number: calls of `search` and, each tenth, of `fetch`, of which every fifth fails.
    pub(crate) fn new(sequence: u64) -> Self {
        Self::with(sequence, Vec::new())
    }

    /// The same, with messages that are kept apart from its first calls.
    pub(crate) fn with(sequence: u64, messages: Vec<Vec<u8>>) -> Self {
        let mut plain = Vec::new();
        let first = (sequence - 1) * RECORDS + 1;
        encode(&head(sequence, first), &mut plain);
        for call in 0..CALLS {
            let message = messages.get(usize::try_from(call).unwrap());
            write_call(first + 1 + 2 * call, message.map(Vec::as_slice), &mut plain);
        }
        Self::sealed(sequence, (first, sequence * RECORDS), &plain, messages)
    }

    /// Two segments of one call, whose request is in the first and its answer in the second. The request is kept apart if it is large.
    pub(crate) fn across(arguments: &str) -> [Self; 2] {
        let asked = asked(1, arguments);
        let apart = (asked.len() > 64 * 1024).then_some(asked.as_slice());
        let (mut first, mut second) = (Vec::new(), Vec::new());
        encode(&head(1, 1), &mut first);
        write_request(2, (&asked, apart), &mut first);
        encode(&head(2, 3), &mut second);
        let id = id_of(1);
        write_answer(&answer(2, 4, &id), None, &mut second);
        let apart = apart.map(<[u8]>::to_vec).into_iter().collect();
        [Self::sealed(1, (1, 2), &first, apart), Self::sealed(2, (3, 4), &second, Vec::new())]
    }

    fn sealed(sequence: u64, records: (u64, u64), plain: &[u8], messages: Vec<Vec<u8>>) -> Self {
        let mut sealed = Vec::new();
        seal(plain, &mut sealed).unwrap();
        Self { sequence, instance: INSTANCE.to_owned(), sealed, records, messages }
    }

    pub(crate) fn offer(&self) -> SegmentOffer {
        let blob = |message: &Vec<u8>| Blob {
            hash: Bytes::copy_from_slice(blake3::hash(message).as_bytes()),
            bytes: u32::try_from(packed(message).len()).unwrap(),
        };
        SegmentOffer {
            instance: self.instance.clone(),
            sequence: self.sequence,
            bytes: u32::try_from(self.sealed.len()).unwrap(),
            digest: Bytes::copy_from_slice(blake3::hash(&self.sealed).as_bytes()),
            first_record: self.records.0,
            last_record: self.records.1,
            blobs: self.messages.iter().map(blob).collect(),
        }
    }

    /// What is wanted of it, piece by piece.
    pub(crate) fn pieces(&self, wanted: &SegmentWanted) -> Vec<SegmentChunk> {
        let mut pieces = Vec::new();
        for hash in &wanted.blobs {
            let message = self.messages.iter().find(|message| hash[..] == blake3::hash(message).as_bytes()[..]);
            self.cut(&packed(message.expect("it was offered")), hash, &mut pieces);
        }
        self.cut(&self.sealed, &Bytes::new(), &mut pieces);
        pieces
    }

    fn cut(&self, whole: &[u8], blob: &Bytes, pieces: &mut Vec<SegmentChunk>) {
        let count = whole.len().div_ceil(PIECE);
        pieces.extend(whole.chunks(PIECE).enumerate().map(|(index, piece)| SegmentChunk {
            instance: self.instance.clone(),
            sequence: self.sequence,
            blob: blob.clone(),
            last: index + 1 == count,
            bytes: Bytes::copy_from_slice(piece),
        }));
    }
}

/// When a record was made.
pub(crate) fn made_at(seq: u64) -> Timestamp {
    let (seconds, nanos) = (*CLOCK / 1_000_000_000, *CLOCK % 1_000_000_000 + seq * 1_000_000);
    let seconds = i64::try_from(seconds + nanos / 1_000_000_000).unwrap();
    Timestamp { seconds, nanos: i32::try_from(nanos % 1_000_000_000).unwrap() }
}

fn packed(message: &[u8]) -> Vec<u8> {
    zstd::encode_all(message, 3).unwrap()
}

fn head(sequence: u64, seq: u64) -> Record<'static> {
    let head = Head {
        format: (1, 0),
        instance: INSTANCE.into(),
        segment: sequence,
        node: "edge-1".into(),
        created_by: "shadowcat test".into(),
        clock: *CLOCK,
        ..Head::default()
    };
    Record { k: RecordKind::Head, seq, t: seq * 1_000, head: Some(head), ..Record::default() }
}

/// A request and its answer, whose message may be kept apart.
fn write_call(seq: u64, apart: Option<&[u8]>, plain: &mut Vec<u8>) {
    let number = seq / 2;
    let asked = asked(number, &format!(r#"{{"q":"Needle {number}"}}"#));
    write_request(seq, (&asked, None), plain);
    write_answer(&answer(seq, seq + 1, &id_of(number)), apart, plain);
}

fn asked(number: u64, arguments: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{number},"method":"tools/call","params":{{"arguments":{arguments}}}}}"#)
        .into_bytes()
}

fn id_of(number: u64) -> Box<RawValue> {
    RawValue::from_string(number.to_string()).unwrap()
}

/// A request and its message, which may be kept apart.
fn write_request(seq: u64, (asked, apart): (&[u8], Option<&[u8]>), plain: &mut Vec<u8>) {
    let id = id_of(seq / 2);
    let record = Record { blob: apart.map(blob), ..request(seq, &id) };
    if apart.is_some() {
        encode(&record, plain);
    } else {
        encode_message(&record, Message::of(asked), plain);
    }
}

fn request(seq: u64, id: &RawValue) -> Record<'_> {
    Record {
        seq,
        t: seq * 1_000,
        dir: Some(Direction::C2s),
        tape: Some("3f9a21c0".into()),
        op: Some(seq),
        id: Some(id),
        m: Some("tools/call".into()),
        name: Some(if (seq / 2).is_multiple_of(10) { "fetch" } else { "search" }.into()),
        session: Some("3f9a21c0".into()),
        route: Some("workbench".into()),
        upstream: Some("everything".into()),
        sz: Some(64),
        ..Record::default()
    }
}

/// The answer `seq` of the request `asked`.
fn answer(asked: u64, seq: u64, id: &RawValue) -> Record<'_> {
    let number = asked / 2;
    let out = if number.is_multiple_of(5) { Outcome::ToolError } else { Outcome::Ok };
    Record {
        seq,
        t: seq * 1_000,
        dir: Some(Direction::S2c),
        re: Some(asked),
        lat: Some(1_000),
        out: Some(out),
        tp: Some(format!("{number:032x}").into()),
        ..request(asked, id)
    }
}

fn write_answer(answer: &Record<'_>, apart: Option<&[u8]>, plain: &mut Vec<u8>) {
    if let Some(apart) = apart {
        return encode(&Record { blob: Some(blob(apart)), ..answer.clone() }, plain);
    }
    let number = answer.re.unwrap() / 2;
    let told = format!(r#"{{"jsonrpc":"2.0","id":{number},"result":{{"found":"hay {number}"}}}}"#);
    encode_message(answer, Message::of(told.as_bytes()), plain);
}

fn blob(message: &[u8]) -> BlobRef<'static> {
    BlobRef { hash: blake3::hash(message).to_hex().to_string().into(), bytes: message.len() as u64 }
}

/// A node's `Ship` stream.
pub(crate) struct Shipping {
    sender: mpsc::Sender<ShipMessage>,
    incoming: Streaming<ShipReply>,
    pub(crate) key: Bytes,
}

impl Shipping {
    /// Opens a stream, says hello and takes the welcome.
    pub(crate) async fn begin(
        node: &Node,
        address: SocketAddr,
        authority: &CertificateDer<'static>,
    ) -> Result<Self, Status> {
        Self::begin_as(node, (address, authority), INSTANCE).await
    }

    /// The same as another boot of the node.
    pub(crate) async fn begin_as(
        node: &Node,
        (address, authority): (SocketAddr, &CertificateDer<'static>),
        instance: &str,
    ) -> Result<Self, Status> {
        let (sender, mut receiver) = mpsc::channel(64);
        let stream = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
        let incoming = node.client_at(address, authority).ship(stream).await?.into_inner();
        let mut shipping = Self { sender, incoming, key: Bytes::new() };
        shipping.say(ship_message::Kind::Hello(ShipHello { instance: instance.to_owned() })).await;
        match shipping.next().await? {
            Kind::Welcome(welcome) => {
                assert_eq!((welcome.redaction_key.len(), welcome.offers_max), (32, 16));
                shipping.key = welcome.redaction_key;
                Ok(shipping)
            }
            other => panic!("first comes the welcome: {other:?}"),
        }
    }

    /// A stream that has ended takes nothing, which its next word tells.
    pub(crate) async fn say(&self, kind: ship_message::Kind) {
        let _ = self.sender.send(ShipMessage { kind: Some(kind) }).await;
    }

    pub(crate) async fn next(&mut self) -> Result<Kind, Status> {
        let message = timeout(SOON, self.incoming.message()).await.expect("something comes soon")?;
        message.ok_or_else(|| Status::ok("the stream ended"))?.kind.ok_or_else(|| Status::internal("empty"))
    }

    pub(crate) async fn offer(&self, segment: &Segment) {
        self.say(ship_message::Kind::Offer(segment.offer())).await;
    }

    pub(crate) async fn send(&self, segment: &Segment, wanted: &SegmentWanted) {
        for piece in segment.pieces(wanted) {
            self.say(ship_message::Kind::Chunk(piece)).await;
        }
    }

    /// Ships all of these, and forgets each that is stored.
    pub(crate) async fn ship(&mut self, waiting: &mut BTreeMap<u64, Segment>) -> Result<(), Status> {
        let mut offered: Vec<u64> = waiting.keys().copied().take(16).collect();
        for sequence in &offered {
            self.offer(&waiting[sequence]).await;
        }
        while !waiting.is_empty() {
            match self.next().await? {
                Kind::Wanted(wanted) => self.send(&waiting[&wanted.sequence], &wanted).await,
                Kind::Stored(stored) => {
                    waiting.remove(&stored.sequence).expect("it was offered, and is stored once");
                    let next = waiting.keys().copied().find(|sequence| !offered.contains(sequence));
                    if let Some(next) = next {
                        offered.push(next);
                        self.offer(&waiting[&next]).await;
                    }
                }
                Kind::Refused(refused) => panic!("{refused:?}"),
                _ => {}
            }
        }
        Ok(())
    }
}
