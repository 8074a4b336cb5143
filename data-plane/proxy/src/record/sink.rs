//! Where records go: the seam that a program may fill.

use std::time::Duration;

use shadowcat_tape::line::Message;
use shadowcat_tape::record::Record;

/// Takes records in the order in which they happened, on the recorder's own thread. What it does may block; a call never waits for it.
///
/// A sink has no errors to return: whoever records cannot mend them. It says in the record itself what it has lost.
pub trait TapeSink: Send + 'static {
    /// Takes a record, and the message that it is about where the recording keeps it; says which place in the order it has. `record.seq`
    /// means nothing here; `record.t` is set.
    fn append(&mut self, record: Record<'_>, message: Option<Message<'_>>) -> u64;

    /// So many frames never came here.
    fn lost(&mut self, frames: u64, why: &str);

    /// Tags of what is blotted out are made with another key from now on; its name.
    fn rekeyed(&mut self, key_id: &str);

    /// Called when nothing waits, and at least as often as the last call asked: time for what is done now and then. `now` is since the
    /// recorder began. Returns after how long it wants to be called again.
    fn settle(&mut self, now: Duration) -> Duration;

    /// False while what is taken would be lost: routes that must not lose a record take no calls meanwhile.
    fn can_promise(&self) -> bool;

    /// Nothing follows.
    fn end(&mut self, now: Duration);
}
