use shadowcat_proto::fleet::v1::Blob;

use super::*;

const INSTANCE: &str = "0123456789abcdef0123456789abcdef";

fn id(sequence: u64) -> SegmentId {
    SegmentId::new(INSTANCE, sequence).unwrap()
}

/// An offer of a segment that has this content.
fn offer(sequence: u64, content: &[u8]) -> SegmentOffer {
    SegmentOffer {
        instance: INSTANCE.to_owned(),
        sequence,
        bytes: u32::try_from(content.len()).unwrap(),
        digest: Bytes::copy_from_slice(blake3::hash(content).as_bytes()),
        first_record: 1,
        last_record: 9,
        blobs: Vec::new(),
    }
}

fn chunk(sequence: u64, bytes: &[u8]) -> SegmentChunk {
    let bytes = Bytes::copy_from_slice(bytes);
    SegmentChunk { instance: INSTANCE.to_owned(), sequence, blob: Bytes::new(), last: true, bytes }
}

/// A line on which this segment is wanted.
fn wanted(offer: SegmentOffer, missing: Vec<[u8; 32]>) -> Line {
    let mut line = Line::default();
    let id = id(offer.sequence);
    line.on(Event::Offered(offer)).unwrap();
    line.on(Event::Looked(id.clone(), Known::Missing(missing))).unwrap();
    line.on(Event::Granted(id)).unwrap();
    line
}

fn said(actions: &[Action]) -> Vec<&'static str> {
    let word = |action: &Action| match action {
        Action::Say(ship_reply::Kind::Stored(_)) => Some("stored"),
        Action::Say(ship_reply::Kind::Refused(_)) => Some("refused"),
        Action::Say(ship_reply::Kind::Wanted(_)) => Some("wanted"),
        Action::Store(..) => Some("store"),
        Action::Borrow(..) => Some("borrow"),
        _ => None,
    };
    actions.iter().filter_map(word).collect()
}

#[test]
fn a_segment_is_looked_for_wanted_stored_and_then_acknowledged() {
    let mut line = Line::default();
    let digest = *blake3::hash(b"abc").as_bytes();
    assert_eq!(line.on(Event::Offered(offer(1, b"abc"))).unwrap(), [Action::Look(id(1), digest, vec![])]);
    assert_eq!(line.on(Event::Looked(id(1), Known::Missing(vec![]))).unwrap(), [Action::Borrow(id(1), 3)]);
    assert_eq!(said(&line.on(Event::Granted(id(1))).unwrap()), ["wanted"]);
    assert!(line.on(Event::Came(SegmentChunk { last: false, ..chunk(1, b"ab") })).unwrap().is_empty());
    assert_eq!(said(&line.on(Event::Came(chunk(1, b"c"))).unwrap()), ["store"]);
    assert_eq!(said(&line.on(Event::Done(id(1), Ok(()))).unwrap()), ["stored"]);
    assert!(line.on(Event::Done(id(1), Ok(()))).unwrap().is_empty(), "it is said once");
}

#[test]
fn what_is_stored_already_is_not_sent_again() {
    let mut line = Line::default();
    line.on(Event::Offered(offer(1, b"abc"))).unwrap();
    assert_eq!(said(&line.on(Event::Looked(id(1), Known::Stored)).unwrap()), ["stored"]);
}

#[test]
fn messages_come_first_and_are_durable_before_their_segment_is_stored() {
    let (one, two) = ([1; 32], [2; 32]);
    let blob = |hash: [u8; 32]| Blob { hash: Bytes::copy_from_slice(&hash), bytes: 2 };
    let mut line = wanted(SegmentOffer { blobs: vec![blob(one), blob(two)], ..offer(1, b"abc") }, vec![two]);
    let message = |hash: [u8; 32]| SegmentChunk { blob: Bytes::copy_from_slice(&hash), ..chunk(1, b"zz") };
    let kept = line.on(Event::Came(message(two))).unwrap();
    assert_eq!(kept, [Action::Keep(id(1), two, Bytes::from_static(b"zz"))]);
    assert!(line.on(Event::Came(chunk(1, b"abc"))).unwrap().is_empty(), "its message is not durable yet");
    assert_eq!(said(&line.on(Event::Kept(id(1), (two, 2), Ok(()))).unwrap()), ["store"]);
    let mut line = wanted(SegmentOffer { blobs: vec![blob(one)], ..offer(1, b"abc") }, vec![one]);
    assert!(line.on(Event::Came(chunk(1, b"abc"))).is_err(), "the message was to come first");
}

