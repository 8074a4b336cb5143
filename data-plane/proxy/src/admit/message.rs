//! The message of a POST: declared as JSON, within its size, arriving in time, read once.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use shadowcat_mcp::{Envelope, ErrorKind, GatewayError, Limits, header};
use tokio::time::Instant;

use crate::route::Refusal;

/// A body may pause this long, and must arrive at [`BODY_RATE_MIN`] on the whole: a client that sends a byte now and then to
/// hold a connection is disconnected.
const BODY_PATIENCE: Duration = Duration::from_secs(5);

/// Bytes per second below which a body counts as held back on purpose: a tenth of a slow mobile link.
const BODY_RATE_MIN: u64 = 1024;

/// A client that sends more than it may is still sending when it is refused, and would lose the answer to a reset if we closed
/// at once. So much of the rest is read and thrown away first, for so long at most.
const DISCARDED_BYTES_MAX: usize = 16 * 1024 * 1024;
const DISCARD_PATIENCE: Duration = Duration::from_millis(500);

/// Reads the body of a POST: what it declares, and then all of it.
pub(crate) async fn body(headers: &HeaderMap, mut body: Incoming) -> Result<Bytes, Refusal> {
    let bytes = match check_declared(headers) {
        Ok(()) => collect(&mut body, Limits::default().size).await,
        Err(error) => Err(error),
    };
    if bytes.as_ref().is_err_and(|error| error.kind() == ErrorKind::TooLarge) {
        discard(body).await;
    }
    Ok(bytes?)
}

/// The message in a body.
pub(crate) fn message(body: Bytes) -> Result<Envelope, Refusal> {
    Envelope::read(body, Limits::default()).map_err(Refusal::from)
}

async fn discard(body: Incoming) {
    let mut rest = Limited::new(body, DISCARDED_BYTES_MAX);
    let to_the_end = async { while let Some(Ok(_)) = rest.frame().await {} };
    let _ = tokio::time::timeout(DISCARD_PATIENCE, to_the_end).await;
}

/// Checks what a POST declares, before a byte of its body is read.
fn check_declared(headers: &HeaderMap) -> Result<(), GatewayError> {
    if !headers.get(CONTENT_TYPE).is_some_and(header::is_json) {
        return Err(ErrorKind::UnsupportedMediaType.into());
    }
    if !header::accepts(headers).both() {
        return Err(ErrorKind::NotAcceptable.into());
    }
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > Limits::default().size as u64) {
        return Err(too_large());
    }
    Ok(())
}

/// The body's bytes; without a copy when they come in one piece, as small messages do.
async fn collect(body: &mut Incoming, limit: usize) -> Result<Bytes, GatewayError> {
    let mut pace = Pace { began: Instant::now(), received: 0 };
    let first = pace.next(body).await?.unwrap_or_default();
    if first.len() > limit {
        return Err(too_large());
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut whole = BytesMut::from(first);
    while let Some(data) = pace.next(body).await? {
        whole.extend_from_slice(&data);
        if whole.len() > limit {
            return Err(too_large());
        }
    }
    Ok(whole.freeze())
}

/// How fast a body comes.
struct Pace {
    began: Instant,
    received: u64,
}

impl Pace {
    /// The next piece; an error if the body pauses or is slower than it may be on the whole.
    async fn next(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, GatewayError> {
        loop {
            let due = self.began + BODY_PATIENCE + Duration::from_secs(self.received / BODY_RATE_MIN);
            let patience = due.saturating_duration_since(Instant::now()).min(BODY_PATIENCE);
            let frame = match tokio::time::timeout(patience, body.frame()).await {
                Err(_) => return Err(too_slow()),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => {
                    let message = format!("the body broke off: {error}");
                    return Err(GatewayError::new(ErrorKind::InvalidRequest, message));
                }
                Ok(Some(Ok(frame))) => frame,
            };
            if let Ok(data) = frame.into_data() {
                self.received += data.len() as u64;
                return Ok(Some(data));
            }
        }
    }
}

fn too_large() -> GatewayError {
    let limit = Limits::default().size / (1024 * 1024);
    GatewayError::new(ErrorKind::TooLarge, format!("the message is larger than {limit} MiB; send less at once"))
}

fn too_slow() -> GatewayError {
    let patience = BODY_PATIENCE.as_secs();
    GatewayError::new(
        ErrorKind::TooSlow,
        format!(
            "the body paused, or came at less than {BODY_RATE_MIN} bytes/s, for more than {patience} s: send it again"
        ),
    )
}
