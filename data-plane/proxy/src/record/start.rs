//! From what the builder was told to a recorder.

use std::io;
use std::sync::Arc;

use shadowcat_tape::redact::RedactionKey;
use shadowcat_tape::spool::SpoolError;
use tokio::task::spawn_blocking;

use super::spool::{self, Opened, Records, SpoolMetrics, SpoolSettings};
use super::{Recorder, TapeSink};
use crate::observe::Registry;

/// Where what is recorded goes.
pub(crate) enum To {
    /// Nowhere: a configuration that records is refused.
    Nowhere,
    /// To this machine's disk.
    Spool(SpoolSettings),
    /// Where the program says.
    Sink(Box<dyn TapeSink>),
}

/// Why nothing can be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The directory is not usable, or another process uses it.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The system gives no random bytes.
    #[error("no random bytes for the key of redaction tags: {0}")]
    Random(io::Error),
    /// The system gives no thread.
    #[error("cannot start the recorder's thread: {0}; check the limit on processes (ulimit -u)")]
    Thread(io::Error),
}

/// What records, and what was recorded on disk, if it is there.
type Started = (Option<Arc<Recorder>>, Option<Records>);

/// Starts what records.
pub(crate) async fn start(to: To, instance: &str, registry: &Registry) -> Result<Started, RecordError> {
    let run = |sink, key| Recorder::start(sink, key, instance, registry).map_err(RecordError::Thread);
    match to {
        To::Nowhere => Ok((None, None)),
        To::Sink(sink) => {
            let mut key = [0; 32];
            getrandom::fill(&mut key).map_err(|error| RecordError::Random(io::Error::other(error)))?;
            Ok((Some(run(sink, RedactionKey::from(key))?), None))
        }
        To::Spool(settings) => {
            let (name, metrics) = (instance.to_owned(), SpoolMetrics::new(registry));
            let opened = spawn_blocking(move || spool::open(&settings, &name, metrics)).await;
            let Opened { sink, shelf, sealed, key, key_file } =
                opened.map_err(|lost| RecordError::Thread(lost.into()))??;
            let recorder = run(sink, key)?;
            let records = Records::new(Arc::clone(&recorder), shelf, sealed, key_file);
            Ok((Some(recorder), Some(records)))
        }
    }
}
