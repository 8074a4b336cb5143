use std::collections::HashMap;

use super::*;
use crate::drain::Drain;
use crate::fleet::testing::version;
use crate::observe::Registry;

fn preparer() -> (Preparer, ConfigMetrics) {
    let registry = Registry::new();
    let metrics = ConfigMetrics::new(&registry);
    let factory = Factory::new(registry, metrics.clone(), Drain::default(), HashMap::new(), None);
    (Preparer::start(Arc::new(factory), metrics.clone()).unwrap(), metrics)
}

fn kept((version, canonical): (ConfigRef, Bytes)) -> Source {
    Source::Kept(version, canonical, Origin::Disk)
}

#[tokio::test]
async fn what_is_unchanged_is_taken_over() {
    let (preparer, _) = preparer();
    let first = preparer.prepare(kept(version(1, "/first")), Arc::new(Runtime::none())).await.unwrap().runtime;
    let second = preparer.prepare(kept(version(2, "/second")), Arc::clone(&first)).await.unwrap().runtime;
    let upstream = |runtime: &Runtime| Arc::clone(runtime.upstream("a").unwrap());
    assert!(Arc::ptr_eq(&upstream(&first), &upstream(&second)), "only the route changed");
    assert_eq!((first.provenance.number(), second.provenance.number()), (Some(1), Some(2)));
}

#[tokio::test]
async fn a_configuration_is_freed_on_the_thread_that_built_it() {
    let (preparer, metrics) = preparer();
    let runtime = preparer.prepare(kept(version(1, "/first")), Arc::new(Runtime::none())).await.unwrap().runtime;
    assert_eq!(metrics.versions_live(), 1);
    preparer.bury(runtime).await;
    // The next one is built after the last was freed.
    let next = preparer.prepare(kept(version(2, "/second")), Arc::new(Runtime::none())).await.unwrap();
    assert_eq!((metrics.versions_live(), next.runtime.provenance.number()), (1, Some(2)));
}

#[tokio::test]
async fn what_unpacks_to_something_else_than_announced_is_refused() {
    let (preparer, _) = preparer();
    let (version, canonical) = version(1, "/first");
    let packed = Bytes::from(zstd::encode_all(&*canonical, 3).unwrap());
    let bomb = Bytes::from(zstd::encode_all(&vec![0; 50 << 20][..], 3).unwrap());
    for (bytes, unpacked, told) in [
        (packed.clone(), canonical.len() + 1, "less than"),
        (packed.clone(), canonical.len() - 1, "more than"),
        (bomb, canonical.len(), "more than"),
        (packed.slice(..packed.len() / 2), canonical.len(), "cannot be unpacked"),
        (Bytes::from_static(b"no zstandard at all"), 10, "cannot be unpacked"),
        (Bytes::new(), 10, "cannot be unpacked"),
    ] {
        // Pieces of every size, the empty one included.
        let chunks = vec![bytes.slice(..bytes.len() / 3), Bytes::new(), bytes.slice(bytes.len() / 3..)];
        let source = Source::Packed(Packed { version: version.clone(), chunks, unpacked });
        let error = preparer.prepare(source, Arc::new(Runtime::none())).await.unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    let whole = Source::Packed(Packed { version, chunks: vec![packed], unpacked: canonical.len() });
    assert!(preparer.prepare(whole, Arc::new(Runtime::none())).await.is_ok());
}

#[tokio::test]
async fn bytes_that_are_no_configuration_are_refused() {
    let (preparer, _) = preparer();
    let canonical = Bytes::from_static(b"\xff\xff\xff");
    let version = ConfigRef { epoch: String::new(), number: 1, digest: digest(&canonical) };
    let error = preparer.prepare(kept((version, canonical)), Arc::new(Runtime::none())).await.unwrap_err();
    assert!(matches!(error, PrepareError::Decode(_)), "{error}");
    assert_eq!(error.errors().len(), 1);
}