#[test]
fn a_message_that_is_not_what_its_hash_says_costs_its_segment_only_the_message() {
    let (one, two, three) = ([1; 32], [2; 32], [3; 32]);
    let blob = |hash: [u8; 32], bytes| Blob { hash: Bytes::copy_from_slice(&hash), bytes };
    let blobs = vec![blob(one, 2), blob(two, 2), blob(three, MESSAGE_BYTES_MAX + 1)];
    let mut line = wanted(SegmentOffer { blobs, ..offer(1, b"abc") }, vec![one, two]);
    for hash in [one, two] {
        line.on(Event::Came(SegmentChunk { blob: Bytes::copy_from_slice(&hash), ..chunk(1, b"zz") })).unwrap();
    }
    line.on(Event::Came(chunk(1, b"abc"))).unwrap();
    line.on(Event::Kept(id(1), (one, 2), Err("it is damaged".to_owned()))).unwrap();
    let stored = line.on(Event::Kept(id(1), (two, 2), Ok(()))).unwrap();
    let [Action::Store(offer, _)] = &stored[..] else { panic!("{stored:?}") };
    assert_eq!(offer.messages, [(two, 2)]);
    let told: Vec<&str> = offer.spoiled.iter().map(|(why, _)| *why).collect();
    assert_eq!(told, ["too_large", "corrupt"]);
}

#[test]
fn a_node_owes_something_from_when_it_is_wanted_until_it_came() {
    let mut line = Line::default();
    line.on(Event::Offered(offer(1, b"abc"))).unwrap();
    line.on(Event::Looked(id(1), Known::Missing(vec![]))).unwrap();
    assert!(!line.is_owed(), "it has not been told yet");
    line.on(Event::Granted(id(1))).unwrap();
    assert!(line.is_owed());
    line.on(Event::Came(SegmentChunk { last: false, ..chunk(1, b"ab") })).unwrap();
    assert!(line.is_owed());
    line.on(Event::Came(chunk(1, b"c"))).unwrap();
    assert!(!line.is_owed(), "it is being stored");
    let blob = Blob { hash: Bytes::copy_from_slice(&[1; 32]), bytes: MESSAGE_BYTES_MAX };
    let mut line = wanted(SegmentOffer { blobs: vec![blob], ..offer(1, b"abc") }, vec![[1; 32]]);
    let piece = vec![0; CHUNK_BYTES_MAX];
    let pieces = MESSAGE_BYTES_MAX as usize / CHUNK_BYTES_MAX;
    for number in 1..=pieces {
        let piece = SegmentChunk { blob: vec![1; 32].into(), last: number == pieces, ..chunk(1, &piece) };
        line.on(Event::Came(piece)).unwrap();
    }
    assert!(!line.has_room() && !line.is_owed(), "nothing that it sent now would be read");
}

