use std::borrow::Cow;
use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::{LINE_BYTES_MAX, LineError, Message, decode, encode, encode_message, message};
use crate::record::{BlobRef, Direction, Gap, Head, Http, Kind, OpLink, Outcome, Record, Redacted, Stage};

fn line(record: &Record<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode(record, &mut out);
    out
}

fn with_message(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_message(&Record { seq: 1, ..Record::default() }, Message::of(bytes), &mut out);
    out
}

/// A record with every member.
pub(crate) fn full(body: &RawValue) -> Record<'_> {
    Record {
        k: Kind::Msg,
        seq: 7,
        t: 1_000_001,
        dir: Some(Direction::S2c),
        stage: Some(Stage::Tx),
        of: Some(6),
        tape: Some("3f2a".into()),
        conn: Some(1),
        xchg: Some(2),
        op: Some(3),
        op_link: Some(OpLink::State),
        id: Some(body),
        m: Some("tools/call".into()),
        name: Some("caf\u{e9} \"quoted\"\n".into()),
        re: Some(3),
        lat: Some(950),
        out: Some(Outcome::ToolError),
        code: Some(-32_000),
        route: Some("workbench".into()),
        upstream: Some("files".into()),
        endpoint: Some("https://files.example/mcp".into()),
        session: Some("9b1d".into()),
        principal: Some("alice".into()),
        version: Some(12),
        era: Some("2025-11-25".into()),
        tp: Some("0af7651916cd43dd8448eb211c80319c".into()),
        http: Some(Http {
            method: Some("POST".into()),
            path: Some("/mcp".into()),
            status: Some(200),
            headers: BTreeMap::from([("content-type".into(), "application/json".into())]),
            sse: Some("12 message".into()),
        }),
        red: vec![Redacted { ptr: "/params".into(), rule: "jwt".into(), tag: "r".into(), len: 20 }],
        sz: Some(400),
        head: Some(Head { format: (1, 0), critical: vec!["msg".into()], ..Head::default() }),
        clock: Some(1),
        gap: Some(Gap {
            why: "crash".into(),
            frames: Some(1),
            bytes: Some(2),
            instance: Some("0".into()),
            segments: Some((1, 2)),
        }),
        life: Some("spawned".into()),
        text: Some("text".into()),
        blob: Some(BlobRef { hash: "00".into(), bytes: 70_000 }),
        b64: Some("AAA=".into()),
        body: Some(body),
    }
}

