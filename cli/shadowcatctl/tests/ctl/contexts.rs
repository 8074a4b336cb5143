//! Control planes kept by name.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::fake::{EDITOR, Fake};
use crate::support::{Told, ctl};

struct Kept {
    directory: TempDir,
}

impl Kept {
    fn new() -> Self {
        Self { directory: TempDir::new().expect("a directory") }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("kept").join("contexts.yaml")
    }

    async fn ctl(&self, arguments: &[&str]) -> Told {
        ctl(arguments).env("SHADOWCAT_CONTEXTS", self.file()).run().await
    }
}

#[tokio::test]
async fn a_context_says_what_no_flag_has_to() {
    let url = Fake::new().serve().await;
    let kept = Kept::new();
    let set = kept.ctl(&["context", "set", "here", "--server", &url, "--token", EDITOR]).await;
    assert_eq!(set.stdout, "here is set, and the current context\n", "{set:?}");
    assert_eq!(fs::metadata(kept.file()).expect("there").permissions().mode() & 0o777, 0o600);
    let asked = kept.ctl(&["nodes", "list"]).await;
    assert_eq!(asked.code, 0, "{asked:?}");
    let shown = kept.ctl(&["context", "show"]).await;
    assert!(shown.stdout.contains(&url) && !shown.stdout.contains(EDITOR), "{shown:?}");
}

#[tokio::test]
async fn contexts_are_listed_chosen_changed_and_removed() {
    let kept = Kept::new();
    for name in ["a", "b"] {
        let set = kept.ctl(&["context", "set", name, "--server", "http://127.0.0.1:1", "--token", name]).await;
        assert_eq!(set.code, 0, "{set:?}");
    }
    let used = kept.ctl(&["context", "use", "b"]).await;
    assert_eq!(used.stdout, "b is the current context\n", "{used:?}");
    kept.ctl(&["context", "set", "b", "--fleet", "edge"]).await;
    let listed = kept.ctl(&["context", "list", "-o", "jsonl"]).await;
    assert!(listed.stdout.contains("\"name\":\"b\",\"current\":true"), "{listed:?}");
    assert!(listed.stdout.contains("\"fleet\":\"edge\",\"token\":true"), "the token is kept: {listed:?}");
    assert_eq!(kept.ctl(&["context", "remove", "b"]).await.code, 0);
    let status = kept.ctl(&["status"]).await;
    assert_eq!(status.code, 2, "{status:?}");
    assert!(status.stderr.contains("context use` one of a"), "{status:?}");
    let unknown = kept.ctl(&["context", "use", "b"]).await;
    assert_eq!((unknown.code, unknown.stderr.contains("there is: a")), (2, true), "{unknown:?}");
}

#[tokio::test]
async fn a_context_that_moves_to_another_server_leaves_its_token_behind() {
    let kept = Kept::new();
    kept.ctl(&["context", "set", "a", "--server", "http://127.0.0.1:1", "--token", "old"]).await;
    kept.ctl(&["context", "set", "a", "--server", "http://127.0.0.1:2"]).await;
    assert!(!fs::read_to_string(kept.file()).expect("readable").contains("old"));
}

#[tokio::test]
async fn nothing_to_ask_is_wrong_usage_with_the_cure() {
    let told = Kept::new().ctl(&["status"]).await;
    assert_eq!(told.code, 2, "{told:?}");
    assert!(told.stderr.contains("give --server and --token"), "{told:?}");
}
