//! The index of tapes.

use std::sync::Arc;

use shadowcat_control_plane::tapes::index::{
    self, Committed, Filter, FoundFrame, FrameRow, GapRow, Hold, Holding, Index, Known, Offered, Position, SegmentRows,
    TapeRow, Unread, What,
};
use shadowcat_tape::segment::SegmentId;

use crate::subject::Subject;
use crate::support::FLEET;

const INSTANCE: &str = "3f9a21c0000000000000000000000000";

/// A day in 2025, in microseconds since 1970.
const THEN: i64 = 1_763_700_000_000_000;

const OK: i16 = 0;
const TOOL_ERROR: i16 = 5;

async fn index_of(subject: &Subject) -> Arc<dyn Index> {
    index::open(&subject.url).await.unwrap()
}

/// The digest of the segment of this number, unless a test says another.
fn digest_of(sequence: u64) -> [u8; 32] {
    *blake3::hash(&sequence.to_be_bytes()).as_bytes()
}

/// What is known of a segment that a node offers.
async fn known(index: &Arc<dyn Index>, node: &str, sequence: u64, messages: &[[u8; 32]]) -> Known {
    let (id, digest) = (SegmentId::new(INSTANCE, sequence).unwrap(), digest_of(sequence));
    index.known(Offered { fleet: FLEET, node, id: &id, digest: &digest, messages }).await.unwrap()
}

/// A segment with so many frames from a place on: of every two, a request and the answer that ends its call.
fn segment(instance: &str, sequence: u64, first_record: u64, frames: u64) -> SegmentRows {
    let word = |place: u32| Some(place);
    let words = ["tools/call", "search", "fetch", "workbench", "everything", "alice"].map(str::to_owned).to_vec();
    let frame = |offset: u64| {
        let (seq, ends) = (first_record + offset, offset % 2 == 1);
        let number = seq / 2;
        FrameRow {
            at: THEN + i64::try_from(seq).unwrap() * 1_000,
            seq,
            place: offset * 100,
            tape: Some(0),
            kind: 1,
            direction: Some(if ends { 2 } else { 1 }),
            method: word(0),
            name: word(if number.is_multiple_of(10) { 2 } else { 1 }),
            outcome: ends.then_some(if number.is_multiple_of(5) { TOOL_ERROR } else { OK }),
            latency: ends.then_some(number),
            size: 100,
            route: word(3),
            upstream: word(4),
            session: Some("3f9a21c0".to_owned()),
            principal: word(5),
            trace: Some([u8::try_from(number % 250).unwrap(); 16]),
            operation: Some(if ends { seq - 1 } else { seq }),
            ..FrameRow::default()
        }
    };
    let all: Vec<FrameRow> = (0..frames).map(frame).collect();
    let (first_at, last_at) = (all[0].at, all[all.len() - 1].at);
    let tape = TapeRow {
        id: "tape-1".to_owned(),
        first_at,
        last_at,
        frames,
        calls: frames / 2,
        errors: 1,
        bytes: frames * 100,
        route: word(3),
        session: Some("3f9a21c0".to_owned()),
        principal: word(5),
    };
    SegmentRows {
        fleet: FLEET.to_owned(),
        node: "edge-1".to_owned(),
        instance: instance.to_owned(),
        sequence,
        digest: digest_of(sequence),
        first_record,
        last_record: first_record + frames - 1,
        stored_bytes: 1_000,
        plain_bytes: 10_000,
        first_at,
        last_at,
        object: format!("segments/{sequence}"),
        words,
        tapes: vec![tape],
        frames: all,
        ..SegmentRows::default()
    }
}

fn all() -> Filter {
    Filter { fleet: FLEET.to_owned(), ..Filter::default() }
}

fn places(found: &[FoundFrame]) -> Vec<u64> {
    found.iter().map(|frame| frame.seq).collect()
}

