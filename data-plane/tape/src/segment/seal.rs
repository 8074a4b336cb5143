//! From plain text to a sealed segment.

use std::io;

use memchr::{memchr, memrchr};
use zstd::bulk::Compressor;
use zstd::zstd_safe::{self, CParameter};

use super::seek::write_table;
use super::{Contents, Found, Scan};
use crate::line::LINE_BYTES_MAX;

/// Plain bytes that one zstd frame holds, at most, unless its one line is longer. Smaller frames are
/// opened faster and compress worse: 64 KiB cost a tenth of the ratio, 1 MiB gains a fifth and makes one record cost 1
/// MiB of unpacking.
pub const FRAME_PLAIN_BYTES: usize = 256 * 1024;

/// The fastest of the ordinary levels: the thread that seals shares its cores with calls, and what a recorded call may cost is a target of
/// `compare` in `benches/`.
const ZSTD_LEVEL: i32 = 1;

/// Appends these lines as a sealed segment, and says what it holds. Lines that are no records are sealed as they are.
///
/// # Errors
/// zstd had no memory.
pub fn seal(plain: &[u8], out: &mut Vec<u8>) -> io::Result<Contents> {
    let mut contents = Contents::default();
    for found in Scan::new(plain).flatten() {
        if let Found::Record(line) = found {
            contents.add(&line.record, line.bytes.len());
        }
    }
    contents.plain = plain.len() as u64;
    seal_as(plain, &contents, out)?;
    Ok(contents)
}

/// [`seal`] for who knows already what the lines hold.
///
/// # Errors
/// zstd had no memory.
pub fn seal_as(plain: &[u8], contents: &Contents, out: &mut Vec<u8>) -> io::Result<()> {
    let mut compressor = Compressor::new(ZSTD_LEVEL)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    let start = out.len();
    contents.write(out);
    let mut frames = vec![(length(out.len() - start), 0)];
    let mut rest = plain;
    while !rest.is_empty() {
        let (lines, after) = rest.split_at(frame_end(rest));
        let before = out.len();
        out.resize(before + zstd_safe::compress_bound(lines.len()), 0);
        let bytes = compressor.compress_to_buffer(lines, &mut out[before..])?;
        out.truncate(before + bytes);
        frames.push((length(bytes), length(lines.len())));
        rest = after;
    }
    write_table(&frames, out);
    Ok(())
}

/// Where the frame ends that begins these lines: behind the last line feed within its size, else behind the first one
/// beyond. What has no line feed there is no line, and is cut.
fn frame_end(rest: &[u8]) -> usize {
    let Some(within) = rest.get(..FRAME_PLAIN_BYTES) else { return rest.len() };
    let longest = &rest[..rest.len().min(FRAME_PLAIN_BYTES + LINE_BYTES_MAX)];
    let end = memrchr(b'\n', within).or_else(|| memchr(b'\n', longest));
    end.map_or(longest.len(), |line_feed| line_feed + 1)
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a frame is 256 KiB of plain text and one line of 1 MiB at most")
}
