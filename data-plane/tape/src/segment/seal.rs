//! From plain text to a sealed segment.

use std::{fmt, io, iter};

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
    Packing::default().finish(plain, contents, out)
}

/// Lines that are packed while more of them come, so that sealing them is not all the work at once. What comes of it in the end is what
/// [`seal_as`] makes of them all. It holds what it has packed, which is no more than the lines themselves.
#[derive(Default)]
pub(crate) struct Packing {
    compressor: Option<Compressor<'static>>,
    /// The frames so far.
    packed: Vec<u8>,
    /// Packed and plain bytes of each.
    frames: Vec<(u32, u32)>,
    /// Plain bytes of all of them.
    taken: usize,
}

impl Packing {
    /// Packs as many frames as `plain` fills. It begins with what it began with before, and ends with a whole line.
    ///
    /// # Errors
    /// zstd had no memory. It is tried again the next time.
    pub(crate) fn follow(&mut self, plain: &[u8]) -> io::Result<()> {
        while plain.len() - self.taken >= FRAME_PLAIN_BYTES {
            self.pack(&plain[self.taken..])?;
        }
        Ok(())
    }

    /// Packs the rest, and appends the sealed segment.
    ///
    /// # Errors
    /// zstd had no memory.
    pub(crate) fn finish(&mut self, plain: &[u8], contents: &Contents, out: &mut Vec<u8>) -> io::Result<()> {
        while self.taken < plain.len() {
            self.pack(&plain[self.taken..])?;
        }
        let start = out.len();
        contents.write(out);
        let head = (length(out.len() - start), 0);
        out.extend_from_slice(&self.packed);
        let frames: Vec<_> = iter::once(head).chain(self.frames.iter().copied()).collect();
        write_table(&frames, out);
        Ok(())
    }

    /// Packs the next frame, with which `rest` begins.
    fn pack(&mut self, rest: &[u8]) -> io::Result<()> {
        let compressor = match &mut self.compressor {
            Some(compressor) => compressor,
            none => none.insert(compressor()?),
        };
        let lines = &rest[..frame_end(rest)];
        let before = self.packed.len();
        self.packed.resize(before + zstd_safe::compress_bound(lines.len()), 0);
        let packed = compressor.compress_to_buffer(lines, &mut self.packed[before..]);
        self.packed.truncate(before + packed.as_ref().copied().unwrap_or(0));
        self.frames.push((length(packed?), length(lines.len())));
        self.taken += lines.len();
        Ok(())
    }
}

impl fmt::Debug for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packing").field("frames", &self.frames).finish_non_exhaustive()
    }
}

fn compressor() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(ZSTD_LEVEL)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    Ok(compressor)
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