async fn calls(index: &Arc<dyn Index>, filter: Filter) -> Vec<u64> {
    places(&index.search(&filter, What::Calls, None, 100).await.unwrap())
}

pub(crate) async fn a_segment_is_stored_once_and_its_frames_are_found_once(subject: Subject) {
    let index = index_of(&subject).await;
    assert_eq!(known(&index, "edge-1", 1, &[[1; 32]]).await, Known::Missing(vec![[1; 32]]));
    let one = SegmentRows { messages: vec![([1; 32], 70_000)], ..segment(INSTANCE, 1, 1, 10) };
    assert_eq!(index.commit(std::slice::from_ref(&one)).await.unwrap(), [Committed::New]);
    let both = [segment(INSTANCE, 2, 11, 10), one];
    assert_eq!(index.commit(&both).await.unwrap(), [Committed::New, Committed::Again]);
    assert_eq!(known(&index, "edge-1", 1, &[]).await, Known::Stored);
    assert_eq!(known(&index, "edge-1", 3, &[[1; 32], [2; 32]]).await, Known::Missing(vec![[2; 32]]));

    let found = index.search(&all(), What::Frames, None, 100).await.unwrap();
    assert_eq!(places(&found), (1..=20).rev().collect::<Vec<_>>());
    let last = &found[0];
    assert_eq!((&*last.node, &*last.instance, &*last.tape, &*last.session), ("edge-1", INSTANCE, "tape-1", "3f9a21c0"));
    assert_eq!(
        (&*last.method, &*last.name, &*last.route, &*last.upstream),
        ("tools/call", "fetch", "workbench", "everything")
    );
    assert_eq!((last.outcome, last.operation, &*last.principal), (Some(TOOL_ERROR), Some(19), "alice"));
    let kept = index.segments(&[last.segment, 4_711]).await.unwrap();
    assert_eq!((kept.len(), &*kept[0].object), (1, "segments/2"));

    let totals = index.totals(FLEET).await.unwrap();
    assert_eq!((totals.tapes, totals.messages, totals.message_bytes), (1, 1, 70_000));
    let sources = index.sources(FLEET).await.unwrap();
    assert_eq!((sources[0].segments, sources[0].frames, sources[0].repeated), (2, 20, 1));
    assert!(sources[0].gaps.is_empty(), "{:?}", sources[0].gaps);
}

pub(crate) async fn a_search_goes_on_exactly_where_it_ended(subject: Subject) {
    let index = index_of(&subject).await;
    let mut segments = [segment(INSTANCE, 1, 1, 50), segment(&INSTANCE.replace("3f", "4f"), 1, 1, 50)];
    // Many at one moment: the order goes on by source and place.
    for frame in segments.iter_mut().flat_map(|segment| &mut segment.frames) {
        frame.at = THEN + i64::try_from(frame.seq / 20).unwrap();
    }
    index.commit(&segments).await.unwrap();
    let whole = index.search(&all(), What::Frames, None, 1_000).await.unwrap();
    assert_eq!(whole.len(), 100);
    let (mut paged, mut before): (Vec<FoundFrame>, Option<Position>) = (Vec::new(), None);
    loop {
        let page = index.search(&all(), What::Frames, before, 7).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.position());
        paged.extend(page);
    }
    assert_eq!(paged, whole);
    let pages = index.search(&Filter { name: "search".to_owned(), ..all() }, What::Calls, before, 7).await.unwrap();
    assert!(pages.is_empty(), "nothing is before the first");
}

