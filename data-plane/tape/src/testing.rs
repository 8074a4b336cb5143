//! What the tests of several modules write.

use crate::line::{self, Message};
use crate::record::{Head, Kind, Record};

/// An instance's id.
pub(crate) const INSTANCE: &str = "0123456789abcdef0123456789abcdef";

pub(crate) fn head() -> Record<'static> {
    let head = Head {
        format: (1, 0),
        instance: INSTANCE.into(),
        segment: 1,
        node: "node-1".into(),
        created_by: "shadowcat 0.1.0".into(),
        clock: 1_700_000_000_000_000_000,
        redaction_key: "00112233".into(),
        critical: vec!["msg".into(), "body".into()],
    };
    Record { k: Kind::Head, seq: 1, head: Some(head), ..Record::default() }
}

/// A head and so many messages of which no two are alike, each with a line of about 400 bytes.
pub(crate) fn lines(messages: u64) -> Vec<Vec<u8>> {
    let mut random = seeded(7);
    let mut all = vec![line_of(&head())];
    for seq in 2..messages + 2 {
        let noise: String = (0..32).map(|_| format!("{:08x}", random())).collect();
        let body = format!(r#"{{"jsonrpc":"2.0","id":{seq},"method":"tools/call","params":{{"name":"{noise}"}}}}"#);
        let record = Record { seq, t: seq * 1000, m: Some("tools/call".into()), ..Record::default() };
        let mut out = Vec::new();
        line::encode_message(&record, Message::of(body.as_bytes()), &mut out);
        all.push(out);
    }
    all
}

pub(crate) fn line_of(record: &Record<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    line::encode(record, &mut out);
    out
}

/// Seeded numbers (xorshift, G. Marsaglia 2003), so that a failure comes back.
pub(crate) fn seeded(seed: u32) -> impl FnMut() -> u32 {
    let mut state = seed;
    move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    }
}
