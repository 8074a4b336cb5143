//! `shadowcat tape validate`: whether everything that was recorded is there.

use std::time::SystemTime;

use anyhow::bail;
use shadowcatctl_cli::output::{Format, Printer};

use super::{page, printed};
use crate::args::TapeValidateArgs;
use crate::commands::Ended;
use crate::tapes::{Judgement, Kind, Place, State, Unusable, Verdict, judge};

/// Judges each place for itself. Of several the worst is told by the exit code: damage, then a newer format, then a
/// path that holds nothing of the kind.
pub(super) fn run(args: &TapeValidateArgs) -> anyhow::Result<Ended> {
    let printer = Printer::new(Format::Table);
    let (mut is_damaged, mut is_newer, mut unusable) = (false, false, Vec::new());
    for path in &args.paths {
        let judged = Place::at(path).and_then(|place| judge(&place, SystemTime::now()));
        match judged {
            Ok(judgement) => {
                printed(printer.write(&Verdict(&judgement).text(&page(&printer))))?;
                is_newer |= judgement.state == State::Newer;
                is_damaged |= is_incomplete(&judgement);
            }
            Err(why) => unusable.push(why),
        }
    }
    match unusable.as_slice() {
        _ if is_damaged => tell(&unusable, Ended::Damaged),
        _ if is_newer => tell(&unusable, Ended::NewerFormat),
        [] => Ok(Ended::Whole),
        some => bail!("{}", sentences(some)),
    }
}

/// A spool is open for as long as its node runs; a tape that is open was never finished.
fn is_incomplete(judgement: &Judgement) -> bool {
    match judgement.state {
        State::Damaged => true,
        State::Open => judgement.place.kind == Kind::Tape,
        State::Whole | State::Newer => false,
    }
}

fn tell(unusable: &[Unusable], ended: Ended) -> anyhow::Result<Ended> {
    if !unusable.is_empty() {
        super::note(&sentences(unusable));
    }
    Ok(ended)
}

fn sentences(unusable: &[Unusable]) -> String {
    unusable.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
