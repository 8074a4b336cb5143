//! From a sealed segment to plain text, as far as it is intact.

use std::io::Read;
use std::ops::Range;

use zstd::stream::read::Decoder;

use super::Contents;
use super::seek::{Part, look_for_parts, read_table, skippable};

/// How large a window a frame may ask for, as a power of two: 8 MiB, what `zstd -19` uses. Frames of this project have
/// a window of their own length. A frame that wants more is damage, not a reason to take 2 GiB.
const WINDOW_LOG_MAX: u32 = 23;

/// Plain bytes that [`frame_holding`] unpacks at most: a whole segment of a tape, which other programs may pack in one
/// frame.
const HOLDING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why nothing was unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// It unpacks to more than the caller wants. Nothing beyond was unpacked.
    #[error("the segment unpacks to more than {max} bytes")]
    TooLarge {
        /// The caller's bound.
        max: usize,
    },
    /// It has no seek table that agrees with its length. [`unseal`] reads it all the same.
    #[error("the segment has no usable seek table")]
    NoTable,
    /// There is no such place in it.
    #[error("the segment has {plain} plain bytes, and none at {offset}")]
    PastEnd {
        /// The place that was asked for.
        offset: u64,
        /// Plain bytes that it has.
        plain: u64,
    },
    /// The frame that holds the place cannot be unpacked.
    #[error("{0}")]
    Damaged(FrameDamage),
}

/// A part of a sealed segment that could not be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bytes {} to {} of the sealed segment cannot be unpacked: {why}", at.start, at.end)]
pub struct FrameDamage {
    /// Where it is in the sealed file.
    pub at: Range<usize>,
    /// How many plain bytes it held, if the seek table tells it.
    pub plain: Option<u64>,
    /// How many of them were unpacked before the damage. What they hold is for the lines' checksums to tell.
    pub unpacked: usize,
    /// What zstd says.
    pub why: String,
}

/// The plain text of a sealed segment.
#[derive(Debug, Clone, Default)]
pub struct Unsealed {
    /// What could be unpacked. After a damaged part a line begins, so that the next whole line is read as one.
    pub plain: Vec<u8>,
    /// What could not.
    pub damage: Vec<FrameDamage>,
    /// What it is meant to hold; `None` if that is damaged, or told by nobody.
    pub contents: Option<Contents>,
    /// Whether its seek table could be used.
    pub has_table: bool,
}

/// One frame of a segment.
#[derive(Debug, Clone)]
pub struct Holding {
    /// Plain bytes before it.
    pub plain_at: u64,
    /// Its plain text: whole lines.
    pub plain: Vec<u8>,
}

/// Unpacks all that is intact of a sealed segment.
///
/// # Errors
/// [`UnsealError::TooLarge`], before more than `plain_bytes_max` and one byte are held.
pub fn unseal(sealed: &[u8], plain_bytes_max: usize) -> Result<Unsealed, UnsealError> {
    let table = read_table(sealed);
    let mut unsealed =
        Unsealed { contents: Contents::of_sealed(sealed), has_table: table.is_some(), ..Unsealed::default() };
    for part in table.unwrap_or_else(|| look_for_parts(sealed)) {
        let bytes = &sealed[part.at.clone()];
        if skippable(bytes).is_some_and(|(_, end)| end == bytes.len()) {
            continue;
        }
        let before = unsealed.plain.len();
        match unpack(bytes, plain_bytes_max - before, &mut unsealed.plain) {
            Ok(()) => {}
            Err(Fault::TooLarge) => return Err(UnsealError::TooLarge { max: plain_bytes_max }),
            Err(Fault::Damaged(why)) => {
                let unpacked = unsealed.plain.len() - before;
                unsealed.damage.push(FrameDamage { at: part.at, plain: part.plain.map(u64::from), unpacked, why });
                begin_line(&mut unsealed.plain, plain_bytes_max);
            }
        }
    }
    Ok(unsealed)
}

/// Unpacks the one frame that holds a byte of the plain text.
///
/// # Errors
/// [`UnsealError`] says why there is none.
pub fn frame_holding(sealed: &[u8], plain_offset: u64) -> Result<Holding, UnsealError> {
    let mut plain_at = 0;
    for Part { at, plain } in read_table(sealed).ok_or(UnsealError::NoTable)? {
        let stated = u64::from(plain.unwrap_or(0));
        if plain_offset - plain_at >= stated {
            plain_at += stated;
            continue;
        }
        let room = usize::try_from(stated).map_or(HOLDING_BYTES_MAX, |stated| stated.min(HOLDING_BYTES_MAX));
        let mut unpacked = Vec::new();
        let why = match unpack(&sealed[at.clone()], room, &mut unpacked) {
            Ok(()) if unpacked.len() as u64 == stated => return Ok(Holding { plain_at, plain: unpacked }),
            Ok(()) => "it does not hold what the seek table says".to_owned(),
            Err(Fault::Damaged(why)) => why,
            Err(Fault::TooLarge) => return Err(UnsealError::TooLarge { max: room }),
        };
        return Err(UnsealError::Damaged(FrameDamage { at, plain: Some(stated), unpacked: unpacked.len(), why }));
    }
    Err(UnsealError::PastEnd { offset: plain_offset, plain: plain_at })
}

enum Fault {
    TooLarge,
    Damaged(String),
}

/// Unpacks exactly one frame into at most `room` bytes. What came before the damage stays.
fn unpack(frame: &[u8], room: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
    let damaged = |error: std::io::Error| Fault::Damaged(error.to_string());
    let before = out.len();
    let mut decoder = Decoder::with_buffer(frame).map_err(damaged)?.single_frame();
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(damaged)?;
    let mut bounded = decoder.take(room as u64 + 1);
    let read = bounded.read_to_end(out);
    if out.len() - before > room {
        return Err(Fault::TooLarge);
    }
    read.map_err(damaged)?;
    match bounded.into_inner().finish() {
        [] => Ok(()),
        rest => Err(Fault::Damaged(format!("{} bytes follow the frame", rest.len()))),
    }
}

/// Ends a line that was cut.
fn begin_line(plain: &mut Vec<u8>, plain_bytes_max: usize) {
    if plain.last().is_some_and(|byte| *byte != b'\n') {
        // At the bound, the cut line's last byte is worth less than the next line's first.
        plain.truncate(plain_bytes_max.saturating_sub(1));
        plain.push(b'\n');
    }
}
