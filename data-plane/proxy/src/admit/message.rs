//! The message of a POST: declared as JSON, within its size, arriving in time, read once.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use shadowcat_mcp::{Envelope, ErrorKind, GatewayError, Limits, header};

use crate::route::Refusal;

/// A body may pause this long, and must arrive at [`BODY_RATE_MIN`] on the whole: a client that sends a byte now and then to
/// hold a connection is disconnected.
const BODY_PATIENCE: Duration = Duration::from_secs(5);

/// Bytes per second below which a body counts as held back on purpose: a tenth of a slow mobile link.
const BODY_RATE_MIN: u64 = 1024;

/// Checks what a POST declares, before a byte of its body is read.
pub(crate) fn check_declared(headers: &HeaderMap) -> Result<(), GatewayError> {
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

/// Reads the body and its envelope.
pub(crate) async fn read(body: Incoming) -> Result<Envelope, Refusal> {
    let limits = Limits::default();
    let whole_body_in = BODY_PATIENCE + Duration::from_secs(limits.size as u64 / BODY_RATE_MIN);
    let bytes = match tokio::time::timeout(whole_body_in, collect(body, limits.size)).await {
        Ok(bytes) => bytes?,
        Err(_) => return Err(too_slow().into()),
    };
    Envelope::read(bytes, limits).map_err(Refusal::from)
}

/// The body's bytes; without a copy when they come in one piece, as small messages do.
async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, GatewayError> {
    let first = next(&mut body).await?.unwrap_or_default();
    if body.is_end_stream() {
        return if first.len() > limit { Err(too_large()) } else { Ok(first) };
    }
    let began = tokio::time::Instant::now();
    let mut whole = BytesMut::from(first);
    while let Some(data) = next(&mut body).await? {
        whole.extend_from_slice(&data);
        if whole.len() > limit {
            return Err(too_large());
        }
        let expected = BODY_PATIENCE + Duration::from_secs(whole.len() as u64 / BODY_RATE_MIN);
        if began.elapsed() > expected {
            return Err(too_slow());
        }
    }
    Ok(whole.freeze())
}

async fn next(body: &mut Incoming) -> Result<Option<Bytes>, GatewayError> {
    loop {
        let frame = match tokio::time::timeout(BODY_PATIENCE, body.frame()).await {
            Err(_) => return Err(too_slow()),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => {
                let message = format!("the body broke off: {error}");
                return Err(GatewayError::new(ErrorKind::InvalidRequest, message));
            }
            Ok(Some(Ok(frame))) => frame,
        };
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
}

fn too_large() -> GatewayError {
    let limit = Limits::default().size / (1024 * 1024);
    GatewayError::new(ErrorKind::TooLarge, format!("the message is larger than {limit} MiB; send less at once"))
}

fn too_slow() -> GatewayError {
    let patience = BODY_PATIENCE.as_secs();
    GatewayError::new(ErrorKind::TooSlow, format!("the body paused for more than {patience} s; send it again"))
}
