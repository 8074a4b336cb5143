//! Which segment: whose, and the how manyth.

use std::fmt;

/// Hexadecimal digits of an instance's id.
const INSTANCE_DIGITS: usize = 32;

/// Decimal digits of the number in a file name, so that names sort as numbers do. At one segment every two seconds they
/// last six centuries.
const SEQUENCE_DIGITS: usize = 10;

/// The end of an open segment's file name.
const OPEN: &str = ".jsonl";

/// The end of a sealed segment's file name.
const SEALED: &str = ".jsonl.zst";

/// A segment's id. It is unique in the world, because the instance is drawn at random at every start of a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId {
    /// The boot of the node that recorded it: 32 lower-case hexadecimal digits.
    pub instance: String,
    /// Its number, dense from 1 within the instance.
    pub sequence: u64,
}

/// An instance's id that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no instance: that is {INSTANCE_DIGITS} lower-case hexadecimal digits")]
pub struct InvalidInstance(pub String);

impl SegmentId {
    /// The segment of this number.
    ///
    /// # Errors
    /// The instance is not 32 lower-case hexadecimal digits: it would not be safe as part of a file name.
    pub fn new(instance: &str, sequence: u64) -> Result<Self, InvalidInstance> {
        if is_instance(instance) {
            Ok(Self { instance: instance.to_owned(), sequence })
        } else {
            Err(InvalidInstance(instance.to_owned()))
        }
    }

    /// The name of its file while it is written.
    #[must_use]
    pub fn open_name(&self) -> String {
        format!("{self}{OPEN}")
    }

    /// The name of its file when it is sealed.
    #[must_use]
    pub fn sealed_name(&self) -> String {
        format!("{self}{SEALED}")
    }

    /// The segment whose open file has this name.
    #[must_use]
    pub fn of_open_name(name: &str) -> Option<Self> {
        Self::parse(name.strip_suffix(OPEN)?)
    }

    /// The segment whose sealed file has this name.
    #[must_use]
    pub fn of_sealed_name(name: &str) -> Option<Self> {
        Self::parse(name.strip_suffix(SEALED)?)
    }

    /// The id of this text, as it is displayed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (instance, sequence) = text.split_once('-')?;
        let digits = sequence.len() == SEQUENCE_DIGITS && sequence.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || !is_instance(instance) {
            return None;
        }
        Some(Self { instance: instance.to_owned(), sequence: sequence.parse().ok()? })
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:0SEQUENCE_DIGITS$}", self.instance, self.sequence)
    }
}

fn is_instance(text: &str) -> bool {
    text.len() == INSTANCE_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
