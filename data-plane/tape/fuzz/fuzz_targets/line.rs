//! Any bytes as a line, and as the members of a line whose checksum is right.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shadowcat_tape::line::{Message, decode, encode, encode_message, message};

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    let mut sealed = bytes.to_vec();
    sealed.extend_from_slice(format!(",\"c\":\"{:08x}\"}}\n", crc32c::crc32c(bytes)).as_bytes());
    check(&sealed);
});

fn check(line: &[u8]) {
    let Ok(record) = decode(line) else { return };
    let mut again = Vec::new();
    encode(&record, &mut again);
    assert_eq!(again.iter().position(|byte| *byte == b'\n'), Some(again.len() - 1));
    let read = decode(&again).expect("it was just written");
    assert_eq!((read.seq, read.t, read.k), (record.seq, record.t, record.k));
    let Ok(Some(body)) = message(&record) else { return };
    again.clear();
    encode_message(&record, Message::of(&body), &mut again);
    let read = decode(&again).expect("it was just written");
    assert_eq!(message(&read).expect("no base64 of others").as_deref(), Some(body.as_ref()));
}
