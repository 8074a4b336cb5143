//! The generator against servers that lie.

use super::answer::check;
use super::connection::Media;
use crate::exchange::{Call, FIRST_ID, write_answer, write_progress};

const EVENTS: Call = Call::Sse { events: 2 };

fn answer(id: u64) -> String {
    let mut text = String::new();
    write_answer(&mut text, id);
    text
}

fn stream(progress: &[u32]) -> String {
    let events = progress.iter().map(|progress| {
        let mut text = String::new();
        write_progress(&mut text, FIRST_ID, *progress);
        format!("id: 1-{progress}\r\ndata: {text}\r\n\r\n")
    });
    events.collect::<String>() + &format!(": comment\n\ndata:\n\ndata:{}\n\n", answer(FIRST_ID))
}

fn verdict(call: Call, media: &Media, body: &str) -> anyhow::Result<()> {
    check(call, FIRST_ID, media, body.as_bytes(), &mut String::new())
}

#[test]
fn the_answer_that_was_due_passes() {
    verdict(Call::Json, &Media::Json, &answer(FIRST_ID)).unwrap();
}

#[test]
fn an_answer_to_another_request_is_an_error() {
    verdict(Call::Json, &Media::Json, &answer(FIRST_ID + 1)).unwrap_err();
}

#[test]
fn a_stream_may_carry_ids_comments_and_empty_events_between_its_messages() {
    verdict(EVENTS, &Media::EventStream, &stream(&[1, 2])).unwrap();
}

#[test]
fn events_lost_doubled_or_out_of_order_are_errors() {
    for progress in [&[1][..], &[2], &[2, 1], &[1, 1], &[1, 2, 2], &[]] {
        verdict(EVENTS, &Media::EventStream, &stream(progress)).unwrap_err();
    }
}

#[test]
fn a_stream_that_ends_before_its_answer_is_an_error() {
    let whole = stream(&[1, 2]);
    let cut = &whole[..whole.rfind("data:").unwrap()];
    verdict(EVENTS, &Media::EventStream, cut).unwrap_err();
}

#[test]
fn the_wrong_kind_of_answer_is_an_error() {
    verdict(EVENTS, &Media::Json, &answer(FIRST_ID)).unwrap_err();
    verdict(Call::Json, &Media::EventStream, &stream(&[])).unwrap_err();
}
