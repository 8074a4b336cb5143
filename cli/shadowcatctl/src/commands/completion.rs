//! `completion`: what a shell needs to complete this program's words.

use clap::CommandFactory;

use super::Desk;
use crate::Failure;
use crate::args::{Args, CompletionArgs};

pub(super) fn run(desk: &Desk, args: &CompletionArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "shadowcatctl", &mut script);
    desk.printer.write(&String::from_utf8_lossy(&script))
}
