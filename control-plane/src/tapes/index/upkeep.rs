//! What an index does to forget.
//!
//! Traffic is forgotten by *shares*: what one recording has of one segment. A share goes as a whole once its last frame is due, which is
//! seconds after its first one, so that no segment is taken apart by time alone.
//!
//! Invariants:
//! - Each of these is one transaction about one segment, or about a bounded number of rows; whatever happens between two of them, every
//!   frame that is found can be read.
//! - An object that no row refers to any more is listed as discarded by the transaction that took the last row; one that is still to be
//!   written is listed before it is.
//! - Frames of tapes on hold stay.
//!
//! Not here: how long anything is kept, and the objects themselves ([`retention`](super::super::retention)).

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use shadowcat_config::Retention;

use crate::store::StoreError;

/// See the module. Times are microseconds since 1970.
#[async_trait]
pub trait Upkeep: Send + Sync + 'static {
    /// The right to forget, which one replica has at a time. `None` while another one has it.
    async fn turn(&self) -> Result<Option<Turn>, StoreError>;

    /// Fleets of which something is kept that is not on hold.
    async fn fleets_kept(&self) -> Result<Vec<String>, StoreError>;

    /// Recordings of a fleet of which something is kept that is not on hold.
    async fn recordings_kept(&self, fleet: &str) -> Result<Vec<KeptRecording>, StoreError>;

    /// Notes what a configuration says of a recording, for when it is gone from it.
    async fn note_retention(&self, of: &KeptRecording, said: Retention) -> Result<(), StoreError>;

    /// Up to `limit` shares whose last frame is before a time, the oldest first: those behind [`Share::place`] of another one.
    async fn shares(
        &self,
        of: &KeptRecording,
        after: (i64, i64),
        before: i64,
        limit: u32,
    ) -> Result<Vec<Share>, StoreError>;

    /// Stored bytes of a recording's shares, and of the messages that are kept apart and count to it. What is on hold does not count.
    async fn stored_bytes(&self, of: &KeptRecording) -> Result<u64, StoreError>;

    /// Removes frames of a segment, and the segment with its last one.
    async fn remove(&self, removal: &Removal, now: i64) -> Result<Removed, StoreError>;

    /// Ids of the tapes of a fleet that are on hold.
    async fn held(&self, fleet: &str) -> Result<Vec<String>, StoreError>;

    /// Up to `limit` segments behind a number whose objects are to be written anew.
    async fn to_rewrite(&self, after: i64, limit: u32) -> Result<Vec<i64>, StoreError>;

    /// What is to be written of such a segment; `None` if there is nothing to do any more.
    async fn rewriting(&self, segment: i64) -> Result<Option<Rewriting>, StoreError>;

    /// Lists an object as discarded from `due` on, unless a row refers to it by then.
    async fn discard(&self, object: &str, due: i64) -> Result<(), StoreError>;

    /// Lists those of these objects, of which bytes are told, as discarded from `due` on that no row refers to; messages as unused.
    async fn discard_unknown(&self, objects: &[(String, u64)], now: i64, due: i64) -> Result<(), StoreError>;

    /// An object is about to be written again, and referred to: it is listed no more.
    ///
    /// # Errors
    /// [`StoreError::NotNow`] also while it is being deleted: it can be written after that, whether it was deleted or could not be.
    async fn take_back(&self, object: &str, now: i64) -> Result<(), StoreError>;

    /// Lets a segment refer to its new object, and discards the old one. False if somebody else was first, or the new one is due.
    async fn rewritten(&self, rewritten: &Rewritten, now: i64) -> Result<bool, StoreError>;

    /// Discards up to `limit` messages that no segment has referred to since before a time: how many.
    async fn discard_messages(&self, before: i64, now: i64, limit: u32) -> Result<u64, StoreError>;

    /// Up to `limit` objects that are discarded and due.
    async fn discarded(&self, now: i64, limit: u32) -> Result<Vec<String>, StoreError>;

    /// Takes these objects to delete them: those that are still listed and due. Whoever wants one waits for some minutes from now on; it is
    /// due again after some more, if it is not told to be gone.
    async fn take_discarded(&self, objects: &[String], now: i64) -> Result<Vec<String>, StoreError>;

    /// These objects are gone.
    async fn forget(&self, objects: &[String]) -> Result<(), StoreError>;

    /// Looks at up to `limit` words behind a number that segments have let go of, and forgets those that nothing refers to: the last that
    /// was looked at, if there may be more.
    async fn forget_words(&self, after: i64, limit: u32) -> Result<Option<i64>, StoreError>;

    /// Gives back what the database holds for days of which nothing is left: how many.
    async fn drop_empty_days(&self) -> Result<u64, StoreError>;
}

