//! Any bytes as an event stream, whole and in pieces whose lengths the input chooses.

#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use shadowcat_mcp::sse::{Decoder, Event};

/// Small enough that the fuzzer finds it.
const CAP: usize = 512;

type Told = (Option<Vec<u8>>, Option<Bytes>, Option<u64>, Option<Bytes>);

fuzz_target!(|input: (Vec<u8>, &[u8])| {
    let (lengths, stream) = input;
    let (whole, whole_ended) = decode(&[usize::MAX], stream);
    let lengths: Vec<usize> = lengths.into_iter().map(usize::from).collect();
    let (pieces, pieces_ended) = decode(&lengths, stream);
    // At the cap one byte decides, and a line feed cut from its carriage return is dropped.
    if whole_ended && pieces_ended {
        assert_eq!(told(&whole), told(&pieces));
    }
    whole.iter().for_each(check_another_id);
});

/// The events, and whether the stream could be read to its end.
fn decode(lengths: &[usize], stream: &[u8]) -> (Vec<Event>, bool) {
    let mut decoder = Decoder::new(CAP);
    let mut events = Vec::new();
    let mut rest = stream;
    for length in lengths.iter().copied().chain([usize::MAX]) {
        let (chunk, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        decoder.push(Bytes::copy_from_slice(chunk));
        loop {
            match decoder.next() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(_) => return (events, false),
            }
        }
    }
    (events, true)
}

fn told(events: &[Event]) -> Vec<Told> {
    let told = |event: &Event| (event.event().map(<[u8]>::to_vec), event.id(), event.retry(), event.data());
    events.iter().map(told).collect()
}

fn check_another_id(event: &Event) {
    // A comment goes before it: at the start of a stream, a byte order mark would mean nothing.
    let mut with = BytesMut::from(":\n\n");
    event.write_with_id(b"other", &mut with);
    let mut decoder = Decoder::new(usize::MAX);
    decoder.push(with.freeze());
    let events: Vec<Event> = std::iter::from_fn(|| decoder.next().expect("no cap")).collect();
    let [_, other] = &events[..] else { panic!("one event became {events:?}") };
    assert_eq!(other.id().as_deref(), Some(&b"other"[..]));
    assert_eq!((other.event(), other.retry(), other.data()), (event.event(), event.retry(), event.data()));
}
