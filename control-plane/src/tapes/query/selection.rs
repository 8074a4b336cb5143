//! Which frames are meant, as it was asked for. Everything that is wrong with it is said with its field and cure.

use pbjson_types::Timestamp;
use shadowcat_expr::{Demand, Expr, Literal, Name, Place, Relation, Test};
use shadowcat_proto::admin::v1::TapeSelection;
use shadowcat_tape::record::Outcome;
use tonic::Status;

use super::judge::Judge;
use crate::tapes::decode::{SESSION_CHARS, trace};
use crate::tapes::index::{Filter, What, codes};

/// What stands for every outcome that is not good.
const ERROR: &str = "error";

/// A word of a selection, in bytes: URIs of resources are the longest.
const WORD_BYTES_MAX: usize = 1024;

/// Ids of one selection.
const IDS_MAX: usize = 100;

/// Microseconds in a second.
const MICROS: i64 = 1_000_000;

/// A selection that makes sense: what the index answers, and what a frame's content does.
pub(crate) struct Selected {
    pub(crate) filter: Filter,
    pub(crate) judge: Judge,
}

impl Selected {
    /// Reads a selection.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, which names the field.
    pub(crate) fn read(fleet: &str, selection: Option<TapeSelection>) -> Result<Self, Status> {
        let selection = selection.unwrap_or_default();
        bounded(&selection)?;
        let mut filter = Filter {
            fleet: fleet.to_owned(),
            since: selection.since.as_ref().map(|at| micros("since", at)).transpose()?,
            until: selection.until.as_ref().map(|at| micros("until", at)).transpose()?,
            session: session(&selection.session)?,
            trace: read_trace(&selection.trace)?,
            outcomes: outcomes(&selection.outcomes)?,
            ids: selection.ids,
            route: selection.route,
            upstream: selection.upstream,
            node: selection.node,
            principal: selection.principal,
            method: selection.method,
            name: selection.name,
            latency: selection.latency_us,
            size: selection.size,
        };
        if filter.since.zip(filter.until).is_some_and(|(since, until)| since >= until) {
            return Err(invalid("until", "it is not after since: exchange them"));
        }
        let expr = match selection.filter.as_str() {
            "" => None,
            text => Some(Expr::compile(text, Place::Tape).map_err(|mistake| invalid("filter", &mistake.to_string()))?),
        };
        if let Some(expr) = &expr {
            expr.demands().iter().for_each(|demand| narrow(&mut filter, demand));
        }
        Ok(Self { filter, judge: Judge::new(&selection.text, expr) })
    }

    /// The same of these frames; of all, unless it is said.
    pub(crate) fn of(self, what: What) -> Self {
        Self { judge: self.judge.of(what), ..self }
    }

    /// Refuses what a question cannot be about.
    pub(crate) fn without(self, fields: &[&str], cure: &str) -> Result<Self, Status> {
        let filter = &self.filter;
        let said = |field: &str| match field {
            "text" | "filter" => self.judge.asks(field),
            "latency_us" => filter.latency > 0,
            "size" => filter.size > 0,
            "name" => !filter.name.is_empty(),
            "method" => !filter.method.is_empty(),
            "since" => filter.since.is_some(),
            "until" => filter.until.is_some(),
            "ids" => !filter.ids.is_empty(),
            _ => false,
        };
        match fields.iter().find(|field| said(field)) {
            Some(field) => Err(invalid(field, cure)),
            None => Ok(self),
        }
    }
}

/// A field that makes no sense, and what to do.
pub(crate) fn invalid(field: &str, cure: &str) -> Status {
    Status::invalid_argument(format!("selection.{field}: {cure}"))
}

fn bounded(selection: &TapeSelection) -> Result<(), Status> {
    let words = [
        ("route", &selection.route),
        ("upstream", &selection.upstream),
        ("node", &selection.node),
        ("principal", &selection.principal),
        ("session", &selection.session),
        ("method", &selection.method),
        ("name", &selection.name),
        ("text", &selection.text),
    ];
    let long = |(_, word): &&(&str, &String)| word.len() > WORD_BYTES_MAX || word.contains('\0');
    if let Some((field, _)) = words.iter().find(long) {
        return Err(invalid(field, "it has more than 1 024 bytes, or a NUL: shorten it"));
    }
    if selection.ids.len() > IDS_MAX
        || selection.ids.iter().any(|id| id.is_empty() || id.len() > WORD_BYTES_MAX || id.contains('\0'))
    {
        return Err(invalid("ids", "name 100 at most, none of them empty: ask twice for more"));
    }
    Ok(())
}

fn micros(field: &str, at: &Timestamp) -> Result<i64, Status> {
    let micros = at.seconds.checked_mul(MICROS).and_then(|whole| whole.checked_add(i64::from(at.nanos / 1_000)));
    micros.ok_or_else(|| invalid(field, "no clock shows this time: give one between the years 1 and 9999"))
}

fn session(id: &str) -> Result<String, Status> {
    if id.is_empty() {
        return Ok(String::new());
    }
    if id.chars().count() < SESSION_CHARS {
        return Err(invalid("session", "give at least the first eight characters of its id"));
    }
    Ok(crate::tapes::decode::session(id))
}

