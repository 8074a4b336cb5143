//! Ids of the sessions that the adapter mints.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::{Stage, UpstreamError, Why};

/// Random bytes of an id: 128 bits cannot be guessed.
const BYTES: usize = 16;

/// A new id: visible ASCII, as a header needs it (2025-11-25, "Transports", session management).
///
/// # Errors
/// The system gives no random numbers.
pub(super) fn mint(upstream: &str) -> Result<Box<str>, UpstreamError> {
    let mut random = [0; BYTES];
    getrandom::fill(&mut random).map_err(|error| {
        let detail = format!("cannot be given a session: the system has no random numbers ({error})");
        UpstreamError::unsent(upstream, Stage::Spawn, Why::Unreachable, detail)
    })?;
    Ok(URL_SAFE_NO_PAD.encode(random).into())
}
