//! Just enough of HTTP/2 framing to see that a client has begun a request head and not finished it (RFC 9113, sections 4.1, 6.2
//! and 6.10). hyper says when a head is complete, and is silent about one that is not.

/// What a client sends before its first frame (RFC 9113, section 3.4).
const PREFACE_BYTES: u32 = 24;

const FRAME_HEADER_BYTES: usize = 9;

const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;

/// Follows the frames of one client.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes of a frame's payload, or of the preface, that are still to come.
    left: u32,
    /// As much of the next frame's header as has come.
    header: [u8; FRAME_HEADER_BYTES],
    header_bytes: usize,
    /// The payload under way belongs to a request head.
    of_a_head: bool,
    /// The head goes on in the next frame.
    goes_on: bool,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self { left: PREFACE_BYTES, header: [0; FRAME_HEADER_BYTES], header_bytes: 0, of_a_head: false, goes_on: false }
    }

    /// True between the first byte of a head and its last. The header of any frame may be a head's until it is complete.
    pub(super) fn within_a_head(&self) -> bool {
        self.goes_on || self.header_bytes > 0 || (self.of_a_head && self.left > 0)
    }

    /// Follows what was read from the client.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let skipped = bytes.len().min(self.left as usize);
                bytes = &bytes[skipped..];
                self.left -= u32::try_from(skipped).unwrap_or(self.left);
                continue;
            }
            let taken = bytes.len().min(FRAME_HEADER_BYTES - self.header_bytes);
            self.header[self.header_bytes..self.header_bytes + taken].copy_from_slice(&bytes[..taken]);
            self.header_bytes += taken;
            bytes = &bytes[taken..];
            if self.header_bytes == FRAME_HEADER_BYTES {
                self.begin_frame();
            }
        }
    }

    fn begin_frame(&mut self) {
        let [length @ .., kind, flags, _, _, _, _] = self.header;
        let [high, middle, low] = length;
        self.left = u32::from_be_bytes([0, high, middle, low]);
        self.header_bytes = 0;
        self.of_a_head = matches!(kind, HEADERS | CONTINUATION);
        if self.of_a_head {
            self.goes_on = flags & END_HEADERS == 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: u8 = 0x4;
    const DATA: u8 = 0x0;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0, 0, payload.len().try_into().unwrap(), kind, flags, 0, 0, 0, 1];
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn a_head_is_open_from_its_first_byte_to_its_last() {
        let head = [frame(HEADERS, 0, b"begin"), frame(CONTINUATION, END_HEADERS, b"end")].concat();
        let mut frames = Frames::new();
        frames.follow(&[PREFACE, &frame(SETTINGS, 0, b"settings")].concat());
        assert!(!frames.within_a_head());
        for (at, byte) in head.iter().enumerate() {
            frames.follow(&[*byte]);
            assert_eq!(frames.within_a_head(), at + 1 < head.len(), "after byte {at}");
        }
    }

    #[test]
    fn a_body_that_comes_slowly_is_no_head() {
        let mut frames = Frames::new();
        frames.follow(PREFACE);
        frames.follow(&frame(HEADERS, END_HEADERS, b""));
        frames.follow(&frame(DATA, 0, b"a body")[..FRAME_HEADER_BYTES + 2]);
        assert!(!frames.within_a_head());
    }
}
