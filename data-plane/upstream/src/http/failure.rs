//! From what hyper says to what the gateway says: stage, reason, and whether a byte may have left.

use std::error::Error;
use std::io;
use std::time::Duration;

use super::link::Untaken;
use crate::{Stage, UpstreamError, Why};

/// Connecting took longer than it may.
#[derive(Debug, thiserror::Error)]
#[error("connecting took too long")]
pub(super) struct ConnectTimedOut;

/// Why the server has not acted on the request, if it says that it has not: it went away with a stream below this one as its
/// last (RFC 9113, section 6.8), or refused the stream (section 8.7).
///
/// hyper fails a request with the former also if it learns that the server goes while it is about to send the body. Then the
/// message has not left; and what has no body, GET and DELETE, is idempotent.
pub(super) fn untaken(error: &hyper::Error) -> Option<Untaken> {
    let told = find::<h2::Error>(error).filter(|error| error.is_remote())?;
    match told.reason() {
        _ if told.is_go_away() => Some(Untaken::Gone),
        Some(h2::Reason::REFUSED_STREAM) => Some(Untaken::Refused),
        _ => None,
    }
}

/// A request that got no answer, and may have been acted on: a connection has had it, and that is all that is known.
pub(super) fn of_request(upstream: &str, error: &hyper::Error) -> UpstreamError {
    if error.is_parse() || error.is_parse_too_large() {
        let detail = format!("answered with something other than HTTP ({}): is the url right?", root(error));
        return UpstreamError::sent(upstream, Stage::FirstByte, Why::BrokeProtocol, detail);
    }
    let detail = format!("closed the connection without an answer ({}): see the server's log", root(error));
    UpstreamError::sent(upstream, Stage::FirstByte, Why::Unreachable, detail)
}

/// A request that no connection would take, or a connection that was new and yet of no use.
pub(super) fn of_refusal(upstream: &str, error: &hyper::Error) -> UpstreamError {
    let detail = format!("takes connections but not the request ({}): see the server's log", root(error));
    UpstreamError::unsent(upstream, Stage::Connect, Why::Unreachable, detail)
}

/// No connection.
pub(super) fn of_connect(upstream: &str, error: &(dyn Error + 'static)) -> UpstreamError {
    let timed_out = find::<ConnectTimedOut>(error).is_some();
    let io = find::<io::Error>(error);
    let (why, detail) = match io.map(io::Error::kind) {
        _ if timed_out => {
            (Why::TimedOut, "cannot be connected to in time: is its address right and reachable from here?".to_owned())
        }
        Some(io::ErrorKind::TimedOut) => {
            (Why::TimedOut, "cannot be connected to in time: is it reachable from here?".to_owned())
        }
        Some(io::ErrorKind::ConnectionRefused) => {
            (Why::Unreachable, "refuses connections: is the server running?".to_owned())
        }
        _ if find::<rustls::Error>(error).is_some() => (
            Why::Unreachable,
            format!("cannot be trusted ({}): check its certificate and the host in the url", root(error)),
        ),
        _ => (Why::Unreachable, format!("cannot be connected to ({}): check the url", root(error))),
    };
    UpstreamError::unsent(upstream, Stage::Connect, why, detail)
}

/// The root certificates of the system cannot be read.
pub(super) fn of_roots(upstream: &str, error: &io::Error) -> UpstreamError {
    let detail =
        format!("cannot be trusted without root certificates ({error}): install ca-certificates or set SSL_CERT_FILE");
    UpstreamError::unsent(upstream, Stage::Connect, Why::Unreachable, detail)
}

/// No head of an answer within the bound.
pub(super) fn of_silence(upstream: &str, limit: Duration) -> UpstreamError {
    let detail = format!("did not begin to answer within {limit:?}");
    UpstreamError::sent(upstream, Stage::FirstByte, Why::TimedOut, detail)
}

/// Silence in the middle of an answer.
pub(super) fn of_stall(upstream: &str, limit: Duration) -> UpstreamError {
    let detail = format!("sent nothing for {limit:?} in the middle of an answer");
    UpstreamError::sent(upstream, Stage::Body, Why::TimedOut, detail)
}

/// An answer that broke off.
pub(super) fn of_body(upstream: &str, error: &hyper::Error) -> UpstreamError {
    // hyper reports broken chunk framing as an I/O error of these kinds.
    let framing = find::<io::Error>(error)
        .is_some_and(|io| matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput));
    let why = if framing { Why::BrokeProtocol } else { Why::Unreachable };
    UpstreamError::sent(upstream, Stage::Body, why, format!("broke off in the middle of an answer ({})", root(error)))
}

/// The first cause of type `T`.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// The innermost cause, which is the one that says something.
fn root<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    causes(error).last().unwrap_or(error)
}

/// An error and its causes, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            // As a source, an I/O error names what its content was caused by, and leaves out the content.
            Some(content) => Some(content),
            None => error.source(),
        };
        Some(error)
    })
}