pub(crate) async fn what_a_filter_says_is_what_is_found(subject: Subject) {
    let index = index_of(&subject).await;
    index.commit(&[segment(INSTANCE, 1, 2, 40)]).await.unwrap();
    let everything: Vec<u64> = (3..=41).rev().step_by(2).collect();
    let some = |name: &str| Filter { name: name.to_owned(), ..all() };
    assert_eq!(calls(&index, all()).await, everything);
    assert_eq!(calls(&index, some("fetch")).await, [41, 21]);
    assert_eq!(calls(&index, some("f*ch")).await, [41, 21]);
    assert_eq!(calls(&index, some("*")).await, everything);
    assert_eq!(calls(&index, Filter { outcomes: vec![TOOL_ERROR], ..all() }).await, [41, 31, 21, 11]);
    assert_eq!(calls(&index, Filter { outcomes: vec![TOOL_ERROR], ..some("search") }).await, [31, 11]);
    assert_eq!(calls(&index, Filter { outcomes: vec![OK, TOOL_ERROR], ..some("fetch") }).await, [41, 21]);
    assert_eq!(calls(&index, Filter { latency: 19, ..all() }).await, [41, 39]);
    assert_eq!(calls(&index, Filter { since: Some(THEN + 39_000), ..all() }).await, [41, 39]);
    assert_eq!(calls(&index, Filter { until: Some(THEN + 5_000), ..all() }).await, [3]);
    assert_eq!(calls(&index, Filter { trace: Some([3; 16]), ..all() }).await, [7]);
    assert_eq!(calls(&index, Filter { session: "3f9a21c0".to_owned(), ..some("fetch") }).await, [41, 21]);
    let nodes = ["edge-1", "edge-2"].map(|node| Filter { node: node.to_owned(), ..some("fetch") });
    assert_eq!((calls(&index, nodes[0].clone()).await, calls(&index, nodes[1].clone()).await), (vec![41, 21], vec![]));
    for filter in [some("unheard of"), Filter { fleet: "other".to_owned(), ..all() }, Filter { size: 101, ..all() }] {
        assert!(calls(&index, filter).await.is_empty());
    }
}

pub(crate) async fn an_id_is_a_tape_or_a_frame_and_its_operation(subject: Subject) {
    let index = index_of(&subject).await;
    let mut other = segment(&INSTANCE.replace("3f", "4f"), 1, 1, 4);
    other.tapes[0].id = "tape-2".to_owned();
    index.commit(&[segment(INSTANCE, 1, 2, 6), other]).await.unwrap();
    let named = |ids: &[&str]| Filter { ids: ids.iter().map(|id| (*id).to_owned()).collect(), ..all() };
    let frames = async |ids: &[&str]| places(&index.search(&named(ids), What::Frames, None, 100).await.unwrap());
    assert_eq!(frames(&["tape-2"]).await, [4, 3, 2, 1]);
    assert_eq!(frames(&["3f9a21c0-5"]).await, [5, 4]);
    assert_eq!(frames(&["3f9a21c0-5", "tape-1"]).await, [7, 6, 5, 4, 3, 2], "each is found once");
    assert!(frames(&["3f9a21c0-99", "tape-9"]).await.is_empty());
    let tape = index.tapes(&named(&["3f9a21c0-5"]), None, 10).await.unwrap();
    assert_eq!((tape.len(), &*tape[0].id), (1, "tape-1"));
    let read = index.frames_of_tape(&named(&["3f9a21c0-5"]), tape[0].number, (0, 0), 100).await.unwrap();
    assert_eq!(places(&read), [4, 5]);
}

pub(crate) async fn a_request_without_an_answer_is_a_call_until_the_answer_comes(subject: Subject) {
    let index = index_of(&subject).await;
    let asked = SegmentRows { unanswered: vec![(1, THEN + 1_000)], ..segment(INSTANCE, 1, 1, 1) };
    index.commit(&[asked]).await.unwrap();
    assert_eq!(calls(&index, all()).await, [1]);
    assert_eq!(calls(&index, Filter { session: "3f9a21c0".to_owned(), ..all() }).await, [1]);
    assert_eq!(calls(&index, Filter { name: "fetch".to_owned(), ..all() }).await, [1]);
    assert!(calls(&index, Filter { outcomes: vec![OK], ..all() }).await.is_empty(), "it has not ended");
    let answered = SegmentRows { answered: vec![1], ..segment(INSTANCE, 2, 3, 1) };
    index.commit(&[answered]).await.unwrap();
    assert!(calls(&index, all()).await.is_empty());
    // Segments may come in any order.
    let late = SegmentRows { unanswered: vec![(11, THEN + 11_000)], ..segment(INSTANCE, 3, 11, 1) };
    index.commit(&[SegmentRows { answered: vec![11], ..segment(INSTANCE, 4, 12, 1) }]).await.unwrap();
    index.commit(&[late]).await.unwrap();
    assert!(calls(&index, all()).await.is_empty());
}

