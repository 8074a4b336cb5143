//! What a member ships of what it has recorded.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use shadowcat_tape::record::{Kind, Record};
use shadowcat_tape::spool::{Now, Spool};

use super::*;
use crate::record::SpoolSettings;

/// Segments that an earlier start has left, the oldest first: more than are looked at for one round of offers.
fn record_before(dir: &Path) -> Vec<PathBuf> {
    let mut settings = shadowcat_tape::spool::SpoolSettings::new(dir.to_owned(), "0".repeat(32));
    settings.seal_bytes = 1024;
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    let now = Now { at: Duration::ZERO, wall: u64::try_from(wall).unwrap() };
    let (mut writer, shelf, _) = Spool::open(settings, now).unwrap();
    while shelf.oldest(20).len() < 20 {
        let record = Record { k: Kind::Mark, text: Some("remark".into()), ..Record::default() };
        writer.append(record, None);
    }
    writer.end();
    shelf.oldest(20).into_iter().map(|sealed| dir.join(sealed.id.sealed_name())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_that_cannot_be_read_keep_no_other_from_being_offered() {
    let (mut plane, data_dir) = (Plane::start().await, TempDir::new().unwrap());
    let dir = data_dir.path().join("spool");
    let files = record_before(&dir);
    let bounds = shadowcat_config::Spool::default();
    let spool = SpoolSettings { dir, node: "edge-1".to_owned(), bounds };
    let member = Member::open(settings(&plane, &data_dir)).unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let gateway = Gateway::waiting().bind(any).operations(any).spool(spool).build().await.unwrap();
    let following = member.start(gateway.control()).await;
    let _node = serve(gateway, following.run());
    let mut shipment = plane.shipment().await;
    for file in &files[..16] {
        fs::remove_file(file).unwrap();
        // It leads to itself.
        symlink(file, file).unwrap();
    }
    shipment.welcome().await;
    let mut offered = Vec::new();
    while offered.len() < 4 {
        offered.push(shipment.offered().await);
    }
    assert_eq!(offered, [17, 18, 19, 20]);
}
