//! The SSE codec: 50 progress events, as they come and as they go.

use bytes::{Bytes, BytesMut};
use divan::Bencher;
use divan::counter::ItemsCount;
use shadowcat_mcp::sse::{Decoder, encode};

/// Events of a call, as in `compare`.
const EVENTS: usize = 50;

/// No event here comes near it.
const MAX_EVENT: usize = 1 << 20;

fn main() {
    divan::main();
}

fn message(progress: usize) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":1000000,"progress":{progress},"message":"sixty-four bytes of news about work that goes on and on, as ever"}}}}"#
    )
}

fn events() -> Vec<Bytes> {
    (1..=EVENTS).map(|progress| Bytes::from(format!("data: {}\n\n", message(progress)))).collect()
}

/// Reads all of `chunks` and writes every event with an id of ours, as the proxy does in a session.
fn pass(chunks: &[Bytes]) -> BytesMut {
    let mut decoder = Decoder::new(MAX_EVENT);
    let mut out = BytesMut::with_capacity(16 * 1024);
    for chunk in chunks {
        decoder.push(chunk.clone());
        while let Ok(Some(event)) = decoder.next() {
            event.write_with_id(b"4294967296-1", &mut out);
        }
    }
    out
}

#[divan::bench]
fn pass_on_events_that_came_in_one_chunk(bencher: Bencher<'_, '_>) {
    let chunk = [Bytes::from(events().concat())];
    bencher.counter(ItemsCount::new(EVENTS)).bench(|| pass(&chunk));
}

#[divan::bench]
fn pass_on_events_that_came_one_by_one(bencher: Bencher<'_, '_>) {
    let chunks = events();
    bencher.counter(ItemsCount::new(EVENTS)).bench(|| pass(&chunks));
}

/// The worst a network does: no chunk is an event.
#[divan::bench]
fn pass_on_events_that_came_in_pieces(bencher: Bencher<'_, '_>) {
    const PIECE: usize = 100;
    let whole = events().concat();
    let chunks: Vec<_> = whole.chunks(PIECE).map(Bytes::copy_from_slice).collect();
    bencher.counter(ItemsCount::new(EVENTS)).bench(|| pass(&chunks));
}

#[divan::bench]
fn encode_events(bencher: Bencher<'_, '_>) {
    let messages: Vec<_> = (1..=EVENTS).map(message).collect();
    bencher.counter(ItemsCount::new(EVENTS)).bench(|| {
        let mut out = BytesMut::with_capacity(16 * 1024);
        for message in &messages {
            encode(&mut out, None, Some(b"4294967296-1"), None, message.as_bytes());
        }
        out
    });
}
