use serde_json::Value;
use shadowcat_tape::line::{Message, encode};

use super::super::child_tapes::Children;
use super::super::links::Links;
use super::super::secrets::Secrets;
use super::super::sink::TapeSink;
use super::super::testing::call;
use super::*;

#[test]
fn what_waits_is_bounded_and_who_has_waited_longest_is_given_up() {
    let (mut paused, now) = (Paused::default(), Instant::now());
    (0..PAUSED_MAX + 2).for_each(|call| paused.put(call, 1, now));
    let excess: Vec<usize> = std::iter::from_fn(|| paused.excess()).collect();
    assert_eq!((excess, paused.calls.len(), paused.bytes), (vec![0, 1], PAUSED_MAX, PAUSED_MAX));
    paused.put(7, BYTES_MAX - 10, now);
    assert_eq!(std::iter::from_fn(|| paused.excess()).count(), PAUSED_MAX - 10, "the bytes are bounded too");
    assert_eq!((paused.calls.len(), paused.bytes), (11, BYTES_MAX));
    assert_eq!((paused.take(|call| *call == 7), paused.bytes), (Some(7), 10));
}

#[test]
fn a_call_is_waited_for_as_long_as_its_client_may_come_back() {
    let (mut paused, now) = (Paused::default(), Instant::now());
    let kept = Duration::from_secs(300);
    paused.put('a', 1, now);
    paused.put('b', 1, now + kept);
    assert_eq!(paused.expired(now + kept, kept), None);
    let late = now + kept + Duration::from_millis(1);
    assert_eq!((paused.expired(late, kept), paused.expired(late, kept)), (Some('a'), None));
    assert_eq!((paused.take(|call| *call == 'a'), paused.take(|call| *call == 'b')), (None, Some('b')));
    assert_eq!(paused.bytes, 0);
}

/// Keeps lines.
struct Lines(Arc<Mutex<Vec<Vec<u8>>>>);

impl TapeSink for Lines {
    fn append(&mut self, record: Record<'_>, _: Option<Message<'_>>) -> u64 {
        let (mut lines, mut line) = (self.0.lock().unwrap(), Vec::new());
        encode(&record, &mut line);
        lines.push(line);
        lines.len() as u64
    }

    fn lost(&mut self, _: u64, _: &str) {}

    fn rekeyed(&mut self, _: &str) {}

    fn settle(&mut self, _: Duration) -> Duration {
        Duration::MAX
    }

    fn can_promise(&self) -> bool {
        true
    }

    fn end(&mut self, _: Duration) {}
}

fn framer(lines: &Arc<Mutex<Vec<Vec<u8>>>>) -> Framer {
    Framer {
        sink: Box::new(Lines(Arc::clone(lines))),
        secrets: Secrets::new([1; 32].into()),
        began: Instant::now(),
        instance: "3f9a21c0".into(),
        links: Links::new(),
        paused: Paused::default(),
        children: Children::new(),
        followed: Arc::default(),
    }
}

#[test]
fn a_call_waits_without_its_message_and_its_ending_is_told_whole() {
    let lines = Arc::default();
    let mut framer = framer(&lines);
    let argument = "x".repeat(1024 * 1024);
    let call = call(&format!(
        r#"{{"jsonrpc":"2.0","id":18446744073709551617,"method":"tools/call","params":{{"name":"s\"low","_meta":{{"progressToken":"p"}},"arguments":{{"a":"{argument}"}}}}}}"#
    ));
    framer.opened(&call);
    framer.pause(&call, &mut call.told.lock().unwrap(), Instant::now());
    let message = Arc::downgrade(&call);
    drop(call);
    assert!(message.upgrade().is_none() && framer.paused.bytes < 256, "{}", framer.paused.bytes);

    let waits = framer.paused.take(|call| call.tape(&framer.instance) == "kX3vQ9aZ").unwrap();
    let asked = waits.asked().unwrap();
    assert_eq!((asked.id().unwrap().as_json(), asked.method()), ("18446744073709551617", Some("tools/call")));
    assert_eq!((subject(asked), asked.progress_token().unwrap().as_json()), (Some("s\"low"), "\"p\""));

    framer.abandon(&waits, Instant::now());
    let ending: Value = serde_json::from_slice(lines.lock().unwrap().last().unwrap()).unwrap();
    let told = ["k", "tape", "life", "out", "m", "name", "re", "op"].map(|member| ending[member].to_string());
    let expected = [r#""life""#, r#""kX3vQ9aZ""#, r#""call_abandoned""#, r#""cancelled""#, r#""tools/call""#];
    assert_eq!(
        (&told[..5], &told[5..]),
        (&expected.map(str::to_owned)[..], &[r#""s\"low""#, "1", "1"].map(str::to_owned)[..])
    );
}