/// Held by whoever forgets; it ends when this is dropped.
#[derive(Default)]
pub struct Turn(Option<sqlx::PgConnection>);

impl Turn {
    /// A turn that lasts as long as a connection.
    pub(super) const fn held_by(connection: sqlx::PgConnection) -> Self {
        Self(Some(connection))
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("is_shared", &self.0.is_some()).finish()
    }
}

/// A recording of a fleet, as the index numbers both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRecording {
    /// Its name; empty for frames of none.
    pub name: String,
    /// What was last noted of it.
    pub said: Option<Retention>,
    pub(super) fleet: i64,
    pub(super) number: i64,
}

/// What a recording has of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The segment, as the index numbers it.
    pub segment: i64,
    /// The recording, as the index numbers it; 0 for none.
    pub recording: i64,
    /// The time of its last frame.
    pub last_at: i64,
    /// Its part of the segment's object.
    pub stored_bytes: u64,
}

impl Share {
    /// Before the oldest.
    pub const BEGINNING: (i64, i64) = (i64::MIN, i64::MIN);

    /// Where it is among those of its recording.
    #[must_use]
    pub const fn place(&self) -> (i64, i64) {
        (self.last_at, self.segment)
    }
}

/// Why something is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its recording keeps nothing for so long.
    Age,
    /// Its recording keeps no more bytes.
    Size,
    /// An operator said so.
    Order,
}

impl Why {
    /// As rows and metrics have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Size => "size",
            Self::Order => "order",
        }
    }
}

/// What is to be removed.
#[derive(Debug, Clone)]
pub struct Removal {
    /// Of this segment, as the index numbers it.
    pub segment: i64,
    /// These frames.
    pub which: Which,
    /// For this reason. What is removed by order does not stay in the object either, however little it is.
    pub why: Why,
}

/// Which frames of a segment.
#[derive(Debug, Clone)]
pub enum Which {
    /// The share of this recording; 0 for none.
    Recording(i64),
    /// Those of these places.
    Places(Vec<u64>),
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Rows of frames.
    pub frames: u64,
    /// Bytes of their messages as they were received.
    pub bytes: u64,
    /// Stored bytes of messages that counted to the recording whose share it was, and do no more.
    pub freed: u64,
    /// The fleet, and the stored bytes of the segment, if it went with them.
    pub segment: Option<(String, u64)>,
}

/// A segment that is to be written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewriting {
    /// As the index numbers it.
    pub number: i64,
    /// Its fleet.
    pub fleet: String,
    /// Its node.
    pub node: String,
    /// Its boot.
    pub instance: String,
    /// Its number within the boot.
    pub sequence: u64,
    /// Its first record, once.
    pub first_at: i64,
    /// Where it is.
    pub object: String,
    /// Bytes of the object.
    pub stored_bytes: u64,
    /// The same before compression.
    pub plain_bytes: u64,
    /// Lines in it whose frames are gone.
    pub gone: u64,
    /// The frames that stay: their places and times.
    pub kept: BTreeMap<u64, i64>,
}

/// A segment that was written anew.
#[derive(Debug, Clone)]
pub struct Rewritten {
    /// What was read.
    pub from: Rewriting,
    /// The new object.
    pub object: String,
    /// Its bytes.
    pub stored_bytes: u64,
    /// Bytes before compression.
    pub plain_bytes: u64,
    /// Plain bytes before each frame that stays, by its place.
    pub places: BTreeMap<u64, u64>,
    /// Messages that its lines refer to.
    pub messages: Vec<[u8; 32]>,
}