pub(crate) async fn what_is_missing_is_proved_by_numbers(subject: Subject) {
    let index = index_of(&subject).await;
    let told = GapRow { after: 9, before: 11, frames: Some(3), why: "queue_full".to_owned(), ..GapRow::default() };
    let next = &INSTANCE.replace("3f", "4f");
    let dropped = GapRow {
        after: 1,
        before: 3,
        why: "spool_full".to_owned(),
        instance: Some(INSTANCE.to_owned()),
        segments: Some((4, 5)),
        ..GapRow::default()
    };
    let claimed = GapRow { why: "spool_old".to_owned(), segments: Some((1, 5)), ..dropped.clone() };
    index
        .commit(&[
            segment(INSTANCE, 2, 5, 3),
            SegmentRows { gaps: vec![told], ..segment(INSTANCE, 3, 8, 4) },
            segment(INSTANCE, 6, 30, 2),
            SegmentRows { ended: Some(35), ..segment(INSTANCE, 7, 34, 2) },
            SegmentRows { gaps: vec![dropped], ..segment(next, 1, 1, 4) },
            // What another node says of an instance is about its own boot of that name.
            SegmentRows { node: "edge-2".to_owned(), gaps: vec![claimed], ..segment(next, 1, 1, 4) },
        ])
        .await
        .unwrap();
    let sources = index.sources(FLEET).await.unwrap();
    let first = sources.iter().find(|source| source.instance == INSTANCE).unwrap();
    let gaps: Vec<_> = first.gaps.iter().map(|gap| (gap.after, gap.before, gap.frames, &*gap.why)).collect();
    let proved = [
        (0, 5, None, "not_shipped"),
        (9, 11, Some(3), "queue_full"),
        (11, 30, Some(18), "spool_full"),
        (31, 34, Some(2), "lost"),
    ];
    assert_eq!(gaps, proved);
    assert_eq!((first.ended, first.last_record), (Some(35), 35));
    assert!(sources.iter().all(|source| source.instance == INSTANCE || source.gaps.is_empty()));
}

pub(crate) async fn numbers_that_no_node_comes_to_leave_the_others_readable(subject: Subject) {
    let index = index_of(&subject).await;
    let beyond = SegmentRows { last_record: u64::MAX, ..segment(INSTANCE, 2, 5, 3) };
    index.commit(&[beyond, segment(INSTANCE, 3, 8, 4)]).await.unwrap();
    let sources = index.sources(FLEET).await.unwrap();
    assert_eq!((sources.len(), sources[0].segments), (1, 2));
}