fn read_trace(digits: &str) -> Result<Option<[u8; 16]>, Status> {
    if digits.is_empty() {
        return Ok(None);
    }
    let read = trace(digits).ok_or_else(|| invalid("trace", "a trace id has 32 hexadecimal digits"))?;
    Ok(Some(read))
}

fn outcomes(names: &[String]) -> Result<Vec<i16>, Status> {
    let mut numbers = Vec::new();
    for name in names {
        match (name.as_str(), Outcome::named(name)) {
            (ERROR, _) => numbers.extend(codes::outcomes().filter(|number| *number >= codes::FAILURES_FROM)),
            (_, Some(outcome)) => numbers.push(codes::outcome(outcome)),
            _ => {
                let known = Outcome::ALL.map(Outcome::as_str).join(", ");
                return Err(invalid("outcomes", &format!("`{name}` is none: error, {known}")));
            }
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

/// What an expression implies narrows what is looked at, where the index knows it and nothing else was said.
fn narrow(filter: &mut Filter, demand: &Demand) {
    let Test::Is(relation, literal) = &demand.test else { return };
    match (demand.name, relation, literal) {
        (name, Relation::Equal, Literal::Text(text)) => {
            let word = match name {
                // A `*` would stand for anything.
                Name::Tool | Name::Resource | Name::Prompt if !text.contains('*') => &mut filter.name,
                Name::Method => &mut filter.method,
                Name::Route => &mut filter.route,
                Name::Upstream => &mut filter.upstream,
                Name::Node => &mut filter.node,
                Name::Outcome => return narrow_outcome(filter, text),
                _ => return,
            };
            if word.is_empty() {
                word.clone_from(text);
            }
        }
        (Name::Latency, Relation::More | Relation::AtLeast, Literal::Duration(span)) => {
            filter.latency = filter.latency.max(u64::try_from(span.as_micros()).unwrap_or(u64::MAX));
        }
        (Name::Size, Relation::More | Relation::AtLeast, Literal::Int(bytes)) => {
            filter.size = filter.size.max(u64::try_from(*bytes).unwrap_or(0));
        }
        _ => {}
    }
}

fn narrow_outcome(filter: &mut Filter, name: &str) {
    if let (true, Some(outcome)) = (filter.outcomes.is_empty(), Outcome::named(name)) {
        filter.outcomes.push(codes::outcome(outcome));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(selection: TapeSelection) -> Result<Filter, String> {
        Selected::read("f", Some(selection))
            .map(|selected| selected.filter)
            .map_err(|status| status.message().to_owned())
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_field_and_cure() {
        let empty = TapeSelection::default;
        for (selection, told) in [
            (
                TapeSelection { outcomes: vec!["good".to_owned()], ..empty() },
                "selection.outcomes: `good` is none: error, ok",
            ),
            (TapeSelection { trace: "xyz".to_owned(), ..empty() }, "selection.trace: a trace id has 32"),
            (
                TapeSelection { session: "abc".to_owned(), ..empty() },
                "selection.session: give at least the first eight",
            ),
            (TapeSelection { filter: "tool ==".to_owned(), ..empty() }, "selection.filter: 1:"),
            (TapeSelection { ids: vec![String::new()], ..empty() }, "selection.ids: name 100 at most"),
            (TapeSelection { text: "x".repeat(2_000), ..empty() }, "selection.text: it has more than"),
            (
                TapeSelection {
                    since: Some(super::super::timestamp(2)),
                    until: Some(super::super::timestamp(2)),
                    ..empty()
                },
                "selection.until: it is not after since",
            ),
            (
                TapeSelection { since: Some(Timestamp { seconds: i64::MAX, nanos: 0 }), ..empty() },
                "selection.since: no clock shows this time",
            ),
        ] {
            let refused = read(selection).unwrap_err();
            assert!(refused.starts_with(told), "{refused}");
        }
    }

    #[test]
    fn error_stands_for_all_outcomes_that_are_not_good() {
        let filter =
            read(TapeSelection { outcomes: vec!["error".to_owned(), "ok".to_owned()], ..TapeSelection::default() });
        assert_eq!(filter.unwrap().outcomes, [0, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    }

    #[test]
    fn a_session_is_cut_to_what_records_have() {
        let filter = read(TapeSelection { session: "3f9a21c0-and-more".to_owned(), ..TapeSelection::default() });
        assert_eq!(filter.unwrap().session, "3f9a21c0");
    }

    #[test]
    fn what_an_expression_implies_narrows_what_is_looked_at() {
        let text = r#"tool == "search" && latency > duration("2s") && outcome == "timeout" && size >= 10"#;
        let filter = read(TapeSelection { filter: text.to_owned(), ..TapeSelection::default() }).unwrap();
        assert_eq!((&*filter.name, filter.latency, filter.size), ("search", 2_000_000, 10));
        assert_eq!(filter.outcomes, [codes::outcome(Outcome::Timeout)]);
    }
}
