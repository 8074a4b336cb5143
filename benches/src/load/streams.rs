//! Idle streams: what it costs to hold a client that listens.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;

use super::session::Session;
use super::{Readings, runtime};
use crate::exchange::Call;

/// Before memory is read: pages that were touched by opening alone may be given back by then, and the kernel's
/// counters settle.
const SETTLE: Duration = Duration::from_secs(1);

/// Opens as many clients, each with a connection, a session and a GET stream on which nothing happens. Takes a
/// reading before the first (when the server has answered one call) and one with all of them open.
pub(crate) fn hold_streams<S>(
    target: SocketAddr,
    streams: usize,
    mut read: impl FnMut() -> anyhow::Result<S>,
) -> anyhow::Result<Readings<S>> {
    runtime()?.block_on(async {
        let mut first = Session::open(target).await?;
        first.call(Call::Json).await?;
        first.close().await?;
        tokio::time::sleep(SETTLE).await;
        let before = read()?;

        let mut held = Vec::with_capacity(streams);
        for number in 0..streams {
            let mut session = Session::open(target).await.with_context(|| format!("stream {number}"))?;
            session.listen().await.with_context(|| format!("stream {number}"))?;
            held.push(session);
        }
        tokio::time::sleep(SETTLE).await;
        let after = read()?;
        drop(held);
        Ok(Readings { before, after })
    })
}