pub(crate) async fn two_nodes_with_one_instance_are_two_sources(subject: Subject) {
    let index = index_of(&subject).await;
    let claimed =
        SegmentRows { node: "edge-2".to_owned(), object: "segments/claimed".to_owned(), ..segment(INSTANCE, 1, 1, 2) };
    assert_eq!(index.commit(&[claimed]).await.unwrap(), [Committed::New]);
    assert_eq!(known(&index, "edge-1", 1, &[]).await, Known::Missing(vec![]), "whoever was first owns nothing");
    let asked = SegmentRows { unanswered: vec![(1, THEN + 1_000)], ..segment(INSTANCE, 1, 1, 2) };
    assert_eq!(index.commit(&[asked]).await.unwrap(), [Committed::New]);
    assert_eq!(known(&index, "edge-2", 1, &[]).await, Known::Stored);
    let of = |node: &str| Filter { node: node.to_owned(), ..all() };
    for (node, object) in [("edge-1", "segments/1"), ("edge-2", "segments/claimed")] {
        let found = index.search(&of(node), What::Frames, None, 9).await.unwrap();
        assert_eq!((places(&found), &*found[0].node), (vec![2, 1], node));
        assert_eq!(index.segments(&[found[0].segment]).await.unwrap()[0].object, object);
    }
    // An answer at another node ends no call of this one.
    let answered = SegmentRows { node: "edge-2".to_owned(), answered: vec![1], ..segment(INSTANCE, 2, 3, 1) };
    index.commit(&[answered]).await.unwrap();
    assert_eq!(calls(&index, of("edge-1")).await, [2, 1]);
    let sources = index.sources(FLEET).await.unwrap();
    let told: Vec<_> = sources.iter().map(|source| (&*source.node, source.segments, source.repeated)).collect();
    assert_eq!(told, [("edge-2", 2, 1), ("edge-1", 1, 0)]);
    let elsewhere = SegmentRows { fleet: "other".to_owned(), ..segment(INSTANCE, 1, 1, 2) };
    assert_eq!(index.commit(&[elsewhere]).await.unwrap(), [Committed::New], "fleets have nothing in common");
}

pub(crate) async fn other_bytes_under_the_number_of_a_segment_are_kept_and_told(subject: Subject) {
    let index = index_of(&subject).await;
    let first = segment(INSTANCE, 1, 1, 4);
    let other = SegmentRows { digest: [9; 32], object: "segments/other".to_owned(), ..segment(INSTANCE, 1, 1, 6) };
    let next = SegmentRows { ended: Some(8), ..segment(INSTANCE, 2, 5, 4) };
    let batch = [first, other.clone(), next];
    assert_eq!(index.commit(&batch).await.unwrap(), [Committed::New, Committed::Taken, Committed::New]);
    let twin = other.unread(Unread::Twin, "it is a copy");
    assert_eq!(index.commit(std::slice::from_ref(&twin)).await.unwrap(), [Committed::New]);
    assert_eq!(index.commit(std::slice::from_ref(&twin)).await.unwrap(), [Committed::Again]);
    let id = SegmentId::new(INSTANCE, 1).unwrap();
    let offered = |digest| Offered { fleet: FLEET, node: "edge-1", id: &id, digest, messages: &[] };
    assert_eq!(index.known(offered(&[9; 32])).await.unwrap(), Known::Stored);
    assert_eq!(index.known(offered(&[8; 32])).await.unwrap(), Known::Missing(vec![]), "a third one is another again");

    assert_eq!(index.search(&all(), What::Frames, None, 99).await.unwrap().len(), 8);
    let source = &index.sources(FLEET).await.unwrap()[0];
    let told: Vec<_> = source.gaps.iter().map(|gap| (gap.after, gap.before, gap.frames, &*gap.why)).collect();
    assert_eq!((source.segments, source.ended, told), (3, Some(8), vec![(0, 7, Some(6), "twin")]));
    assert!(source.gaps[0].detail.contains("segments/other"), "{:?}", source.gaps);
}

