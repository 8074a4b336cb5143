//! Answers that are shown once, or again and again.

use std::time::Duration;

use crate::args::Watch;
use crate::connect::Client;
use crate::output::{Printer, View};
use crate::{Exit, Failure};

/// How often `--watch` asks: nodes report their health every few seconds, so more often shows nothing new.
const REDRAW_EVERY: Duration = Duration::from_secs(2);

/// Shows what `ask` brings; with `--watch`, until interrupted. While the control plane is away, watching goes on.
pub(super) async fn present<V: View>(
    printer: &Printer,
    client: &Client,
    watch: Watch,
    mut ask: impl AsyncFnMut() -> Result<V, Failure>,
) -> Result<(), Failure> {
    let page = || printer.page(&client.fleet(), client.server());
    if !watch.enabled {
        return printer.show(&ask().await?, &page());
    }
    loop {
        match ask().await {
            Ok(answer) => printer.redraw(&answer, &page())?,
            Err(failure) if failure.exit() == Exit::Unreachable => printer.redraw_notice(&failure.message())?,
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(REDRAW_EVERY).await;
    }
}
