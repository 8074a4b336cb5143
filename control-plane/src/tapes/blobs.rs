//! Where the bytes of tapes are kept: a directory, or an object store that speaks S3.
//!
//! Objects are written whole and never changed: the key of a segment tells its node and its digest, that of a message which is kept apart
//! its hash, so that nobody's bytes take the place of others. What [`Blobs::put`] has answered is durable: in a directory, file and directories are synced before it returns.
//!
//! Not here: what the objects mean, and which of them are still needed. The index says both.

mod unfinished;

use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, RetryConfig};
use time::OffsetDateTime;
use tokio::time::timeout;

/// By when an operation has ended, its own repetitions included: the largest object takes a slow disk a second.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(15);

/// One request to an object store. Two of them fit into an operation.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(7);

/// A request that failed is repeated this often here; whoever asked tries again later anyway.
const RETRIES_MAX: usize = 1;

/// The largest object that is read: larger ones are not written.
const OBJECT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Recorded traffic is its owner's alone.
const DIRECTORY_MODE: u32 = 0o700;

/// Where segments are, and where messages.
pub(crate) const SEGMENTS: &str = "segments";
pub(crate) const MESSAGES: &str = "blobs";

/// Microseconds in a second.
const MICROS: i64 = 1_000_000;

/// Objects, by key.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    place: Arc<str>,
    /// Where the files are, if it is a directory.
    directory: Option<Arc<std::path::Path>>,
}

/// Why an object is not there, or cannot be.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The place cannot be used at all.
    #[error(
        "tapes cannot be kept in {0}: {1}: give --blobs a directory, or s3://BUCKET/PREFIX with AWS_* in the environment"
    )]
    Unusable(String, String),
    /// There is no such object.
    #[error("{0} is not there: it was deleted, or --blobs names another place than when it was stored")]
    Missing(String),
    /// The place does not answer, or refuses.
    #[error("{0} is not available: {1}")]
    Unavailable(String, String),
}

impl Blobs {
    /// Opens the place that `url` names: `s3://bucket/prefix`, or a directory, which is made if there is none.
    ///
    /// # Errors
    /// [`BlobError::Unusable`] if it is neither, or the directory cannot be made. Whether an object store answers is not asked.
    pub fn open(url: &str) -> Result<Self, BlobError> {
        let unusable = |why: String| BlobError::Unusable(url.to_owned(), why);
        let (store, directory): (Arc<dyn ObjectStore>, _) = match url.split_once("://") {
            Some(("s3", place)) => (s3(place).map_err(unusable)?, None),
            Some((scheme, _)) => return Err(unusable(format!("nothing opens {scheme}://…"))),
            None => (directory(url).map_err(unusable)?, Some(std::path::Path::new(url).into())),
        };
        Ok(Self { store, place: url.into(), directory })
    }

    /// Keeps an object for good. One that is there under this key is replaced, whole.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`]; the object may be there all the same.
    pub async fn put(&self, key: &Path, bytes: Bytes) -> Result<(), BlobError> {
        self.within(key, async { self.store.put(key, bytes.into()).await.map(drop) }).await
    }

    /// A whole object.
    ///
    /// # Errors
    /// [`BlobError::Missing`] and [`BlobError::Unavailable`].
    pub async fn get(&self, key: &Path) -> Result<Bytes, BlobError> {
        let read = async {
            let found = self.store.get(key).await?;
            if found.meta.size > OBJECT_BYTES_MAX {
                let source =
                    io::Error::other(format!("it has {} bytes, and none of ours has so many", found.meta.size));
                return Err(object_store::Error::Generic { store: "shadowcat", source: source.into() });
            }
            found.bytes().await
        };
        self.within(key, read).await
    }

    /// Deletes an object; one that is not there is deleted already.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`].
    pub async fn delete(&self, key: &Path) -> Result<(), BlobError> {
        match self.within(key, async { self.store.delete(key).await }).await {
            Err(BlobError::Missing(_)) => Ok(()),
            other => other,
        }
    }

    /// What is kept below a prefix, in no order, as it is found.
    pub(crate) fn list(&self, prefix: &str) -> impl Stream<Item = Result<ObjectMeta, BlobError>> + use<> {
        let place = Arc::clone(&self.place);
        let told = move |error: object_store::Error| BlobError::Unavailable(place.to_string(), error.to_string());
        self.store.list(Some(&Path::from(prefix))).map_err(told)
    }

