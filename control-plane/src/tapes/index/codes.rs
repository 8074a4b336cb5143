//! Kinds, directions and outcomes as numbers, which is how rows have them. A number is never given again to something else.

use shadowcat_tape::record::{Direction, Kind, Outcome};

/// Outcomes from this number on did not end well: what operators mean by `error`. The indexes of both databases say it too.
pub const FAILURES_FROM: i16 = 4;

/// Every outcome, at the place that is its number.
const OUTCOMES: [Outcome; 13] = [
    Outcome::Ok,
    Outcome::None,
    Outcome::Task,
    Outcome::InputRequired,
    Outcome::RpcError,
    Outcome::ToolError,
    Outcome::Cancelled,
    Outcome::HttpError,
    Outcome::Refused,
    Outcome::Failed,
    Outcome::Timeout,
    Outcome::Invalid,
    Outcome::Unknown,
];

/// Kinds that tell of traffic, at the place that is their number; 0 is one that this build does not know.
const KINDS: [(Kind, &str); 8] = [
    (Kind::Unknown, "unknown"),
    (Kind::Msg, "msg"),
    (Kind::Http, "http"),
    (Kind::Raw, "raw"),
    (Kind::Stderr, "stderr"),
    (Kind::Life, "life"),
    (Kind::Rule, "rule"),
    (Kind::Mark, "mark"),
];

/// Directions, at the place that is their number; 0 is none.
const DIRECTIONS: [(Option<Direction>, &str); 4] =
    [(None, ""), (Some(Direction::C2s), "c2s"), (Some(Direction::S2c), "s2c"), (Some(Direction::Local), "local")];

/// The number of a kind that tells of traffic; `None` for one that tells of the recording.
#[must_use]
pub fn kind(kind: Kind) -> Option<i16> {
    number(KINDS.iter().position(|(known, _)| *known == kind))
}

/// The name of a kind.
#[must_use]
pub fn kind_name(number: i16) -> &'static str {
    at(&KINDS, number).map_or("unknown", |(_, name)| name)
}

/// The number of a direction.
#[must_use]
pub fn direction(direction: Direction) -> Option<i16> {
    number(DIRECTIONS.iter().position(|(known, _)| *known == Some(direction)))
}

/// The name of a direction; empty for none.
#[must_use]
pub fn direction_name(number: i16) -> &'static str {
    at(&DIRECTIONS, number).map_or("", |(_, name)| name)
}

/// The number of an outcome.
#[must_use]
pub fn outcome(outcome: Outcome) -> i16 {
    number(OUTCOMES.iter().position(|known| *known == outcome)).unwrap_or(i16::MAX)
}

/// The name of an outcome.
#[must_use]
pub fn outcome_name(number: i16) -> &'static str {
    at(&OUTCOMES, number).unwrap_or(&Outcome::Unknown).as_str()
}

/// The numbers of every outcome.
pub fn outcomes() -> impl Iterator<Item = i16> {
    (0..).take(OUTCOMES.len())
}

fn number(place: Option<usize>) -> Option<i16> {
    place.and_then(|place| i16::try_from(place).ok())
}

fn at<T>(all: &[T], number: i16) -> Option<&T> {
    all.get(usize::try_from(number).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_a_number_of_its_own_and_those_that_went_well_come_first() {
        for known in Outcome::ALL {
            assert_eq!(outcome_name(outcome(known)), known.as_str());
            let well = matches!(known, Outcome::Ok | Outcome::None | Outcome::Task | Outcome::InputRequired);
            assert_eq!(outcome(known) < FAILURES_FROM, well, "{known:?}");
        }
        assert_eq!(outcomes().count(), Outcome::ALL.len() + 1);
    }

    #[test]
    fn what_tells_of_the_recording_is_no_frame() {
        assert!([Kind::Head, Kind::Clock, Kind::Gap, Kind::End].into_iter().all(|known| kind(known).is_none()));
        assert_eq!(kind(Kind::Msg).map(kind_name), Some("msg"));
        assert_eq!(direction(Direction::S2c).map(direction_name), Some("s2c"));
        assert_eq!((kind_name(99), direction_name(99), outcome_name(-1)), ("unknown", "", "unknown"));
    }
}
