//! The records of a selection, as they come.

use shadowcat_proto::admin::v1::read_tapes_response::Kind;
use shadowcat_proto::admin::v1::{ReadEnd, ReadTapesRequest, ReadTapesResponse};
use tonic::Streaming;

use super::super::line::note;
use crate::Failure;
use crate::connect::Client;
use crate::output::count;

/// The call, for a person.
const READ: &str = "read the tapes";

/// A read that goes on.
pub(super) struct Reading<'a> {
    client: &'a Client,
    stream: Streaming<ReadTapesResponse>,
}

impl<'a> Reading<'a> {
    pub(super) async fn begin(client: &'a Client, request: ReadTapesRequest) -> Result<Self, Failure> {
        let stream = Box::pin(client.call(READ, client.tapes().read(request))).await?;
        Ok(Self { client, stream })
    }

    /// The next thing; an error if the server stops before it said that this was all.
    pub(super) async fn next(&mut self) -> Result<Kind, Failure> {
        loop {
            // Nothing in a message is something that a later control plane tells.
            if let Some(told) = self.client.next(READ, &mut self.stream).await?.kind {
                return Ok(told);
            }
        }
    }
}

/// Says what a read did not bring.
pub(super) fn remark(end: &ReadEnd) {
    for damage in &end.damage {
        note(&format!("damaged: {damage}"));
    }
    if end.unjudged > 0 {
        note(&format!("{} left out, as the filter failed there", count(end.unjudged, "record")));
    }
    if !end.remark.is_empty() {
        note(&end.remark);
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
