//! The ids the gateway mints. All are random, so that knowing one says nothing about another.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The six bits that base64url writes as `-` (RFC 4648, 5).
const BASE64URL_HYPHEN: u8 = 62;

/// A text that no id of ours looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id this gateway minted")]
pub struct InvalidId;

/// A session's id: 128 random bits, on the wire 22 characters of base64url. None begins with `-`: a command line would take it for
/// a flag.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// Characters on the wire.
    pub const LENGTH: usize = 22;

    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(random())
    }

    /// Reads what [`Display`](fmt::Display) wrote and refuses everything else, so that a forged id of another shape costs no
    /// look-up anywhere.
    ///
    /// # Errors
    /// [`InvalidId`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        decode::<{ Self::LENGTH }, 16>(text).map(Self)
    }

    /// The first half. Random bits need no hashing.
    pub(crate) fn bits(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl Hash for SessionId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.bits());
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        encode::<{ Self::LENGTH }>(&self.0, f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SessionId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}

/// A stream's id, unique within its session: 64 random bits, on the wire 11 characters of base64url. Half of a session id's
/// bits suffice, because a stream is only ever looked up inside a session the caller has already shown the id of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId([u8; 8]);

impl StreamId {
    /// Characters on the wire.
    pub const LENGTH: usize = 11;

    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(random())
    }

    /// Reads what [`Display`](fmt::Display) wrote.
    ///
    /// # Errors
    /// [`InvalidId`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        decode::<{ Self::LENGTH }, 8>(text).map(Self)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        encode::<{ Self::LENGTH }>(&self.0, f)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The SSE `id:` of an event, on the wire `<stream>-<seq>`. base64url has `-` too, but a stream id's length is fixed, so the
/// separator's place is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventId {
    /// The stream it is in.
    pub stream: StreamId,
    /// Its place there, from 1.
    pub seq: u64,
}

impl EventId {
    /// Reads what [`Display`](fmt::Display) wrote.
    ///
    /// # Errors
    /// [`InvalidId`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let (stream, rest) = text.split_at_checked(StreamId::LENGTH).ok_or(InvalidId)?;
        let digits = rest.strip_prefix('-').ok_or(InvalidId)?;
        // `u64::from_str` also takes "+7" and "007": two texts for one id.
        let canonical = digits == "0" || (digits.starts_with(|c: char| ('1'..='9').contains(&c)));
        let seq = digits.parse().ok().filter(|_| canonical).ok_or(InvalidId)?;
        Ok(Self { stream: StreamId::parse(stream)?, seq })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.stream, self.seq)
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    loop {
        getrandom::fill(&mut bytes).expect("the kernel's random source cannot fail once the system is up");
        if bytes[0] >> 2 != BASE64URL_HYPHEN {
            return bytes;
        }
    }
}

fn encode<const LENGTH: usize>(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [0; LENGTH];
    let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).map_err(|_| fmt::Error)?;
    f.pad(std::str::from_utf8(&text[..written]).map_err(|_| fmt::Error)?)
}

fn decode<const LENGTH: usize, const N: usize>(text: &str) -> Result<[u8; N], InvalidId> {
    if text.len() != LENGTH {
        return Err(InvalidId);
    }
    // The decoder asks for room in whole groups of three bytes.
    let mut bytes = [0; 18];
    let read = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).map_err(|_| InvalidId)?;
    bytes[..read].try_into().map_err(|_| InvalidId)
}

#[cfg(test)]
mod tests {
    use super::{EventId, InvalidId, SessionId, StreamId};

    #[test]
    fn ids_read_back_from_their_text() {
        for _ in 0..1_000 {
            let (session, stream) = (SessionId::random(), StreamId::random());
            assert_eq!(session.to_string().len(), SessionId::LENGTH);
            assert!(!session.to_string().starts_with('-'), "{session}");
            assert_eq!(SessionId::parse(&session.to_string()), Ok(session));
            assert_eq!(StreamId::parse(&stream.to_string()), Ok(stream));
            for seq in [0, 1, 9, 10, u64::MAX] {
                let id = EventId { stream, seq };
                assert_eq!(EventId::parse(&id.to_string()), Ok(id));
            }
        }
    }

    #[test]
    fn a_text_of_another_shape_is_no_session_id() {
        let id = SessionId::random().to_string();
        let one_short = &id[1..];
        let one_more = format!("{id}A");
        let padded = format!("{}==", &id[2..]);
        // The last character carries four bits that no id has.
        let other_spelling = format!("{}B", "A".repeat(21));
        for forged in ["", one_short, &one_more, &padded, &other_spelling, "äääääääääää", "AAAAAAAAAA+AAAAAAAAAA/"]
        {
            assert_eq!(SessionId::parse(forged), Err(InvalidId), "{forged}");
        }
    }

    #[test]
    fn an_event_id_has_one_spelling() {
        let stream = StreamId::random();
        for forged in ["", "-", "-+1", "-01", "--1", "-1 ", "-18446744073709551616", "1"] {
            assert_eq!(EventId::parse(&format!("{stream}{forged}")), Err(InvalidId), "{forged}");
        }
        assert_eq!(EventId::parse("ääääää-1"), Err(InvalidId));
    }
}