pub(crate) async fn tapes_are_listed_by_their_beginning_and_may_be_held(subject: Subject) {
    let index = index_of(&subject).await;
    let named = |id: &str, sequence: u64, first: u64| {
        let mut segment = segment(INSTANCE, sequence, first, 4);
        segment.tapes[0].id = id.to_owned();
        segment
    };
    index.commit(&[named("a", 1, 1), named("b", 2, 5), named("c", 3, 9), named("a", 4, 13)]).await.unwrap();
    let list = async |filter: &Filter, before| {
        let found = index.tapes(filter, before, 2).await.unwrap();
        (
            found.iter().map(|tape| tape.id.clone()).collect::<Vec<_>>(),
            found.last().map(|tape| (tape.began, tape.number)),
        )
    };
    let (page, before) = list(&all(), None).await;
    assert_eq!(page, ["c", "b"]);
    assert_eq!(list(&all(), before).await.0, ["a"]);
    let first = &index.tapes(&Filter { ids: vec!["a".to_owned()], ..all() }, None, 1).await.unwrap()[0];
    assert_eq!((first.frames, first.calls, first.bytes, &*first.route), (8, 4, 800, "workbench"));
    assert_eq!((&first.nodes[..], first.held), (&["edge-1".to_owned()][..], false));
    // One that goes on is of late, however long ago it began.
    let late = Filter { since: Some(THEN + 12_000), ..all() };
    let (page, before) = list(&late, None).await;
    assert_eq!(page, ["c", "a"]);
    assert!(list(&late, before).await.0.is_empty());
    assert_eq!(list(&Filter { since: Some(THEN + 13_000), ..all() }, None).await.0, ["a"]);
    assert_eq!(list(&Filter { until: Some(THEN + 9_000), ..all() }, None).await.0, ["b", "a"]);
    // The tape has frames before and after, and none between.
    let between = Filter { since: Some(THEN + 9_000), until: Some(THEN + 12_000), ..all() };
    assert_eq!(list(&between, None).await.0, ["c"]);
    assert_eq!(list(&Filter { outcomes: vec![TOOL_ERROR], ..all() }, None).await.0, ["c"]);

    let ids = ["a".to_owned()];
    let is_held = async || index.tapes(&Filter { ids: ids.to_vec(), ..all() }, None, 1).await.unwrap()[0].held;
    let with_unknown = ["a".to_owned(), "nobody's".to_owned()];
    let (changed, unknown) = (Holding::Changed(ids.to_vec()), Holding::Unknown(vec!["nobody's".to_owned()]));
    assert_eq!(index.unknown(FLEET, &with_unknown).await.unwrap(), ["nobody's"]);
    assert_eq!(index.unknown("another", &ids).await.unwrap(), ids);
    assert_eq!(index.hold(FLEET, &with_unknown, Hold::Held).await.unwrap(), unknown);
    assert!(!is_held().await, "all of them, or none");
    assert_eq!(index.hold(FLEET, &ids, Hold::Held).await.unwrap(), changed);
    assert_eq!(index.hold(FLEET, &ids, Hold::Held).await.unwrap(), Holding::Changed(Vec::new()));
    assert_eq!(index.hold(FLEET, &with_unknown, Hold::Released).await.unwrap(), unknown);
    assert!(is_held().await, "all of them, or none");
    assert_eq!(index.hold(FLEET, &ids, Hold::Released).await.unwrap(), changed);
}

pub(crate) async fn a_tape_that_is_recorded_between_two_pages_is_on_one_of_them(subject: Subject) {
    let index = index_of(&subject).await;
    let named = |id: &str, sequence: u64, first: u64| {
        let mut segment = segment(INSTANCE, sequence, first, 4);
        segment.tapes[0].id = id.to_owned();
        segment
    };
    index.commit(&[named("a", 1, 5), named("b", 2, 9), named("c", 3, 13), named("d", 4, 17)]).await.unwrap();
    let (mut listed, mut before, mut next) = (Vec::new(), None, 21);
    loop {
        let page = index.tapes(&all(), before, 1).await.unwrap();
        let Some(tape) = page.last() else { break };
        before = Some((tape.began, tape.number));
        listed.extend(page.iter().map(|tape| tape.id.clone()));
        // One goes on, another begins, and an earlier segment of a third comes late.
        let sequence = next / 4;
        index
            .commit(&[named("a", sequence, next), named(&format!("new-{next}"), sequence + 1, next + 4)])
            .await
            .unwrap();
        next += 8;
        if listed.len() == 1 {
            index.commit(&[SegmentRows { object: "late".to_owned(), ..named("c", 1_000, 1) }]).await.unwrap();
        }
    }
    assert_eq!(listed, ["d", "c", "b", "a"]);
}

