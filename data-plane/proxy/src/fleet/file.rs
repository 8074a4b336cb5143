//! A configuration file, read again whenever it changes.
//!
//! The directory is watched, not the file: editors rename, and Kubernetes swaps a symbolic link beside it. Whatever is wrong with a
//! new version is logged with its place, and the running one stays.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use shadowcat_config::{LocalConfig, Node, load_local};
use tokio::sync::watch;

use crate::gateway::Control;

/// The file is read once it has said the same for this long: an editor saves in several steps.
const QUIET: Duration = Duration::from_millis(100);

/// A file that has not come to rest after so many looks is read as it is.
const LOOKS_MAX: usize = 10;

/// The file is looked at this often even if the system reports nothing, as on network file systems.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Follows `path` until the future is dropped. `running` is what was read at the start; its `node` part needs a restart to change.
pub async fn watch_file(path: PathBuf, running: LocalConfig, control: Control) {
    let (changed, mut changes) = watch::channel(());
    // Dropping the watcher ends its thread, so it lives as long as this future.
    let _watcher = match watcher(&path, changed.clone()) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "changes are looked for every {LOOK_EVERY:?} only");
            None
        }
    };
    let node = running.node;
    let mut seen = None;
    loop {
        // The first look comes at once: the file may have changed between its first reading and the watch.
        let now = settled(&path).await;
        if now != seen {
            seen = now;
            apply(&path, &node, &control).await;
        }
        let _ = tokio::time::timeout(LOOK_EVERY, changes.changed()).await;
    }
}

/// Puts to use what the file says now, if it is good and something else than what runs.
async fn apply(path: &Path, node: &Node, control: &Control) {
    match read(path.to_owned()).await {
        Ok(read) if read.node != *node => {
            tracing::error!(path = %path.display(), "node: changed; restart to apply it (the running configuration stays)");
        }
        Ok(read) if control.runs(&read.config) => {}
        Ok(read) => match control.reload(read.config).await {
            Ok(()) => tracing::info!(path = %path.display(), "configuration reloaded"),
            Err(error) => tracing::error!(path = %path.display(), %error, "the running configuration stays"),
        },
        Err(errors) => tracing::error!("the running configuration stays:\n{errors}"),
    }
}

/// What the file says once it is at rest. It is the file that must rest, not its directory, where a log may be written.
async fn settled(path: &Path) -> Option<Vec<u8>> {
    let mut before = text(path).await;
    for _ in 0..LOOKS_MAX {
        tokio::time::sleep(QUIET).await;
        let now = text(path).await;
        if now == before {
            break;
        }
        before = now;
    }
    before
}

/// What the file says, as far as it can be read. It is only compared, so that a neighbour that changes (a log, most of all)
/// is not taken for the file.
async fn text(path: &Path) -> Option<Vec<u8>> {
    tokio::fs::read(path).await.ok()
}

async fn read(path: PathBuf) -> Result<LocalConfig, String> {
    let read = tokio::task::spawn_blocking(move || load_local(&path)).await;
    read.map_err(|error| error.to_string())?.map_err(|diagnostics| diagnostics.to_string())
}

fn watcher(path: &Path, changed: watch::Sender<()>) -> notify::Result<notify::RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the file is an event too, and answering it would never end.
        if event.map_or(true, |event| !event.kind.is_access()) {
            changed.send_replace(());
        }
    })?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    watcher.watch(directory, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}