#[test]
fn four_segments_or_eight_mebibytes_are_under_way_and_one_whatever_its_size() {
    let mut line = Line::default();
    let mut borrowed = Vec::new();
    for sequence in 1..=6 {
        line.on(Event::Offered(offer(sequence, b"abc"))).unwrap();
        borrowed.extend(line.on(Event::Looked(id(sequence), Known::Missing(vec![]))).unwrap());
    }
    assert_eq!(said(&borrowed), ["borrow"; 4]);
    line.on(Event::Granted(id(1))).unwrap();
    line.on(Event::Came(chunk(1, b"abc"))).unwrap();
    assert_eq!(said(&line.on(Event::Done(id(1), Ok(()))).unwrap()), ["stored", "borrow"]);

    let mut line = Line::default();
    for sequence in 1..=2 {
        let large = SegmentOffer { bytes: 2 * BYTES_UNDER_WAY, ..offer(sequence, b"") };
        line.on(Event::Offered(large)).unwrap();
    }
    assert_eq!(said(&line.on(Event::Looked(id(1), Known::Missing(vec![]))).unwrap()), ["borrow"]);
    assert!(said(&line.on(Event::Looked(id(2), Known::Missing(vec![]))).unwrap()).is_empty());
}

#[test]
fn what_is_not_what_was_offered_is_refused_and_the_stream_goes_on() {
    let mut line = wanted(offer(1, b"abc"), vec![]);
    assert_eq!(said(&line.on(Event::Came(chunk(1, b"abd"))).unwrap()), ["refused"]);
    let mut line = wanted(offer(1, b"abc"), vec![]);
    let longer = SegmentChunk { last: false, ..chunk(1, b"abcd") };
    assert_eq!(said(&line.on(Event::Came(longer)).unwrap()), ["refused"]);
    assert!(said(&line.on(Event::Came(chunk(1, b"e"))).unwrap()).is_empty(), "the rest is passed over");
    assert_eq!(line.on(Event::Offered(offer(1, b"abc"))).unwrap().len(), 1, "it may be offered again");
    let mut line = wanted(offer(1, b"abc"), vec![]);
    assert_eq!(said(&line.on(Event::Came(chunk(1, b"ab"))).unwrap()), ["refused"]);
}

#[test]
fn an_offer_that_cannot_be_is_refused_with_the_reason() {
    let mut line = Line::default();
    for offer in [
        SegmentOffer { instance: "../x".to_owned(), ..offer(1, b"a") },
        SegmentOffer { bytes: 0, ..offer(1, b"a") },
        SegmentOffer { bytes: u32::MAX, ..offer(1, b"a") },
        SegmentOffer { digest: Bytes::new(), ..offer(1, b"a") },
        SegmentOffer { first_record: 10, ..offer(1, b"a") },
        SegmentOffer { first_record: 0, ..offer(1, b"a") },
        SegmentOffer { sequence: 0, ..offer(1, b"a") },
        SegmentOffer { sequence: (1 << 62) + 1, ..offer(1, b"a") },
        SegmentOffer { last_record: u64::MAX, ..offer(1, b"a") },
        SegmentOffer { blobs: vec![Blob { hash: Bytes::new(), bytes: 1 }], ..offer(1, b"a") },
    ] {
        assert_eq!(said(&line.on(Event::Offered(offer.clone())).unwrap()), ["refused"], "{offer:?}");
    }
}

#[test]
fn what_was_not_wanted_ends_the_stream() {
    assert!(Line::default().on(Event::Came(chunk(1, b"abc"))).is_err());
    let mut line = wanted(offer(1, b"abc"), vec![]);
    assert!(line.on(Event::Offered(offer(1, b"abc"))).is_err(), "offered twice");
    line.on(Event::Came(SegmentChunk { last: false, ..chunk(1, b"a") })).unwrap();
    assert!(line.on(Event::Came(chunk(2, b"abc"))).is_err(), "pieces mix");
    let mut line = wanted(offer(1, b"abc"), vec![]);
    assert!(line.on(Event::Came(chunk(1, &[0; CHUNK_BYTES_MAX + 1]))).is_err());
    let mut line = Line::default();
    for sequence in 1..=OFFERS_MAX as u64 {
        line.on(Event::Offered(offer(sequence, b"abc"))).unwrap();
    }
    assert!(line.on(Event::Offered(offer(99, b"abc"))).is_err(), "more than the welcome allows");
}
