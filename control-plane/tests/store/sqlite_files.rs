//! What can be wrong with a file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use shadowcat_control_plane::store::{self, SqliteStore, Store, StoreError};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::subject::Subject;
use crate::support::{FLEET, SOON, alice, eventually, version_of};

/// What is promised of every operation.
const ANSWERED: Duration = Duration::from_secs(2);

/// With this seed every run tears at the same places.
const SEED: u64 = 7;

fn path_of(subject: &Subject) -> PathBuf {
    subject.url.strip_prefix("sqlite:").unwrap().into()
}

/// The log that SQLite keeps beside a database.
fn log_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

async fn refusal(path: &Path) -> String {
    let Err(refusal) = SqliteStore::open(path).await else { panic!("it was opened") };
    refusal.to_string()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn nobody_else_reads_the_files_of_a_database() {
    let subject = Subject::in_sqlite().await;
    let path = path_of(&subject);
    subject.store.commit(version_of("one"), alice()).await.unwrap();
    assert_eq!((mode(&path), mode(&log_of(&path))), (0o600, 0o600));
    subject.store.close().await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    subject.open_again().await.unwrap();
    assert_eq!(mode(&path), 0o600, "one that was copied carelessly is closed again");
}

#[tokio::test]
async fn a_torn_log_opens_with_whole_versions() {
    const VERSIONS: u64 = 30;
    const TEARS: usize = 60;
    let subject = Subject::in_sqlite().await;
    for number in 1..=VERSIONS {
        let content = format!("{number} ").repeat(1_000);
        subject.store.commit(version_of(&content), alice()).await.unwrap();
    }
    let path = path_of(&subject);
    let (database, log) = (fs::read(&path).unwrap(), fs::read(log_of(&path)).unwrap());
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut lengths = Vec::new();
    for tear in 0..TEARS {
        let directory = TempDir::new().unwrap();
        let torn = directory.path().join("control-plane.db");
        fs::write(&torn, &database).unwrap();
        let mut left = log[..random.usize(..=log.len())].to_vec();
        // What a disk may also leave behind: the length, and not the bytes.
        if tear % 2 == 1 && !left.is_empty() {
            let place = random.usize(..left.len());
            left[place] ^= 1 << random.u8(..8);
        }
        fs::write(log_of(&torn), left).unwrap();
        lengths.push(whole_versions(&torn).await);
    }
    assert!(lengths.iter().any(|length| *length > 0 && *length < VERSIONS), "some were torn in between: {lengths:?}");
}

/// How many versions a database has, none of which is broken, without a gap and each with its record.
async fn whole_versions(path: &Path) -> u64 {
    let store = SqliteStore::open(path).await.unwrap();
    let history = store.history(FLEET, 0, 1_000).await.unwrap();
    for (version, number) in history.iter().rev().zip(1..) {
        assert_eq!(version.number, number);
        let content = store.content(FLEET, number).await.unwrap().unwrap();
        assert_eq!(shadowcat_config::digest(&content), version.digest);
    }
    let length = history.len() as u64;
    assert_eq!(store.current(FLEET).await.unwrap().map_or(0, |current| current.number), length);
    assert_eq!(store.audit(FLEET, 0, 1_000).await.unwrap().len() as u64, length);
    assert_eq!(store.commit(version_of("next"), alice()).await.unwrap().number, length + 1);
    store.close().await;
    length
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_of_another_process_is_told_within_two_seconds_and_let_go_is_forgotten() {
    let subject = Subject::in_sqlite().await;
    let mut other = SqliteConnection::connect(&subject.url).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();

    let started = Instant::now();
    let refusal = subject.store.commit(version_of("one"), alice()).await.unwrap_err();
    assert!(started.elapsed() < ANSWERED, "{:?}", started.elapsed());
    let told = "the database is not available: another process has kept it locked for 1.5s: \
                end that process, or its transaction";
    assert_eq!(refusal.to_string(), told);
    assert_eq!(subject.store.current(FLEET).await.unwrap(), None, "whoever reads does not wait");

    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(subject.store.commit(version_of("one"), alice()).await.unwrap().number, 1);
    eventually("it is well again", SOON, || async { subject.store.health().is_ok() }).await;
}

#[tokio::test]
async fn a_new_database_that_another_process_has_locked_is_told_within_two_seconds() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("control-plane.db");
    fs::write(&path, b"").unwrap();
    let mut other = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let started = Instant::now();
    let told = refusal(&path).await;
    assert!(started.elapsed() < ANSWERED, "{:?}", started.elapsed());
    assert!(told.contains("another process has kept it locked"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_goes_away_is_told_and_put_back_is_used() {
    let subject = Subject::in_sqlite().await;
    let path = path_of(&subject);
    subject.store.commit(version_of("one"), alice()).await.unwrap();
    let aside = path.with_extension("aside");
    fs::rename(&path, &aside).unwrap();
    let refusal = subject.store.commit(version_of("lost"), alice()).await.unwrap_err().to_string();
    assert!(refusal.contains("was moved or deleted while in use: put it back"), "{refusal}");
    fs::write(&path, b"").unwrap();
    assert!(subject.store.commit(version_of("lost"), alice()).await.is_err(), "another file does not take its place");
    eventually("it is noticed", SOON, || async { subject.store.health().is_err() }).await;

    fs::rename(&aside, &path).unwrap();
    assert_eq!(subject.store.commit(version_of("two"), alice()).await.unwrap().number, 2);
    eventually("it is well again", SOON, || async { subject.store.health().is_ok() }).await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("control-plane.db");
    let text = "routes:\n".repeat(1_000);
    fs::write(&path, &text).unwrap();
    let told = refusal(&path).await;
    assert!(
        told.starts_with(&format!("the database cannot be used: {}: the file is damaged", path.display())),
        "{told}"
    );
    assert!(told.contains("restore it from a backup"), "{told}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn a_path_that_leads_nowhere_is_refused_with_the_reason() {
    let directory = TempDir::new().unwrap();
    let told = refusal(&directory.path().join("nowhere/control-plane.db")).await;
    assert!(told.contains("nowhere/control-plane.db: No such file or directory"), "{told}");
    let told = refusal(directory.path()).await;
    assert!(told.contains("Is a directory"), "{told}");
}

#[tokio::test]
async fn a_url_is_a_scheme_that_is_known_or_a_path() {
    let directory = TempDir::new().unwrap();
    for (url, told) in [
        (
            "mysql://localhost/shadowcat",
            "nothing opens mysql://…: give postgres://…, sqlite:PATH, or the path of a file",
        ),
        ("sqlite:", "its path is empty"),
        ("", "its path is empty"),
        ("postgres://user:secret@[", "its URL cannot be read"),
    ] {
        let Err(refusal) = store::open(url).await else { panic!("{url} was opened") };
        assert!(matches!(refusal, StoreError::Unusable(_)));
        let refusal = refusal.to_string();
        assert!(refusal.contains(told) && !refusal.contains("secret"), "{refusal}");
    }
    let path = directory.path().join("control-plane.db");
    let path = path.to_str().unwrap();
    let epoch = store::open(path).await.unwrap().epoch().to_owned();
    for url in [format!("sqlite:{path}"), format!("sqlite://{path}")] {
        assert_eq!(store::open(&url).await.unwrap().epoch(), epoch);
    }
}
