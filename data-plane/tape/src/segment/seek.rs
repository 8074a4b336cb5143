//! Skippable frames, and the seek table that stands in one.
//!
//! Source: zstd's `contrib/seekable_format/zstd_seekable_compression_format.md`, version 0.1.0. A skippable frame among
//! the data is an entry of no plain bytes, so that the sums of entries are offsets.

use std::ops::Range;

use memchr::memmem;

/// Bytes before the content of a skippable frame: magic number and length.
pub(super) const SKIPPABLE_HEAD_BYTES: usize = 8;

/// The magic number of a zstd frame, as it stands in a file.
pub(super) const ZSTD_MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

/// The first of the sixteen magic numbers of skippable frames.
const SKIPPABLE_FIRST: u32 = 0x184D_2A50;

/// The magic number of the skippable frame that holds the table.
const TABLE_MAGIC: u32 = 0x184D_2A5E;

/// The magic number at the end of the table.
const TABLE_END_MAGIC: u32 = 0x8F92_EAB1;

/// Bytes after the entries: their number, a descriptor and the magic number.
const FOOTER_BYTES: usize = 9;

/// The bit of the descriptor that says that entries have checksums.
const HAS_CHECKSUMS: u8 = 0x80;

/// Bits of the descriptor that must be zero.
const RESERVED: u8 = 0x7c;

/// Parts that a segment is cut into at most; what is beyond is damage. A tape's segment has 32 frames; a file made to
/// have millions of false beginnings would otherwise cost a decoder each.
const PARTS_MAX: usize = 4096;

/// A piece of a sealed segment: a frame, or what may have been one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Where it is in the file.
    pub(super) at: Range<usize>,
    /// How many plain bytes it holds, if a table says so.
    pub(super) plain: Option<u32>,
}

/// One number of four bytes, least significant first.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*four))
}

/// The magic number of the skippable frame that these bytes begin with, and where it ends; `None` if they do not hold
/// one whole.
pub(super) fn skippable(bytes: &[u8]) -> Option<(u32, usize)> {
    let magic = number(bytes, 0).filter(|magic| magic & !0xf == SKIPPABLE_FIRST)?;
    let end = SKIPPABLE_HEAD_BYTES.checked_add(usize::try_from(number(bytes, 4)?).ok()?)?;
    (end <= bytes.len()).then_some((magic, end))
}

/// Appends a skippable frame of up to 4 GiB.
pub(super) fn write_skippable(magic: u32, content: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(content.len()).expect("a table or a summary has some kilobytes");
    out.extend_from_slice(&magic.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(content);
}

/// Appends the table of these frames: bytes in the file and plain bytes of each.
pub(super) fn write_table(frames: &[(u32, u32)], out: &mut Vec<u8>) {
    let mut table = Vec::with_capacity(frames.len() * 8 + FOOTER_BYTES);
    for (bytes, plain) in frames {
        table.extend_from_slice(&bytes.to_le_bytes());
        table.extend_from_slice(&plain.to_le_bytes());
    }
    let count = u32::try_from(frames.len()).expect("a frame holds whole lines, and plain text is some megabytes");
    table.extend_from_slice(&count.to_le_bytes());
    table.push(0);
    table.extend_from_slice(&TABLE_END_MAGIC.to_le_bytes());
    write_skippable(TABLE_MAGIC, &table, out);
}

/// The parts that the table at the end tells; `None` without one that agrees with the file's length.
pub(super) fn read_table(sealed: &[u8]) -> Option<Vec<Part>> {
    let footer = sealed.len().checked_sub(FOOTER_BYTES)?;
    let descriptor = sealed[footer + 4];
    if number(sealed, footer + 5)? != TABLE_END_MAGIC || descriptor & RESERVED != 0 {
        return None;
    }
    let count = usize::try_from(number(sealed, footer)?).ok().filter(|count| *count <= PARTS_MAX)?;
    let entry_bytes = if descriptor & HAS_CHECKSUMS == 0 { 8 } else { 12 };
    let entries = footer.checked_sub(count * entry_bytes)?;
    let table = entries.checked_sub(SKIPPABLE_HEAD_BYTES)?;
    if skippable(&sealed[table..])? != (TABLE_MAGIC, sealed.len() - table) {
        return None;
    }
    let mut parts = Vec::with_capacity(count);
    let mut at = 0_usize;
    for entry in (entries..footer).step_by(entry_bytes) {
        let end = at.checked_add(usize::try_from(number(sealed, entry)?).ok()?)?;
        parts.push(Part { at: at..end, plain: number(sealed, entry + 4) });
        at = end;
    }
    (at == table).then_some(parts)
}

/// The parts of a file without a usable table: each begins where the one before it ends, or else where the next frame
/// may begin.
pub(super) fn look_for_parts(sealed: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < sealed.len() && parts.len() < PARTS_MAX {
        let end = at + part_bytes(&sealed[at..]);
        parts.push(Part { at: at..end, plain: None });
        at = end;
    }
    if at < sealed.len() {
        parts.push(Part { at: at..sealed.len(), plain: None });
    }
    parts
}

/// How far the part reaches that these bytes begin with: at least one byte.
fn part_bytes(rest: &[u8]) -> usize {
    if let Some((_, end)) = skippable(rest) {
        return end;
    }
    let whole = rest.starts_with(&ZSTD_MAGIC).then(|| zstd::zstd_safe::find_frame_compressed_size(rest).ok()).flatten();
    whole.filter(|bytes| (1..=rest.len()).contains(bytes)).unwrap_or_else(|| {
        let next = memmem::find(&rest[1..], &ZSTD_MAGIC);
        next.map_or(rest.len(), |next| next + 1)
    })
}
