//! `tapes`: recorded traffic of the fleet.
//!
//! Invariants: nothing that was recorded reaches the terminal with characters that drive it; whatever is missing from an answer is
//! said on standard error, with the command that brings it where there is one; no answer is held in memory without a bound.

mod again;
mod export;
mod keep;
mod list;
mod read;
mod search;
mod select;
mod show;
mod tail;

use super::Desk;
use crate::Failure;
use crate::args::TapesCommand;

pub(super) async fn run(desk: &Desk, command: TapesCommand) -> Result<(), Failure> {
    match command {
        TapesCommand::List(args) => list::run(desk, *args).await,
        TapesCommand::Tail(args) => tail::run(desk, &args).await,
        TapesCommand::Export(args) => Box::pin(export::run(desk, *args)).await,
        TapesCommand::Delete(args) => keep::delete(desk, *args).await,
        TapesCommand::Hold(args) => keep::hold(desk, args).await,
        TapesCommand::Release(args) => keep::release(desk, args).await,
        TapesCommand::Stats(watch) => list::stats(desk, watch).await,
        TapesCommand::Search(args) => search::run(desk, *args).await,
        TapesCommand::Show(args) => Box::pin(show::run(desk, args)).await,
    }
}