    /// Removes what puts have left behind that were killed before this time, in microseconds since 1970: how much it was. An object store
    /// keeps nothing of them, and a directory never lists it.
    pub(crate) async fn remove_unfinished(&self, before: i64) -> Result<u64, BlobError> {
        let Some(directory) = self.directory.clone() else { return Ok(0) };
        let removed = tokio::task::spawn_blocking(move || unfinished::remove(&directory, before)).await;
        let removed = removed.map_err(io::Error::from).flatten();
        removed.map_err(|error| BlobError::Unavailable(self.place.to_string(), error.to_string()))
    }

    async fn within<T>(
        &self,
        key: &Path,
        operation: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, BlobError> {
        match timeout(OPERATION_TIMEOUT, operation).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(object_store::Error::NotFound { .. })) => Err(BlobError::Missing(key.to_string())),
            Ok(Err(error)) => Err(BlobError::Unavailable(self.place.to_string(), error.to_string())),
            Err(_) => {
                let why = format!("no answer within {OPERATION_TIMEOUT:?}");
                Err(BlobError::Unavailable(self.place.to_string(), why))
            }
        }
    }
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blobs").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Which segment is kept. Fleet and node are those of a certificate.
#[derive(Debug, Clone, Copy)]
pub struct SegmentName<'a> {
    /// Its fleet.
    pub fleet: &'a str,
    /// Its node.
    pub node: &'a str,
    /// Its boot.
    pub instance: &'a str,
    /// Its number within the boot.
    pub sequence: u64,
}

/// Where a segment with this digest is kept. `at` is the time of its first record, in microseconds since 1970: whoever stores it again
/// finds the same key on another day.
#[must_use]
pub fn segment_key(name: SegmentName<'_>, at: i64, digest: &[u8; 32]) -> Path {
    key_of_day(name, at, blake3::Hash::from_bytes(*digest).to_hex().as_str())
}

/// Where a segment is kept that was written anew, the time with this number: nobody has written there before, and nobody will again.
#[must_use]
pub(crate) fn rewritten_key(name: SegmentName<'_>, at: i64, time: u64) -> Path {
    key_of_day(name, at, &format!("{time:016x}"))
}

fn key_of_day(name: SegmentName<'_>, at: i64, content: &str) -> Path {
    let SegmentName { fleet, node, instance, sequence } = name;
    let day = OffsetDateTime::from_unix_timestamp(at.div_euclid(MICROS)).unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
    let day = format!("{:04}-{:02}-{:02}", day.year(), u8::from(day.month()), day.day());
    Path::from_iter([SEGMENTS, fleet, &day, node, &format!("{instance}-{sequence}-{content}.jsonl.zst")])
}

/// Where a message is kept that is apart from its segment.
#[must_use]
pub fn message_key(fleet: &str, hash: &blake3::Hash) -> Path {
    Path::from_iter([MESSAGES, fleet, &format!("{}.zst", hash.to_hex())])
}

/// The fleet and the hash of a message that is kept here.
pub(crate) fn message_of(key: &str) -> Option<(&str, blake3::Hash)> {
    let (fleet, name) = key.strip_prefix(MESSAGES)?.strip_prefix('/')?.split_once('/')?;
    Some((fleet, blake3::Hash::from_hex(name.strip_suffix(".zst")?).ok()?))
}

fn directory(path: &str) -> Result<Arc<dyn ObjectStore>, String> {
    if path.is_empty() {
        return Err("its path is empty".to_owned());
    }
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path).map_err(|error| error.to_string())?;
    let store = LocalFileSystem::new_with_prefix(path).map_err(|error| error.to_string())?;
    // Without it a put returns before the bytes, and the directories above them, are on the disk.
    Ok(Arc::new(store.with_fsync(true)))
}

fn s3(place: &str) -> Result<Arc<dyn ObjectStore>, String> {
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    if bucket.is_empty() {
        return Err("it names no bucket".to_owned());
    }
    let retry = RetryConfig { max_retries: RETRIES_MAX, retry_timeout: OPERATION_TIMEOUT, ..RetryConfig::default() };
    // What the environment says of the client goes first; only its time is ours.
    let store = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_client_options(options_of_environment())
        .with_retry(retry)
        .build()
        .map_err(|error| error.to_string())?;
    let prefix = Path::parse(prefix.trim_matches('/')).map_err(|error| error.to_string())?;
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}

