//! Reading the envelope of a `tools/call`, beside what a tree of values would cost.

use bytes::Bytes;
use divan::Bencher;
use divan::counter::BytesCount;
use shadowcat_mcp::{Envelope, Limits};

/// A small call, one with some text in it, one with a document in it: bytes of the whole message.
const SIZES: [usize; 3] = [300, 4 * 1024, 64 * 1024];

fn main() {
    divan::main();
}

/// A call of about `size` bytes whose arguments are a list of records, as tools are given them.
fn call(size: usize) -> Bytes {
    let record =
        r#"{"path":"/srv/data/notes.txt","line":17,"text":"caf\u00e9 \"au lait\"","tags":["a","b"],"done":false}"#;
    let head =
        r#"{"jsonrpc":"2.0","id":1000000,"method":"tools/call","params":{"name":"write","arguments":{"records":["#;
    let tail = r#"]},"_meta":{"progressToken":1000000}}}"#;
    let records = (size.saturating_sub(head.len() + tail.len()) / (record.len() + 1)).max(1);
    Bytes::from(format!("{head}{}{tail}", vec![record; records].join(",")))
}

#[divan::bench(args = SIZES, sample_size = 100)]
fn envelope(bencher: Bencher<'_, '_>, size: usize) {
    let call = call(size);
    bencher.counter(BytesCount::new(call.len())).bench(|| Envelope::read(call.clone(), Limits::default()));
}

#[divan::bench(args = SIZES, sample_size = 100)]
fn tree_of_values(bencher: Bencher<'_, '_>, size: usize) {
    let call = call(size);
    bencher.counter(BytesCount::new(call.len())).bench(|| serde_json::from_slice::<serde_json::Value>(&call));
}
