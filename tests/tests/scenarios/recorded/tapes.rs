//! What a control plane has of the recorded traffic, asked as an operator asks.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use shadowcat_tape::segment::SegmentId;
use shadowcat_tests::{ControlPlane, eventually};

use super::spool::files;

/// What a node has recorded is stored within this after its last record, on a machine busy with other tests: 2 s until it is
/// sealed, and what waits since the control plane was away.
const STORED_WITHIN: Duration = Duration::from_secs(90);

/// The most that one answer of a search has.
const PAGE: &str = "1000";

/// Waits until the control plane has everything of a spool whose node lives.
pub(super) async fn shipped(spool: &Path) {
    let what = format!("{} is empty", spool.display());
    eventually(&what, STORED_WITHIN, async || {
        let is_segment = |name: &String| SegmentId::of_open_name(name).or(SegmentId::of_sealed_name(name)).is_some();
        (!files(spool).keys().any(is_segment)).then_some(())
    })
    .await;
}

/// What `tapes stats` says.
pub(super) async fn stats(control: &ControlPlane) -> Value {
    control.ctl(&["tapes", "stats", "-o", "json"]).await.json()
}

/// Everything that `tapes search` finds, page by page.
pub(super) async fn search(control: &ControlPlane, arguments: &[&str]) -> Vec<Value> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let mut command = vec!["tapes", "search", "-o", "json", "--limit", PAGE, "--cursor", &cursor];
        command.extend(arguments);
        let mut page = control.ctl(&command).await.json();
        if let Value::Array(frames) = page["frames"].take() {
            found.extend(frames);
        }
        match page["next"].as_str() {
            Some(next) if !next.is_empty() => next.clone_into(&mut cursor),
            _ => return found,
        }
    }
}
