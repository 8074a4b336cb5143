//! What operators ask of tapes.

use std::collections::BTreeMap;
use std::sync::Arc;

use shadowcat_proto::admin::v1::search_tapes_request::What;
use shadowcat_proto::admin::v1::search_tapes_response::Kind;
use shadowcat_proto::admin::v1::{
    Frame, HoldTapesRequest, ListAuditRequest, ListTapesRequest, ReadEnd, ReadTapesRequest, SearchEnd,
    SearchTapesRequest, TailTapesRequest, TapeSelection, TapeStatsRequest, audit_record, read_tapes_response,
    tail_tapes_response,
};
use shadowcat_proto::fleet::v1::{FollowRecords, LiveRecords, ship_message, ship_reply};
use shadowcat_tape::line::{decode, encode};
use shadowcat_tape::segment::unseal;
use tempfile::TempDir;
use tonic::Code;

use crate::harness::{Plane, database, directory};
use crate::node::Node;
use crate::spool::{CALLS, INSTANCE, RECORDS, Segment, Shipping};

/// A plane with a node that has shipped these segments.
pub(crate) async fn shipped(segments: impl IntoIterator<Item = Segment>) -> (Plane, Node, Shipping) {
    shipped_to(directory(), segments).await
}

/// The same, in this directory.
pub(crate) async fn shipped_to(
    dir: Arc<TempDir>,
    segments: impl IntoIterator<Item = Segment>,
) -> (Plane, Node, Shipping) {
    let plane = Plane::on(database(&dir).await, Arc::clone(&dir)).await;
    let node = Node::new(&plane, "edge-1").await;
    let mut stream = Shipping::begin(&node, plane.grpc, &plane.authority).await.unwrap();
    let mut waiting: BTreeMap<u64, Segment> = segments.into_iter().map(|segment| (segment.sequence, segment)).collect();
    stream.ship(&mut waiting).await.unwrap();
    (plane, node, stream)
}

pub(crate) async fn search(plane: &Plane, request: SearchTapesRequest) -> (Vec<Frame>, SearchEnd) {
    let mut answer = plane.tapes().search(plane.ask(request)).await.unwrap().into_inner();
    let mut found = Vec::new();
    while let Some(message) = answer.message().await.unwrap() {
        match message.kind.unwrap() {
            Kind::Found(frame) => found.push(frame),
            Kind::Progress(_) => {}
            Kind::End(end) => return (found, end),
        }
    }
    panic!("a search has an end");
}

pub(crate) fn selecting(selection: TapeSelection) -> SearchTapesRequest {
    SearchTapesRequest { selection: Some(selection), limit: 1_000, ..SearchTapesRequest::default() }
}

fn filter(text: &str) -> TapeSelection {
    TapeSelection { filter: text.to_owned(), ..TapeSelection::default() }
}

pub(crate) fn places(found: &[Frame]) -> Vec<u64> {
    found.iter().map(|frame| frame.sequence).collect()
}

#[tokio::test]
async fn a_search_finds_calls_the_latest_first_and_goes_on_where_it_ended() {
    let (plane, ..) = shipped((1..=3).map(Segment::new)).await;
    let (whole, end) = search(&plane, selecting(TapeSelection::default())).await;
    assert_eq!((whole.len() as u64, &*end.next, &*end.remark), (3 * CALLS, "", ""));
    assert!(whole.is_sorted_by(|one, next| one.sequence > next.sequence));
    let last = &whole[0];
    assert_eq!((&*last.id, &*last.method, &*last.kind), (&*format!("3f9a21c0-{}", last.sequence), "tools/call", "msg"));
    assert_eq!((last.latency_us, &*last.route, &*last.node), (Some(1_000), "workbench", "edge-1"));

    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let request = SearchTapesRequest { limit: 7, cursor, ..SearchTapesRequest::default() };
        let (page, end) = search(&plane, request).await;
        paged.extend(page);
        cursor = end.next;
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(paged, whole);
    plane.stop().await;
}