#[test]
fn a_record_with_every_member_reads_back_and_writes_the_same_line_again() {
    let body = RawValue::from_string(r#"{"b":1.0,"a":18446744073709551616,"a":2}"#.into()).unwrap();
    let first = line(&full(&body));
    let record = decode(&first).unwrap();
    assert_eq!(record.body.unwrap().get(), body.get());
    assert_eq!(line(&record), first);
}

#[test]
fn a_line_is_the_record_its_checksum_and_a_line_feed() {
    let record = Record { seq: 1, t: 2, m: Some("ping".into()), ..Record::default() };
    let text = String::from_utf8(line(&record)).unwrap();
    assert_eq!(text, "{\"k\":\"msg\",\"seq\":1,\"t\":2,\"m\":\"ping\",\"c\":\"df18e0ed\"}\n");
}

#[test]
fn text_is_borrowed_from_the_line() {
    let record = Record { m: Some("ping".into()), name: Some("a\nb".into()), ..Record::default() };
    let bytes = line(&record);
    let read = decode(&bytes).unwrap();
    assert!(matches!(read.m, Some(Cow::Borrowed("ping"))));
    assert!(matches!(&read.name, Some(Cow::Owned(name)) if name == "a\nb"));
}

#[test]
fn an_id_of_null_is_an_id() {
    let null = RawValue::from_string("null".into()).unwrap();
    let bytes = line(&Record { id: Some(&null), body: Some(&null), ..Record::default() });
    let read = decode(&bytes).unwrap();
    assert_eq!(read.id.map(RawValue::get), Some("null"));
    assert_eq!(read.body.map(RawValue::get), Some("null"));
}

#[test]
fn a_message_stands_in_the_line_as_it_came_or_in_base64() {
    for plain in [&br#"{ "a" : [1.0, "\u0041"] }"#[..], b"null", b"\"x\"", b"{\"a\":1,\r\t\"a\":2}"] {
        let bytes = with_message(plain);
        assert!(memchr::memmem::find(&bytes, plain).is_some());
        assert_eq!(message(&decode(&bytes).unwrap()).unwrap().unwrap(), plain);
    }
    for other in [&b""[..], b"{\n}", b"{} ", b" {}", b"{}\n", b"not json", b"\xff\xfe", b"\"\xff\"", b"{} {}"] {
        let bytes = with_message(other);
        let record = decode(&bytes).unwrap();
        assert!(record.b64.is_some() && record.body.is_none());
        assert_eq!(message(&record).unwrap().unwrap(), other);
    }
}

#[test]
fn a_body_or_an_id_with_a_line_feed_is_still_one_line() {
    let pretty = RawValue::from_string("{\n  \"a\": 1\n}".into()).unwrap();
    let bytes = line(&Record { id: Some(&pretty), body: Some(&pretty), ..Record::default() });
    assert_eq!(memchr::memchr(b'\n', &bytes), Some(bytes.len() - 1));
    let record = decode(&bytes).unwrap();
    assert_eq!(record.id.unwrap().get(), "{   \"a\": 1 }");
    assert_eq!(message(&record).unwrap().unwrap(), pretty.get().as_bytes());
}

#[test]
fn what_is_wrong_with_a_line_is_told() {
    assert_eq!(decode(b"").unwrap_err(), LineError::NoChecksum);
    assert_eq!(decode(b"{\"k\":\"msg\"}\n").unwrap_err(), LineError::NoChecksum);
    let long = vec![b' '; LINE_BYTES_MAX + 1];
    assert_eq!(decode(&long).unwrap_err(), LineError::TooLong { bytes: LINE_BYTES_MAX + 1 });
    let sealed = |members: &[u8]| {
        let mut out = members.to_vec();
        super::seal(0, &mut out);
        out
    };
    assert_eq!(decode(&sealed(b"{\"k\":\"\xff")).unwrap_err(), LineError::NotUtf8 { at: 6 });
    let refused = decode(&sealed(b"{\"k\":\"msg\",\"seq\":-1,\"t\":0")).unwrap_err();
    assert!(refused.to_string().contains("column"), "{refused}");
    let later = sealed(br#"{"k":"holo","seq":1,"t":0,"later":{"a":[1]}"#);
    assert_eq!(decode(&later).unwrap().k, Kind::Unknown);
}

proptest! {
    #[test]
    fn encoding_and_decoding_is_the_identity(seq: u64, t: u64, name in ".*", text in ".*", raw in any::<Vec<u8>>()) {
        let record = Record { seq, t, name: Some(name.as_str().into()), text: Some(text.as_str().into()), ..Record::default() };
        let mut out = Vec::new();
        encode_message(&record, Message::of(&raw), &mut out);
        prop_assert_eq!(memchr::memchr(b'\n', &out), Some(out.len() - 1));
        let read = decode(&out).unwrap();
        prop_assert_eq!((read.seq, read.t), (seq, t));
        prop_assert_eq!(read.name.as_deref(), Some(name.as_str()));
        prop_assert_eq!(read.text.as_deref(), Some(text.as_str()));
        let message = message(&read).unwrap().unwrap();
        prop_assert_eq!(message.as_ref(), raw.as_slice());
    }

    #[test]
    fn any_changed_byte_is_detected(name in ".*", place: prop::sample::Index, mask in 1_u8..) {
        let record = Record { name: Some(name.into()), ..Record::default() };
        let mut bytes = line(&record);
        let place = place.index(bytes.len());
        bytes[place] ^= mask;
        prop_assert!(decode(&bytes).is_err());
    }
}
