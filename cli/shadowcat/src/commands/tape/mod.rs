//! `shadowcat tape`: recorded traffic on this machine, read where it lies.

mod list;
mod show;
mod validate;

use std::io::Write;

use shadowcatctl_cli::output::{Page, Printer, clean};
use shadowcatctl_cli::{Exit, Failure};

use super::Ended;
use crate::args::TapeCommand;

/// Runs to the end on the thread that asks: there is nothing else that it could do meanwhile.
pub(super) fn run(command: TapeCommand) -> anyhow::Result<Ended> {
    match command {
        TapeCommand::List(args) => list::run(args),
        TapeCommand::Show(args) => show::run(&args),
        TapeCommand::Validate(args) => validate::run(&args),
    }
}

/// What a page depends on. There is neither fleet nor server here.
fn page(printer: &Printer) -> Page {
    printer.page("", "")
}

/// Whether to go on after something was printed. A reader that has gone, as `head` does, is no failure.
fn printed(printed: Result<(), Failure>) -> anyhow::Result<()> {
    match printed {
        Err(failure) if failure.exit() != Exit::Done => Err(anyhow::anyhow!("{failure}")),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Says a sentence beside the answer. That nobody reads it changes nothing.
fn note(sentence: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", clean(sentence));
}
