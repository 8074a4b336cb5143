//! The codec case by case; `properties` holds it against the standard's own words.

mod properties;

use bytes::{Bytes, BytesMut};

use super::{Decoder, Event, TooLong, encode};

const CAP: usize = 1 << 16;

/// What a reader of the stream learns from one event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Told {
    event: Option<Vec<u8>>,
    id: Option<Vec<u8>>,
    retry: Option<u64>,
    data: Option<Vec<u8>>,
}

impl From<&Event> for Told {
    fn from(event: &Event) -> Self {
        Self {
            event: event.event().map(<[u8]>::to_vec),
            id: event.id().map(Into::into),
            retry: event.retry(),
            data: event.data().map(Into::into),
        }
    }
}

fn decode<C: Into<Bytes>>(chunks: impl IntoIterator<Item = C>) -> Vec<Event> {
    let mut decoder = Decoder::new(CAP);
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.push(chunk.into());
        while let Some(event) = decoder.next().expect("small events") {
            events.push(event);
        }
    }
    events
}

fn told<C: Into<Bytes>>(chunks: impl IntoIterator<Item = C>) -> Vec<Told> {
    decode(chunks).iter().map(Told::from).collect()
}

#[test]
fn an_event_in_one_chunk_is_a_slice_of_it() {
    let chunk = Bytes::from_static(b": hi\n\nid: 1\ndata: {}\n\ndata: [");
    let inside = |bytes: &Bytes| chunk.as_ptr_range().contains(&bytes.as_ptr());
    let events = decode([chunk.clone()]);
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| inside(event.lines()) && inside(&event.lines_without_id())));
    assert!(events[0].is_comment_only() && events[1].data().is_some_and(|data| inside(&data)));
    assert_eq!(events[1].lines_without_id(), "data: {}\n\n");
}

#[test]
fn an_event_is_given_at_its_blank_line_without_waiting_for_what_follows() {
    assert_eq!(decode(["data: 1\r\n\r"]).len(), 1);
    assert_eq!(decode(["data: 1\r\n\r", "\n", "data: 2\r\n\r\n"]).len(), 2);
    assert_eq!(decode(["data: 1\r", "\n", "data: 2\r\n"]).len(), 0);
}

#[test]
fn a_priming_event_has_an_id_and_empty_data() {
    let mut out = BytesMut::new();
    encode(&mut out, None, Some(b"s-0"), Some(500), b"");
    assert_eq!(&out[..], b"id: s-0\nretry: 500\ndata: \n\n");
    assert_eq!(
        told([out.freeze()]),
        [Told { id: Some(b"s-0".to_vec()), retry: Some(500), data: Some(vec![]), event: None }]
    );
}

#[test]
fn an_event_past_the_cap_is_refused_for_good_whole_or_growing() {
    let cap = b"data: 1\n\n".len();
    let mut decoder = Decoder::new(cap);
    decoder.push("data: 1\n\ndata: 22\n\n".into());
    assert!(matches!(decoder.next(), Ok(Some(_))));
    assert_eq!(decoder.next(), Err(TooLong { max_event: cap }));
    assert_eq!(decoder.next(), Err(TooLong { max_event: cap }));
    let mut decoder = Decoder::new(cap);
    decoder.push("data: ".into());
    assert_eq!(decoder.next(), Ok(None));
    decoder.push("1234".into());
    assert_eq!(decoder.next(), Err(TooLong { max_event: cap }));
}

#[test]
fn what_has_no_blank_line_is_discarded_and_counted() {
    let mut decoder = Decoder::new(CAP);
    decoder.push("data: 1\n\ndata: 2\n".into());
    assert!(matches!(decoder.next(), Ok(Some(_))));
    assert_eq!(decoder.next(), Ok(None));
    assert_eq!(decoder.finish(), b"data: 2\n".len());
}

#[test]
fn lines_of_data_are_joined_by_line_feeds_and_written_back_as_lines() {
    let mut out = BytesMut::new();
    encode(&mut out, Some("message"), None, None, b"a\r\nb\rc\n");
    assert_eq!(&out[..], b"event: message\ndata: a\ndata: b\ndata: c\ndata: \n\n");
    assert_eq!(told([out.freeze()])[0].data.as_deref(), Some(&b"a\nb\nc\n"[..]));
}
