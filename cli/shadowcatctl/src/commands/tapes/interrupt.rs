//! An interrupt that a command answers itself, instead of being ended by it.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears SIGINT, from when it is made on.
pub(super) struct Interrupt(Option<Signal>);

impl Interrupt {
    /// Begins to listen. A process that cannot is ended by an interrupt, as any other.
    pub(super) fn listen() -> Self {
        Self(signal(SignalKind::interrupt()).ok())
    }

    /// Waits for the next one.
    pub(super) async fn comes(&mut self) {
        let heard = match &mut self.0 {
            Some(signal) => signal.recv().await,
            None => None,
        };
        if heard.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
