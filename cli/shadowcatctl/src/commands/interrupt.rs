//! A signal that a command answers itself, instead of being ended by it.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears a signal, from when it is made on.
pub(super) struct Interrupt(Option<Signal>);

impl Interrupt {
    /// Begins to listen to SIGINT. A process that cannot is ended by it, as any other.
    pub(super) fn listen() -> Self {
        Self::listen_to(SignalKind::interrupt())
    }

    /// The same with another signal.
    pub(super) fn listen_to(kind: SignalKind) -> Self {
        Self(signal(kind).ok())
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
