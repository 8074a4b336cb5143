//! Protocol versions, and what follows from each.
//!
//! Code asks a version for a fact (`version.disconnect_cancels()`) and never compares version texts, so that a new
//! version is one variant here and one line per fact.

use std::fmt;
use std::str::FromStr;

use crate::json::text::excerpt;

/// The two ways of speaking MCP (2026-07-28, "Versioning", terminology).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// `initialize` opens a session in which version and capabilities are agreed once.
    Legacy,
    /// Every request carries its version and capabilities in `params._meta`; there are no sessions.
    Modern,
}

/// A published version of the protocol, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProtocolVersion {
    /// 2024-11-05: the first. Its HTTP transport has two endpoints and is not served.
    V2024_11_05,
    /// 2025-03-26: Streamable HTTP, batches.
    V2025_03_26,
    /// 2025-06-18: no batches, the version header, elicitation.
    V2025_06_18,
    /// 2025-11-25: priming events, tasks, URL elicitation.
    V2025_11_25,
    /// 2026-07-28: no handshake, no sessions.
    V2026_07_28,
}

impl ProtocolVersion {
    /// Every version known here, oldest first.
    pub const ALL: [Self; 5] =
        [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25, Self::V2026_07_28];

    /// What `initialize` offers when the peer asks for a version nobody knows (2025-11-25, "Lifecycle", version negotiation).
    pub const LATEST_LEGACY: Self = Self::V2025_11_25;

    /// The newest.
    pub const LATEST: Self = Self::V2026_07_28;

    /// What a server assumes of a request without a version header when nothing else tells (2025-06-18, "Transports",
    /// protocol version header).
    pub const WITHOUT_HEADER: Self = Self::V2025_03_26;

    /// The text on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The era it belongs to.
    #[must_use]
    pub const fn era(self) -> Era {
        match self {
            Self::V2024_11_05 | Self::V2025_03_26 | Self::V2025_06_18 | Self::V2025_11_25 => Era::Legacy,
            Self::V2026_07_28 => Era::Modern,
        }
    }

    /// Whether `MCP-Protocol-Version` must be on every HTTP request after `initialize` (since 2025-06-18, "Transports").
    #[must_use]
    pub fn requires_version_header(self) -> bool {
        self >= Self::V2025_06_18
    }

    /// Whether a body may be a JSON array of messages (2025-03-26 only; 2025-06-18 removed it).
    #[must_use]
    pub fn allows_batches(self) -> bool {
        self == Self::V2025_03_26
    }

    /// Whether an SSE answer starts with an event that has an id and empty data, so that a client can resume before the
    /// first message (2025-11-25, "Transports", sending messages).
    #[must_use]
    pub fn sends_priming_events(self) -> bool {
        self == Self::V2025_11_25
    }

    /// Whether closing the response stream cancels the request (2026-07-28, "Streamable HTTP", cancellation). In all
    /// earlier versions a disconnect is not a cancellation (2025-11-25, "Transports").
    #[must_use]
    pub fn disconnect_cancels(self) -> bool {
        self.era() == Era::Modern
    }

    /// Whether `Mcp-Session-Id` exists (2025-03-26 … 2025-11-25, "Transports", session management).
    #[must_use]
    pub fn has_sessions(self) -> bool {
        self.era() == Era::Legacy
    }

    /// Whether `Mcp-Method` and `Mcp-Name` must mirror the body (2026-07-28, "Streamable HTTP", request metadata).
    #[must_use]
    pub fn mirrors_body_in_headers(self) -> bool {
        self >= Self::V2026_07_28
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ProtocolVersion {
    type Err = UnsupportedVersion;

    fn from_str(text: &str) -> Result<Self, UnsupportedVersion> {
        let known = Self::ALL.into_iter().find(|version| version.as_str() == text);
        known.ok_or_else(|| UnsupportedVersion { requested: excerpt(text) })
    }
}

/// A version text that is not in [`ProtocolVersion::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("protocol version {requested:?} is not supported: use one of {}", supported())]
pub struct UnsupportedVersion {
    /// What was asked for; a long text is cut.
    pub requested: Box<str>,
}

/// The supported versions as a list for a person.
fn supported() -> String {
    ProtocolVersion::ALL.map(ProtocolVersion::as_str).join(", ")
}

#[cfg(test)]
mod tests {
    use super::{Era, ProtocolVersion};

    #[test]
    fn every_version_reads_back_from_its_text() {
        for version in ProtocolVersion::ALL {
            assert_eq!(version.as_str().parse(), Ok(version));
        }
    }

    #[test]
    fn versions_are_ordered_as_their_dates_are() {
        let texts = ProtocolVersion::ALL.map(ProtocolVersion::as_str);
        assert!(texts.is_sorted() && ProtocolVersion::ALL.is_sorted());
    }

    #[test]
    fn an_unknown_version_is_refused_with_the_known_ones() {
        let refusal = "2025-1-1".parse::<ProtocolVersion>().expect_err("nobody published it").to_string();
        assert!(refusal.contains("\"2025-1-1\""), "{refusal}");
        for version in ProtocolVersion::ALL {
            assert!(refusal.contains(version.as_str()), "{refusal}");
        }
        let long = "1".repeat(10_000).parse::<ProtocolVersion>();
        assert!(long.expect_err("no version").to_string().len() < 250);
    }

    #[test]
    fn only_the_modern_era_cancels_by_disconnecting_and_lacks_sessions() {
        for version in ProtocolVersion::ALL {
            let modern = version.era() == Era::Modern;
            assert_eq!(version.disconnect_cancels(), modern);
            assert_eq!(version.has_sessions(), !modern);
        }
    }
}
