//! What is kept of a fleet, and what is not there, with its proof.

use shadowcat_proto::admin::v1::TapeStatsResponse;
use shadowcat_proto::admin::v1::tape_stats_response::{Gap, Source};

use super::timestamp;
use crate::store::StoreError;
use crate::tapes::index::{FoundSource, GapRow, Index};

/// What is kept and missing of a fleet. `is_connected` says of a node and an instance whether it goes on.
pub(crate) async fn stats(
    index: &dyn Index,
    fleet: &str,
    is_connected: impl Fn(&str, &str) -> bool,
) -> Result<TapeStatsResponse, StoreError> {
    let totals = index.totals(fleet).await?;
    let found = index.sources(fleet).await?;
    let mut told = TapeStatsResponse {
        tapes: totals.tapes,
        blobs: totals.messages,
        blob_bytes: totals.message_bytes,
        first: found.iter().filter_map(|source| source.first_at).min().map(timestamp),
        last: found.iter().filter_map(|source| source.last_at).max().map(timestamp),
        ..TapeStatsResponse::default()
    };
    for source in found {
        told.frames += source.frames;
        told.segments += source.segments;
        told.stored_bytes += source.stored_bytes;
        told.plain_bytes += source.plain_bytes;
        told.repeated += source.repeated;
        let goes_on = is_connected(&source.node, &source.instance);
        let mut source = of_source(source);
        if goes_on {
            source.gaps.retain(|gap| gap.before > 0);
        }
        told.sources.push(source);
    }
    Ok(told)
}

/// A source as it is told if it does not go on.
fn of_source(found: FoundSource) -> Source {
    let mut gaps: Vec<Gap> = found.gaps.into_iter().map(gap).collect();
    if found.ended.is_none() {
        let detail = format!(
            "the last boot of node {} did not stop in order, or has not shipped its end: up to 2 s after record {} may be missing",
            found.node, found.last_record
        );
        gaps.push(Gap { after: found.last_record, before: 0, frames: None, why: "crash".to_owned(), detail });
    }
    Source {
        complete: found.ended.is_some_and(|ended| ended == found.last_record) && gaps.is_empty(),
        node: found.node,
        instance: found.instance,
        frames: found.frames,
        segments: found.segments,
        first: found.first_at.map(timestamp),
        last: found.last_at.map(timestamp),
        gaps,
    }
}

fn gap(row: GapRow) -> Gap {
    Gap { after: row.after, before: row.before, frames: row.frames, why: row.why, detail: row.detail }
}