#[tokio::test]
async fn what_is_in_messages_is_found_by_text_and_by_expression() {
    let large = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"text":"{} Haystack"}}}}"#, "x".repeat(70_000));
    let (plane, ..) = shipped([Segment::with(1, vec![large.into_bytes()]), Segment::new(2)]).await;
    let frames = |selection| SearchTapesRequest { what: What::Frames.into(), ..selecting(selection) };
    let text = |text: &str| TapeSelection { text: text.to_owned(), ..TapeSelection::default() };
    let (found, end) = search(&plane, frames(text("needle 5\""))).await;
    assert_eq!((places(&found), end.unjudged), (vec![10], 0));
    assert_eq!(places(&search(&plane, selecting(text("haystack"))).await.0), [3], "in a message that is kept apart");
    assert!(search(&plane, selecting(text("nowhere"))).await.0.is_empty());

    let failed = filter(r#"tool == "search" && outcome == "tool_error""#);
    let (found, end) = search(&plane, selecting(failed)).await;
    assert!(!found.is_empty() && found.iter().all(|frame| frame.outcome == "tool_error" && frame.name == "search"));
    assert_eq!(end.progress.unwrap().segments, 0, "the index knows it");
    let (found, end) = search(&plane, selecting(filter(r#"result.found == "hay 7""#))).await;
    assert_eq!((found.len(), end.progress.unwrap().segments), (1, 2));
    let (found, _) = search(&plane, selecting(filter("latency >= duration(\"1ms\") && size == 64"))).await;
    assert_eq!(found.len() as u64, 2 * CALLS);
    plane.stop().await;
}

/// The words that are written in each way there is, in arguments that the answer does not repeat.
const SPELLED: &str = r#"{"q":"São \"Paulo\"","city":"Bath\u00e9"}"#;

#[tokio::test]
async fn a_call_is_found_by_what_was_asked_though_its_answer_is_in_another_segment() {
    let large = format!(r#"{{"city":"Bath\u00e9","q":"São \"Paulo\"","much":"{}"}}"#, "x".repeat(70_000));
    for arguments in [SPELLED, &large] {
        let (plane, ..) = shipped(Segment::across(arguments)).await;
        for text in ["são \"paulo\"", "Bathé", "são \\\"paulo"] {
            let text = TapeSelection { text: text.to_owned(), ..TapeSelection::default() };
            let (found, end) = search(&plane, selecting(text.clone())).await;
            assert_eq!((places(&found), end.unjudged), (vec![4], 0), "{}", text.text);
            let frames = SearchTapesRequest { what: What::Frames.into(), ..selecting(text) };
            assert_eq!(places(&search(&plane, frames).await.0), [2], "each frame has said its own");
        }
        let city = filter(r#"args.city == "Bathé" && latency < duration("1s")"#);
        let (found, end) = search(&plane, selecting(city.clone())).await;
        assert_eq!((places(&found), end.unjudged), (vec![4], 0));
        let other = search(&plane, selecting(filter(r#"args.city == "Wells""#))).await;
        assert_eq!((places(&other.0), other.1.unjudged), (vec![], 0));

        let request =
            ReadTapesRequest { selection: Some(filter(r#"args.city == "Bathé""#)), ..ReadTapesRequest::default() };
        let (lines, _, end) = read(&plane, request).await;
        assert_eq!((lines.len(), end.damage.len(), end.unjudged), (2, 0, 0), "the call is exported whole");
        plane.stop().await;
    }
}

#[tokio::test]
async fn an_answer_whose_request_is_gone_is_not_judged_and_that_is_told() {
    let [_, answered] = Segment::across(SPELLED);
    let (plane, ..) = shipped([answered]).await;
    let selection = filter(r#"args.city == "Bathé""#);
    let (found, end) = search(&plane, selecting(selection.clone())).await;
    assert_eq!((places(&found), end.unjudged), (vec![], 1));
    let request = ReadTapesRequest { selection: Some(selection), ..ReadTapesRequest::default() };
    let (lines, _, end) = read(&plane, request).await;
    assert_eq!((lines.len(), &*end.damage), (0, &[format!("record 4 of {INSTANCE}: the request is not kept")][..]));
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_that_costs_too_much_says_so_and_goes_on_exactly_there() {
    const SEGMENTS: u64 = 300;
    let (plane, ..) = shipped((1..=SEGMENTS).map(Segment::new)).await;
    let selection = TapeSelection { text: "\"hay 7".to_owned(), ..TapeSelection::default() };
    let (first, end) = search(&plane, selecting(selection.clone())).await;
    assert!(end.remark.starts_with("looked at ") && end.remark.contains("go on with --cursor"), "{}", end.remark);
    let progress = end.progress.unwrap();
    assert_eq!((progress.segments, progress.segments_left), (256, SEGMENTS - 256));
    let (rest, end) = search(&plane, SearchTapesRequest { cursor: end.next, ..selecting(selection) }).await;
    assert_eq!((&*end.next, &*end.remark), ("", ""));

    let requests =
        (1..=SEGMENTS).flat_map(|sequence| (0..CALLS).map(move |call| (sequence - 1) * RECORDS + 2 + 2 * call));
    let mut expected: Vec<u64> =
        requests.filter(|request| (request / 2).to_string().starts_with('7')).map(|request| request + 1).collect();
    expected.reverse();
    assert_eq!(places(&[first, rest].concat()), expected);
    plane.stop().await;
}

#[tokio::test]
async fn a_selection_that_makes_no_sense_is_refused_with_its_field() {
    let (plane, ..) = shipped([]).await;
    let refused = plane.tapes().search(plane.ask(selecting(filter("tool = 1")))).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().starts_with("selection.filter: 1:"), "{}", refused.message());
    let list = ListTapesRequest {
        selection: Some(TapeSelection { text: "x".to_owned(), ..TapeSelection::default() }),
        ..ListTapesRequest::default()
    };
    assert!(plane.tapes().list(plane.ask(list)).await.unwrap_err().message().starts_with("selection.text: "));
    let wrong = SearchTapesRequest { cursor: "x".to_owned(), ..SearchTapesRequest::default() };
    assert!(plane.tapes().search(plane.ask(wrong)).await.unwrap_err().message().starts_with("cursor: "));
    let tail = TailTapesRequest {
        selection: Some(TapeSelection { ids: vec!["a".to_owned()], ..TapeSelection::default() }),
        ..TailTapesRequest::default()
    };
    assert!(plane.tapes().tail(plane.ask(tail)).await.unwrap_err().message().starts_with("selection.ids: "));
    plane.stop().await;
}

pub(crate) async fn read(plane: &Plane, request: ReadTapesRequest) -> (Vec<Vec<u8>>, usize, ReadEnd) {
    let mut answer = plane.tapes().read(plane.ask(request)).await.unwrap().into_inner();
    let (mut lines, mut blobs) = (Vec::new(), 0);
    while let Some(message) = answer.message().await.unwrap() {
        match message.kind.unwrap() {
            read_tapes_response::Kind::Record(record) => lines.push(record.line),
            read_tapes_response::Kind::Blob(_) => blobs += 1,
            read_tapes_response::Kind::End(end) => return (lines, blobs, end),
        }
    }
    panic!("a reading has an end");
}

#[tokio::test]
async fn a_tape_reads_as_it_was_recorded() {
    let segments = [Segment::with(1, vec![b"\"large\"".repeat(20_000)]), Segment::new(2)];
    let plain: Vec<u8> = segments.iter().flat_map(|segment| unseal(&segment.sealed, 1 << 20).unwrap().plain).collect();
    let (plane, ..) = shipped(segments).await;
    let selection = Some(TapeSelection { ids: vec!["3f9a21c0".to_owned()], ..TapeSelection::default() });
    let request = ReadTapesRequest { selection, blobs: true, ..ReadTapesRequest::default() };
    let (lines, blobs, end) = read(&plane, request.clone()).await;
    let recorded: Vec<&[u8]> = plain
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty() && !line.starts_with(b"{\"k\":\"head\""))
        .collect();
    assert_eq!(lines, recorded);
    assert_eq!((blobs, end.records, &*end.remark, end.damage.len()), (1, 4 * CALLS, "", 0));
    let (lines, blobs, end) = read(&plane, ReadTapesRequest { limit: 3, blobs: false, ..request }).await;
    assert_eq!((lines.len(), blobs, end.remark.is_empty()), (3, 0, false));

    // A frame stands for its operation.
    let selection = Some(TapeSelection { ids: vec!["3f9a21c0-5".to_owned()], ..TapeSelection::default() });
    let (lines, _, _) = read(&plane, ReadTapesRequest { selection, ..ReadTapesRequest::default() }).await;
    assert_eq!(lines, recorded[2..4]);
    plane.stop().await;
}

#[tokio::test]
async fn tapes_are_listed_and_held_with_a_record() {
    let (plane, ..) = shipped((1..=2).map(Segment::new)).await;
    let list = plane.tapes().list(plane.ask(ListTapesRequest::default())).await.unwrap().into_inner();
    let tape = &list.tapes[0];
    assert_eq!(
        (list.tapes.len(), &*tape.id, tape.calls, &tape.nodes[..]),
        (1, "3f9a21c0", 2 * CALLS, &["edge-1".to_owned()][..])
    );
    let hold = HoldTapesRequest {
        tapes: vec!["3f9a21c0".to_owned()],
        reason: "incident 12".to_owned(),
        ..HoldTapesRequest::default()
    };
    assert_eq!(plane.tapes().hold(plane.ask(hold)).await.unwrap().into_inner().changed, ["3f9a21c0"]);
    let list = plane.tapes().list(plane.ask(ListTapesRequest::default())).await.unwrap().into_inner();
    assert!(list.tapes[0].held);
    let audit = plane.fleets().list_audit(plane.ask(ListAuditRequest::default())).await.unwrap().into_inner();
    let record = &audit.records[0];
    let told = (&*record.verb, &*record.resource, &*record.reason);
    assert_eq!(told, ("tapes.hold", "hold of tape 3f9a21c0", "incident 12"));
    plane.stop().await;
}

#[tokio::test]
async fn a_hold_or_release_that_names_a_tape_wrongly_changes_nothing_and_is_told() {
    let (plane, ..) = shipped([Segment::new(1)]).await;
    let tapes = ["3f9a21c0", "3f9a21cO", "z"].map(str::to_owned).to_vec();
    for (release, done) in [(false, "hold"), (true, "release")] {
        let request = HoldTapesRequest { tapes: tapes.clone(), release, ..HoldTapesRequest::default() };
        let refused = plane.tapes().hold(plane.ask(request)).await.unwrap_err();
        let why = "no tape has the id 3f9a21cO, z: nothing was changed";
        assert_eq!(
            (refused.code(), refused.message()),
            (Code::NotFound, &*format!("{why}; see `shadowcatctl tapes list`"))
        );
        let audit = plane.fleets().list_audit(plane.ask(ListAuditRequest::default())).await.unwrap().into_inner();
        let record = &audit.records[0];
        assert_eq!((record.outcome(), &*record.reason), (audit_record::Outcome::Denied, why));
        assert_eq!(record.resource, format!("{done} of tape 3f9a21c0, 3f9a21cO, z"));
        // What is there can be held then, and stays so when the release is refused.
        let hold = HoldTapesRequest { tapes: tapes[..1].to_vec(), ..HoldTapesRequest::default() };
        let changed = plane.tapes().hold(plane.ask(hold)).await.unwrap().into_inner().changed;
        assert_eq!(changed.is_empty(), release, "{done}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn what_is_missing_is_told_with_its_proof() {
    let (plane, node, stream) = shipped([Segment::new(1), Segment::new(3)]).await;
    let stats = async || plane.tapes().stats(plane.ask(TapeStatsRequest::default())).await.unwrap().into_inner();
    let told = stats().await;
    assert_eq!((told.tapes, told.segments, told.frames), (1, 2, 4 * CALLS));
    let source = &told.sources[0];
    let gaps: Vec<_> = source.gaps.iter().map(|gap| (gap.after, gap.before, &*gap.why)).collect();
    assert_eq!(gaps, [(RECORDS, 2 * RECORDS + 1, "not_shipped"), (3 * RECORDS, 0, "crash")]);
    assert!(source.gaps[1].detail.contains("up to 2 s after record 63 may be missing"), "{}", source.gaps[1].detail);
    assert!(!source.complete);
    // While it is connected, nobody misses its end.
    let hello = shadowcat_proto::fleet::v1::Hello { instance: INSTANCE.to_owned(), ..Default::default() };
    let mut sync = node.connect(&plane, hello).await.unwrap();
    sync.welcomed().await;
    assert_eq!(stats().await.sources[0].gaps.len(), 1);
    drop(stream);
    plane.stop().await;
}

#[tokio::test]
async fn who_follows_sees_records_as_they_are_written() {
    let (plane, _node, mut stream) = shipped([]).await;
    let mut tail = plane.tapes().tail(plane.ask(TailTapesRequest::default())).await.unwrap().into_inner();
    loop {
        if let ship_reply::Kind::Follow(FollowRecords { wanted: true }) = stream.next().await.unwrap() {
            break;
        }
    }
    let plain = unseal(&Segment::new(1).sealed, 1 << 20).unwrap().plain;
    let records = plain.split_inclusive(|byte| *byte == b'\n').map(bytes::Bytes::copy_from_slice).collect();
    stream.say(ship_message::Kind::Live(LiveRecords { records, skipped: 2 })).await;
    let (mut seen, mut skipped, mut live) = (0, 0, Vec::new());
    // The nodes may be told before or after.
    while seen < CALLS || live.is_empty() {
        match tail.message().await.unwrap().unwrap().kind.unwrap() {
            tail_tapes_response::Kind::Record(record) => {
                assert_eq!(record.frame.unwrap().node, "edge-1");
                seen += 1;
            }
            tail_tapes_response::Kind::Skipped(count) => skipped += count,
            tail_tapes_response::Kind::Nodes(nodes) => live = nodes.live,
        }
    }
    assert_eq!((skipped, &live[..]), (2, &["edge-1".to_owned()][..]));
    drop(tail);
    loop {
        if let ship_reply::Kind::Follow(FollowRecords { wanted: false }) = stream.next().await.unwrap() {
            break;
        }
    }
    plane.stop().await;
}

#[tokio::test]
async fn calls_are_followed_by_what_was_asked() {
    let (plane, _node, mut stream) = shipped([]).await;
    let selection = Some(filter(r#"args.q == "Needle 3""#));
    let following = TailTapesRequest { selection, ..TailTapesRequest::default() };
    let mut tail = plane.tapes().tail(plane.ask(following)).await.unwrap().into_inner();
    while !matches!(stream.next().await.unwrap(), ship_reply::Kind::Follow(FollowRecords { wanted: true })) {}
    let plain = unseal(&Segment::new(1).sealed, 1 << 20).unwrap().plain;
    let mut records: Vec<_> = plain.split_inclusive(|byte| *byte == b'\n').map(bytes::Bytes::copy_from_slice).collect();
    // The first request was before anybody followed, and the second answer is kept back: whether these calls are meant nobody knows.
    records.remove(1);
    let mut large = decode(&records[3]).unwrap();
    (large.body, large.sz) = (None, Some(70_000));
    let mut line = Vec::new();
    encode(&large, &mut line);
    records[3] = line.into();
    stream.say(ship_message::Kind::Live(LiveRecords { records, skipped: 0 })).await;
    let (mut seen, mut skipped) = (Vec::new(), 0);
    while seen.is_empty() {
        match tail.message().await.unwrap().unwrap().kind.unwrap() {
            tail_tapes_response::Kind::Record(record) => seen.push(record.frame.unwrap().sequence),
            tail_tapes_response::Kind::Skipped(count) => skipped += count,
            tail_tapes_response::Kind::Nodes(_) => {}
        }
    }
    assert_eq!((&seen[..], skipped), (&[7][..], 2));
    plane.stop().await;
}