/// Object stores on a private network often speak plain HTTP; `AWS_ALLOW_HTTP` says that this one may.
fn options_of_environment() -> ClientOptions {
    let allow = std::env::var("AWS_ALLOW_HTTP").is_ok_and(|value| matches!(value.as_str(), "true" | "1" | "yes"));
    ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_allow_http(allow)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::PermissionsExt;
    use std::time::SystemTime;

    use super::*;

    const NAME: SegmentName<'static> = SegmentName { fleet: "default", node: "edge-1", instance: "5f", sequence: 7 };

    #[tokio::test]
    async fn an_object_in_a_directory_is_found_again_and_deleted_twice() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().join("tapes");
        let blobs = Blobs::open(place.to_str().unwrap()).unwrap();
        assert_eq!(std::fs::metadata(&place).unwrap().permissions().mode() & 0o777, DIRECTORY_MODE);
        let key = segment_key(NAME, 1_763_761_400_000_000, &[0xab; 32]);
        assert_eq!(key.as_ref(), format!("segments/default/2025-11-21/edge-1/5f-7-{}.jsonl.zst", "ab".repeat(32)));
        assert!(matches!(blobs.get(&key).await, Err(BlobError::Missing(_))));
        blobs.put(&key, Bytes::from_static(b"one")).await.unwrap();
        blobs.put(&key, Bytes::from_static(b"two")).await.unwrap();
        assert_eq!(blobs.get(&key).await.unwrap(), "two");
        blobs.delete(&key).await.unwrap();
        blobs.delete(&key).await.unwrap();
        assert!(matches!(blobs.get(&key).await, Err(BlobError::Missing(_))));
    }

    #[tokio::test]
    async fn what_a_killed_put_has_left_behind_is_no_object_and_goes_when_it_is_old() {
        let place = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(place.path().to_str().unwrap()).unwrap();
        let key = segment_key(NAME, 0, &[0; 32]);
        blobs.put(&key, Bytes::from_static(b"whole")).await.unwrap();
        let beside = |end: &str| place.path().join(format!("{key}{end}"));
        for end in ["#1", "#22", "#", "#1x"] {
            std::fs::write(beside(end), b"hal").unwrap();
        }
        let times = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for (end, seconds) in [("", 10), ("#1", 10), ("#22", 30), ("#", 10), ("#1x", 10)] {
            File::options().write(true).open(beside(end)).unwrap().set_modified(times(seconds)).unwrap();
        }
        let left = || ["", "#1", "#22", "#", "#1x"].map(|end| beside(end).exists());
        assert_eq!(blobs.remove_unfinished(10 * MICROS).await.unwrap(), 0);
        assert_eq!(blobs.remove_unfinished(20 * MICROS).await.unwrap(), 1);
        assert_eq!(left(), [true, false, true, true, true]);
        assert_eq!(blobs.get(&key).await.unwrap(), "whole");
    }

    #[tokio::test]
    async fn a_directory_that_went_away_is_told_with_its_name() {
        let place = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(place.path().to_str().unwrap()).unwrap();
        let path = place.path().to_owned();
        drop(place);
        std::fs::write(&path, b"no directory").unwrap();
        let told = blobs.put(&Path::from("a/b"), Bytes::from_static(b"x")).await.unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(told, BlobError::Unavailable(..)));
        assert!(told.to_string().starts_with(&format!("{} is not available", path.display())), "{told}");
    }

    #[test]
    fn what_is_no_place_is_refused_with_the_reason() {
        for (url, told) in
            [("ftp://x", "nothing opens ftp://…"), ("", "its path is empty"), ("s3:///p", "it names no bucket")]
        {
            let refusal = Blobs::open(url).unwrap_err().to_string();
            assert!(refusal.contains(told) && refusal.contains("--blobs"), "{refusal}");
        }
    }

    #[test]
    fn a_time_that_is_none_has_a_key_all_the_same() {
        assert!(
            segment_key(NAME, i64::MAX, &[0; 32]).as_ref().starts_with("segments/default/1970-01-01/edge-1/5f-7-00")
        );
    }

    #[test]
    fn what_differs_in_its_node_or_its_bytes_has_another_key() {
        let key = segment_key(NAME, 0, &[1; 32]);
        assert_ne!(segment_key(SegmentName { node: "edge-2", ..NAME }, 0, &[1; 32]), key);
        assert_ne!(segment_key(NAME, 0, &[2; 32]), key);
        assert_ne!(rewritten_key(NAME, 0, 1), key);
    }

    #[test]
    fn the_key_of_a_message_tells_its_fleet_and_hash() {
        let hash = blake3::hash(b"x");
        assert_eq!(message_of(message_key("f", &hash).as_ref()), Some(("f", hash)));
        assert_eq!(message_of("blobs/f/x.zst").or(message_of("segments/f/x")), None);
    }
}
