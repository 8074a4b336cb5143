//! `show`: one version as a file, for `apply` or for a node's `--seed`.

use std::path::Path;

use shadowcat_proto::admin::v1::{GetVersionRequest, GetVersionResponse};

use super::Desk;
use crate::Failure;
use crate::args::ShowArgs;
use crate::context::write_private;
use crate::output::count;
use crate::view::number;

pub(super) async fn run(desk: &Desk, args: &ShowArgs) -> Result<(), Failure> {
    let client = desk.client().await?;
    let request = GetVersionRequest { fleet: client.fleet(), number: args.number };
    let mut answer = client.call("show the version", client.configurations().get(request)).await?;
    if let Some(file) = &args.seed {
        return seed(desk, file, &answer);
    }
    // The seed says the same once more, for machines: it is asked for by name or not wanted.
    answer.seed.clear();
    desk.printer.show(&answer, &desk.printer.page(&client.fleet(), client.server()))
}

/// Keeps the version as a node reads it. It names credentials, if it does not hold them, so only its owner may read it.
fn seed(desk: &Desk, file: &Path, answer: &GetVersionResponse) -> Result<(), Failure> {
    if answer.seed.is_empty() {
        return Err(Failure::failed("the control plane sent no seed; it is one of another version"));
    }
    write_private(file, &answer.seed)
        .map_err(|why| Failure::failed(format!("cannot write the seed to {}: {why}", file.display())))?;
    let bytes = count(answer.seed.len() as u64, "byte");
    desk.printer.say(&format!("version {} is in {}, {bytes}", number(answer.version.as_ref()), file.display()))
}