pub(crate) async fn tapes_with_what_is_rare_are_those_that_have_it(subject: Subject) {
    let index = index_of(&subject).await;
    let named = |id: &str, sequence: u64, first: u64| {
        let mut segment = segment(INSTANCE, sequence, first, 4);
        segment.tapes[0].id = id.to_owned();
        segment
    };
    let mut other = named("b", 2, 6);
    other.words[5] = "bob".to_owned();
    other.frames.iter_mut().for_each(|frame| frame.session = Some("4f9a21c0".to_owned()));
    index.commit(&[named("a", 1, 2), other, named("c", 3, 10), named("a", 4, 14)]).await.unwrap();
    let list = async |filter: Filter| {
        let found = index.tapes(&filter, None, 10).await.unwrap();
        found.into_iter().map(|tape| tape.id).collect::<Vec<_>>()
    };
    assert_eq!(list(Filter { session: "4f9a21c0".to_owned(), ..all() }).await, ["b"]);
    assert_eq!(list(Filter { session: "3f9a21c0".to_owned(), ..all() }).await, ["c", "a"]);
    assert_eq!(list(Filter { principal: "bob".to_owned(), ..all() }).await, ["b"]);
    assert_eq!(list(Filter { trace: Some([6; 16]), ..all() }).await, ["c"]);
    assert_eq!(list(Filter { trace: Some([6; 16]), principal: "bob".to_owned(), ..all() }).await, [""; 0]);
    assert_eq!(list(Filter { outcomes: vec![TOOL_ERROR], ..all() }).await, ["c"]);
    assert_eq!(
        list(Filter { outcomes: vec![TOOL_ERROR, OK], name: "search".to_owned(), ..all() }).await,
        ["c", "b", "a"]
    );
    assert_eq!(list(Filter { name: "fetch".to_owned(), ..all() }).await, [""; 0]);
    let tapes = index.tapes(&all(), None, 10).await.unwrap();
    let read = async |filter: Filter| {
        let mut found = Vec::new();
        for tape in &tapes {
            found.extend(places(&index.frames_of_tape(&filter, tape.number, (0, 0), 100).await.unwrap()));
        }
        found
    };
    assert_eq!(read(Filter { trace: Some([6; 16]), ..all() }).await, [12, 13]);
    assert_eq!(read(Filter { principal: "bob".to_owned(), ..all() }).await, [6, 7, 8, 9]);
    assert_eq!(read(Filter { outcomes: vec![TOOL_ERROR, OK], name: "search".to_owned(), ..all() }).await.len(), 8);
}

pub(crate) async fn two_replicas_that_commit_the_same_at_once_store_it_once(subject: Subject) {
    let (one, other) = (index_of(&subject).await, index_of(&subject).await);
    let segments: Vec<SegmentRows> = (0..20).map(|number| segment(INSTANCE, number + 1, number * 10 + 1, 10)).collect();
    let backwards: Vec<SegmentRows> = segments.iter().rev().cloned().collect();
    for (mine, theirs) in segments.chunks(5).zip(backwards.chunks(5)) {
        let (mine, theirs) = tokio::join!(one.commit(mine), other.commit(theirs));
        mine.unwrap();
        theirs.unwrap();
    }
    let found = one.search(&all(), What::Frames, None, 1_000).await.unwrap();
    assert_eq!(places(&found), (1..=200).rev().collect::<Vec<_>>());
    let tape = &one.tapes(&all(), None, 1).await.unwrap()[0];
    assert_eq!((tape.frames, one.sources(FLEET).await.unwrap()[0].segments), (200, 20));
}
