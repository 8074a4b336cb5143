//! The decoder against the standard's algorithm, and against the encoder.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::{Told, decode, told};
use crate::sse::{Decoder, comment, encode};

/// Cuts bytes at the given places (of 65 536).
fn cut(bytes: &[u8], places: &[u16]) -> Vec<Vec<u8>> {
    let mut ends: Vec<usize> = places.iter().map(|place| bytes.len() * usize::from(*place) / (1 << 16)).collect();
    ends.sort_unstable();
    ends.push(bytes.len());
    let mut start = 0;
    ends.into_iter().map(|end| bytes[std::mem::replace(&mut start, end)..end].to_vec()).collect()
}

/// HTML, section 9.2.6, word for word and without regard to cost. Reports events that hold fields.
fn by_the_book(bytes: &[u8]) -> Vec<Told> {
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut lines = Vec::new();
    let mut line = Vec::new();
    let mut rest = text.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'\r' | b'\n' => {
                if byte == b'\r' {
                    rest.next_if_eq(&b'\n');
                }
                lines.push(std::mem::take(&mut line));
            }
            byte => line.push(byte),
        }
    }
    let mut events = Vec::new();
    let (mut told, mut seen) = (Told::default(), false);
    for line in lines {
        if line.is_empty() {
            if std::mem::take(&mut seen) {
                events.push(std::mem::take(&mut told));
            }
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value).to_vec();
        seen |= !name.is_empty();
        match name {
            b"data" => {
                let joined = |data: Vec<u8>| [&data[..], &value[..]].join(&b'\n');
                told.data = Some(told.data.take().map_or_else(|| value.clone(), joined));
            }
            b"event" => told.event = Some(value),
            b"id" if !value.contains(&0) => told.id = Some(value),
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                told.retry = String::from_utf8_lossy(&value).parse().ok().or(told.retry);
            }
            _ => {}
        }
    }
    events
}

/// Bytes in which everything that means something to the format is likely.
fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&'static [u8]> = vec![
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\r\r",
        b"\r\n\r\n",
        b":",
        b": ",
        b" ",
        b"data",
        b"data: x",
        b"id: 1",
        b"id: \0",
        b"id",
        b"id: 2\r",
        b"id: 3\n",
        b"event: e",
        b"retry: 5",
        b"retry: x",
        b"\xEF\xBB\xBF",
        b"\xEF",
        b"\xff",
        b"x",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..24).prop_map(|pieces| pieces.concat())
}

fn any_event() -> impl Strategy<Value = Told> {
    let line =
        || prop::collection::vec(any::<u8>().prop_filter("one line", |byte| !matches!(byte, 0 | b'\r' | b'\n')), 0..9);
    let data = prop::collection::vec(prop_oneof![8 => any::<u8>(), 1 => Just(b'\n')], 0..40)
        .prop_map(|data| data.into_iter().filter(|byte| *byte != b'\r').collect());
    (prop::option::of("[a-z ]{0,6}"), prop::option::of(line()), any::<Option<u64>>(), data)
        .prop_map(|(event, id, retry, data)| Told { event: event.map(Into::into), id, retry, data: Some(data) })
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_under_any_chunking_and_line_end(
        events in prop::collection::vec(any_event(), 0..6),
        places: Vec<u16>,
        line_end in prop::sample::select(vec!["\n", "\r", "\r\n"]),
        bom: bool,
    ) {
        let mut out = BytesMut::new();
        for Told { event, id, retry, data } in &events {
            let event = event.as_deref().map(|event| std::str::from_utf8(event).expect("letters"));
            encode(&mut out, event, id.as_deref(), *retry, data.as_deref().unwrap_or_default());
            comment(&mut out, "still here");
        }
        let mut stream = if bom { b"\xEF\xBB\xBF".to_vec() } else { Vec::new() };
        for byte in out {
            if byte == b'\n' { stream.extend_from_slice(line_end.as_bytes()) } else { stream.push(byte) }
        }
        let heard: Vec<Told> =
            decode(cut(&stream, &places)).iter().filter(|event| !event.is_comment_only()).map(Told::from).collect();
        prop_assert_eq!(heard, events);
    }

    #[test]
    fn any_bytes_in_any_chunks_mean_what_the_standard_says(stream in any_stream(), places: Vec<u16>) {
        let heard: Vec<Told> =
            decode(cut(&stream, &places)).iter().filter(|event| !event.is_comment_only()).map(Told::from).collect();
        prop_assert_eq!(heard, by_the_book(&stream));
    }

    #[test]
    fn another_id_changes_the_id_and_nothing_else(stream in any_stream(), places: Vec<u16>) {
        for event in decode(cut(&stream, &places)) {
            let (mut with, mut without) = (BytesMut::new(), BytesMut::new());
            event.write_with_id(b"s-1", &mut with);
            event.write_without_id(&mut without);
            // A comment goes before it: at the start of a stream, a byte order mark would mean nothing.
            let told = |lines: BytesMut| told([Bytes::from_static(b":\n\n"), lines.freeze()]).split_off(1);
            prop_assert_eq!(&without, &event.lines_without_id());
            let before = Told::from(&event);
            prop_assert_eq!(told(with), [Told { id: Some(b"s-1".to_vec()), ..before.clone() }]);
            let bare = Told { id: None, ..before };
            prop_assert_eq!(told(without).pop().unwrap_or_default(), bare);
        }
    }

    #[test]
    fn nothing_makes_the_decoder_panic_or_keep_more_than_its_cap(chunks: Vec<Vec<u8>>, stream in any_stream(), cap in 0..40_usize) {
        let mut decoder = Decoder::new(cap);
        for chunk in chunks.into_iter().chain([stream]) {
            decoder.push(chunk.into());
            loop {
                match decoder.next() {
                    Ok(Some(event)) => prop_assert!(event.lines().len() <= cap),
                    Ok(None) => break,
                    Err(_) => return Ok(()),
                }
            }
        }
        // A byte order mark is held back until it is told apart.
        prop_assert!(decoder.finish() <= cap.max(2));
    }
}
