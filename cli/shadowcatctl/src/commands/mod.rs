//! The commands, one a file: each asks the control plane, shows what it said, and returns.

mod apply;
mod audit;
mod commit;
mod completion;
mod context;
mod diff;
mod files;
mod follow;
mod history;
mod interrupt;
mod line;
mod nodes;
mod present;
mod rollback;
mod routes;
mod schema;
mod screen;
mod sessions;
mod show;
mod status;
mod tapes;
mod top;
mod upstreams;

use crate::Failure;
use crate::args::{Args, Command};
use crate::connect::Client;
use crate::context::{Connection, Contexts, choose, path};
use crate::output::Printer;

/// Runs a command to its end.
///
/// # Errors
/// Why it was not done, with the exit code.
pub async fn run(args: Args) -> Result<(), Failure> {
    let desk = Desk { said: args.connection.into(), printer: Printer::new(args.output) };
    match args.command {
        Command::Apply(args) => apply::run(&desk, args).await,
        Command::Plan(args) => apply::plan(&desk, &args).await,
        Command::Diff(args) => diff::run(&desk, args.versions).await,
        Command::History(args) => history::run(&desk, &args).await,
        Command::Show(args) => show::run(&desk, &args).await,
        Command::Rollback(args) => rollback::run(&desk, args).await,
        Command::Nodes(command) => nodes::run(&desk, command).await,
        Command::Routes(watch) => routes::run(&desk, watch).await,
        Command::Upstreams(command) => upstreams::run(&desk, command).await,
        Command::Sessions(command) => sessions::run(&desk, command).await,
        Command::Tapes(command) => Box::pin(tapes::run(&desk, *command)).await,
        Command::Status(watch) => status::run(&desk, watch).await,
        Command::Top(args) => top::run(&desk, args).await,
        Command::Audit(command) => audit::run(&desk, command).await,
        Command::Context(command) => context::run(&desk, command),
        Command::Completion(args) => completion::run(&desk, &args),
        Command::Schema => schema::run(&desk),
    }
}

/// What every command works with.
#[derive(Debug)]
struct Desk {
    said: Connection,
    printer: Printer,
}

impl Desk {
    /// Connects to the control plane that is meant.
    async fn client(&self) -> Result<Client, Failure> {
        let said = &self.said;
        let contexts = match path() {
            Ok(path) => Contexts::load(&path)?,
            // Whoever says it all needs no contexts, and so no home to keep them in.
            Err(_) if said.server.is_some() && said.token.is_some() => Contexts::default(),
            Err(homeless) => return Err(homeless),
        };
        Client::connect(choose(said.clone(), &contexts)?).await
    }
}
