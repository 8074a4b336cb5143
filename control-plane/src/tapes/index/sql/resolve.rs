//! What a filter names, as numbers.

use sqlx::query_as;

use super::super::super::Filter;
use super::super::super::pattern::fits;
use super::super::Database;
use super::{Connection, dictionary, signed};

/// Names that a pattern may stand for; of more, the first in their order.
const NAMES_MAX: usize = 1000;

/// Words that are looked at for a pattern.
const WORDS_MAX: i64 = 100_000;

/// Of an instance's id, in the id of a frame.
const INSTANCE_CHARS: usize = 8;

/// Boots that begin alike: eight digits tell as many apart as a fleet has in a lifetime.
const SOURCES_MAX: i64 = 8;

/// What an id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Id {
    /// A tape.
    Tape(i64),
    /// The operation that a frame belongs to.
    Operation { tape: i64, source: i64, seq: i64 },
    /// A frame that belongs to none.
    Frame { at: i64, source: i64, seq: i64 },
}

/// A filter's words as numbers.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) fleet: i64,
    pub(super) ids: Vec<Id>,
    pub(super) node: Option<i64>,
    pub(super) names: Option<Vec<i64>>,
    route: Option<i64>,
    upstream: Option<i64>,
    pub(super) principal: Option<i64>,
    method: Option<i64>,
}

impl Resolved {
    /// `None` if the filter names something that is nowhere, so that nothing can fit it.
    pub(super) async fn of(connection: &mut Connection, filter: &Filter) -> Result<Option<Self>, sqlx::Error> {
        let Some(fleet) = dictionary::look(connection, &filter.fleet).await? else { return Ok(None) };
        let mut resolved = Self { fleet, ..Self::default() };
        let words = [&filter.route, &filter.upstream, &filter.principal, &filter.method, &filter.node];
        let mut numbers = [None; 5];
        for (word, number) in words.into_iter().zip(&mut numbers) {
            if !word.is_empty() {
                *number = dictionary::look(connection, word).await?;
                if number.is_none() {
                    return Ok(None);
                }
            }
        }
        [resolved.route, resolved.upstream, resolved.principal, resolved.method, resolved.node] = numbers;
        if !filter.name.is_empty() {
            let names = names(connection, &filter.name).await?;
            if names.is_empty() {
                return Ok(None);
            }
            resolved.names = Some(names);
        }
        for id in &filter.ids {
            resolve(connection, fleet, id, &mut resolved.ids).await?;
        }
        Ok(if resolved.ids.is_empty() && !filter.ids.is_empty() { None } else { Some(resolved) })
    }

    /// Columns of frames that are to be one word.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&'static str, i64)> {
        let columns = [
            ("route", self.route),
            ("upstream", self.upstream),
            ("principal", self.principal),
            ("method", self.method),
        ];
        columns.into_iter().filter_map(|(column, number)| Some((column, number?)))
    }
}

/// Time, source and place of a frame, its tape and its operation.
type FrameRow = (i64, i64, i64, Option<i64>, Option<i64>);

/// What an id stands for: a tape, a frame, or both.
async fn resolve(connection: &mut Connection, fleet: i64, id: &str, ids: &mut Vec<Id>) -> Result<(), sqlx::Error> {
    let tape = query_as::<Database, (i64,)>("SELECT number FROM tapes WHERE fleet = $1 AND id = $2");
    let tape = tape.bind(fleet).bind(id).fetch_optional(&mut *connection).await?;
    ids.extend(tape.map(|(number,)| Id::Tape(number)));
    let Some((instance, seq)) = frame_id(id) else { return Ok(()) };
    let frames: Vec<FrameRow> = query_as::<Database, _>(
        "SELECT f.at, f.source, f.seq, f.tape, f.operation FROM sources s
         JOIN segments g ON g.source = s.number AND g.first_record <= $4 AND g.last_record >= $4
         JOIN frames f ON f.fleet = s.fleet AND f.at BETWEEN g.first_at AND g.last_at AND f.source = s.number AND f.seq = $4
         WHERE s.fleet = $1 AND s.instance >= $2 AND s.instance < $3 LIMIT $5",
    )
    .bind(fleet)
    .bind(instance)
    // Behind every digit.
    .bind(format!("{instance}g"))
    .bind(signed(seq))
    .bind(SOURCES_MAX)
    .fetch_all(connection)
    .await?;
    ids.extend(frames.into_iter().map(|(at, source, seq, tape, operation)| match (tape, operation) {
        (Some(tape), Some(seq)) => Id::Operation { tape, source, seq },
        _ => Id::Frame { at, source, seq },
    }));
    Ok(())
}

/// The id of a frame: the beginning of its instance, and its place there.
fn frame_id(id: &str) -> Option<(&str, u64)> {
    let (instance, seq) = id.split_once('-')?;
    let digits = instance.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (instance.len() == INSTANCE_CHARS && digits).then_some(instance).zip(seq.parse().ok())
}

/// The numbers of what a name stands for, in which `*` stands for anything.
async fn names(connection: &mut Connection, pattern: &str) -> Result<Vec<i64>, sqlx::Error> {
    let Some((prefix, _)) = pattern.split_once('*') else {
        return Ok(dictionary::look(connection, pattern).await?.into_iter().collect());
    };
    // Behind whatever begins so, in the order of bytes.
    let words: Vec<(i64, String)> =
        query_as::<Database, _>("SELECT id, word FROM words WHERE word >= $1 AND word < $2 ORDER BY word LIMIT $3")
            .bind(prefix)
            .bind(format!("{prefix}\u{10ffff}"))
            .bind(WORDS_MAX)
            .fetch_all(connection)
            .await?;
    let fitting = words.into_iter().filter(|(_, word)| fits(pattern, word)).map(|(number, _)| number);
    Ok(fitting.take(NAMES_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_frame_has_eight_digits_and_a_place() {
        assert_eq!(frame_id("3f9a21c0-1842"), Some(("3f9a21c0", 1842)));
        for other in ["3f9a21c0", "3f9a21c-1", "3F9A21C0-1", "3f9a21c0-x", "session1-1"] {
            assert_eq!(frame_id(other), None, "{other}");
        }
    }
}
