//! Any bytes as a message, against `serde_json`'s judgement of the grammar.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use shadowcat_mcp::{Envelope, Id, Limits, Reason};

fuzz_target!(|bytes: &[u8]| {
    let is_json = || std::str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    match Envelope::read(Bytes::copy_from_slice(bytes), Limits::default()) {
        Ok(envelope) => {
            assert!(is_json());
            check_another_id(&envelope);
        }
        Err(refusal) => match refusal.reason() {
            // Halves of surrogate pairs are grammar, and refused where the gateway must read them.
            Reason::NotJson { what, .. } => assert!(what.contains("surrogate") || !is_json()),
            Reason::NotUtf8 { .. } => assert!(!is_json()),
            _ => {}
        },
    }
});

fn check_another_id(envelope: &Envelope) {
    let Some(id) = envelope.id() else { return };
    let other = Envelope::read(envelope.with_id(r#""other""#), Limits::default()).expect("still a message");
    assert_eq!(other.id().map(Id::as_json), Some(r#""other""#));
    assert_eq!(other.method(), envelope.method());
    assert_eq!(other.with_id(id.as_json()), envelope.body());
}
