//! `shadowcat tape validate` of a spool: what is being written, or was shipped, is no damage, and everything else is.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use shadowcat_cli::tapes::{Place, State, judge};
use shadowcat_tape::record::{Gap, Kind, Record};

use crate::recorded::{Home, INSTANCE, change, head, image, line, names, segments, zstd_of_spaces};
use crate::support::tape_in;
use crate::tape_validate::{DAMAGED, WHOLE, says};

/// Segments that go while a spool is read: as many as go in a fraction of a second, and as there are chances to be wrong.
const SHIPPED: u64 = 200;

#[tokio::test]
async fn a_spool_in_use_is_whole_and_what_is_shipped_is_no_loss() {
    let home = Home::new();
    let node = home.spool("spool");
    says(&node.path, WHOLE, &["spool: open", "1 message kept apart"]).await;
    let oldest = node.shelf.oldest(1).remove(0);
    node.shelf.remove(&oldest.id).expect("removed");
    says(&node.path, WHOLE, &["spool: open"]).await;
    let path = node.stop();
    says(&path, WHOLE, &["spool: whole"]).await;
    segments(&path).into_iter().for_each(|segment| fs::remove_file(segment).expect("removed"));
    says(&path, WHOLE, &["no segment: everything is shipped, or nothing was recorded"]).await;
}

#[tokio::test]
async fn a_segment_missing_from_the_middle_is_lost_unless_the_recording_says_that_it_was_dropped() {
    let home = Home::new();
    let path = home.spool("spool").stop();
    let lost = segments(&path).remove(1);
    fs::remove_file(lost).expect("removed");
    says(&path, DAMAGED, &[&format!("segment 2 of {INSTANCE}: not here"), "records are lost"]).await;
    let later = "cd".repeat(16);
    let gap = Gap {
        why: "spool_full".into(),
        frames: Some(2),
        instance: Some(INSTANCE.into()),
        segments: Some((2, 2)),
        ..Gap::default()
    };
    let told = line(&Record { k: Kind::Gap, seq: 1, gap: Some(gap), ..Record::default() });
    fs::write(path.join(format!("{later}-0000000001.jsonl")), told).expect("written");
    says(&path, WHOLE, &["2 frames are missing before it (spool_full)"]).await;
}

#[tokio::test]
async fn records_that_a_gap_counts_are_no_damage_and_others_are() {
    let home = Home::new();
    for (seq, words) in [(5, "2 records before record 5 are missing"), (4, "")] {
        let spool = home.join(&format!("spool-{seq}"));
        fs::create_dir(&spool).expect("a directory");
        let gap = Gap { why: "disk_failed".into(), frames: Some(1), ..Gap::default() };
        let mut plain = head((1, 0));
        plain.extend(line(&Record { k: Kind::Stderr, seq: 2, ..Record::default() }));
        plain.extend(line(&Record { k: Kind::Gap, seq, gap: Some(gap), ..Record::default() }));
        fs::write(spool.join(format!("{INSTANCE}-0000000001.jsonl")), plain).expect("written");
        says(&spool, if words.is_empty() { WHOLE } else { DAMAGED }, &[words]).await;
    }
}

#[tokio::test]
async fn a_torn_end_is_being_written_until_its_writer_is_known_to_be_dead() {
    let home = Home::new();
    let path = home.spool("spool").die();
    let open = names(&path).into_iter().find(|name| name.ends_with(".jsonl")).expect("an open segment");
    let mut file = OpenOptions::new().append(true).open(path.join(&open)).expect("opened");
    file.write_all(b"{\"k\":\"msg\",\"se").expect("written");
    says(&path, WHOLE, &["spool: open"]).await;
    file.set_modified(SystemTime::now() - Duration::from_secs(3600)).expect("set");
    let words = ["the line does not end with a checksum; its writer died", "was never sealed", &open];
    says(&path, DAMAGED, &words).await;
}

#[tokio::test]
async fn a_spool_is_damaged_by_a_changed_line_and_a_missing_message() {
    let home = Home::new();
    let path = home.spool("spool").die();
    let open = names(&path).into_iter().find(|name| name.ends_with(".jsonl")).expect("an open segment");
    change(&path.join(&open), |bytes| bytes[20] ^= 1);
    says(&path, DAMAGED, &[&open, "no record: the checksum is"]).await;
    let other = home.spool("other").stop();
    let blob = names(&other).into_iter().find(|name| name.ends_with(".blob.zst")).expect("a message kept apart");
    fs::remove_file(other.join(&blob)).expect("removed");
    says(&other, DAMAGED, &["the message of record", "it is not there"]).await;
    let packed = home.spool("packed").stop();
    fs::write(packed.join(&blob), zstd_of_spaces(100 << 20)).expect("written");
    says(&packed, DAMAGED, &["unpacks to more than"]).await;
}

#[tokio::test]
async fn what_a_node_set_aside_is_named_and_no_spool_is_whole_with_it() {
    let home = Home::new();
    let path = home.spool("spool").stop();
    let all = segments(&path);
    let set_aside = |segment: &Path| {
        let name = segment.with_added_extension("unreadable");
        fs::rename(segment, &name).expect("renamed");
        name.file_name().expect("a name").to_string_lossy().into_owned()
    };
    // The first one: nothing before it shows that it is missing.
    let name = set_aside(&all[0]);
    says(&path, DAMAGED, &["spool: damaged", &format!("{name}: the node could not read it")]).await;
    all[1..].iter().for_each(|segment| _ = set_aside(segment));
    says(&path, DAMAGED, &["spool: damaged", "0 segments"]).await;
    fs::remove_file(path.join("lock")).expect("removed");
    let listed = tape_in(home.path(), home.path(), &["list", "-o", "jsonl", "."]).await;
    assert!(listed.stdout.contains("\"state\":\"damaged\"") && listed.stdout.contains(&name), "{listed:?}");
}

#[test]
fn a_spool_that_is_written_and_shipped_while_it_is_read_is_never_damaged() {
    let home = Home::new();
    let mut node = home.spool("spool");
    let place = Place::at(&node.path).expect("a spool");
    let shelf = Arc::clone(&node.shelf);
    let shipped = AtomicU64::new(0);
    let is_over = || shipped.load(Ordering::Relaxed) >= SHIPPED;
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut at = 6_000_000;
            while !is_over() {
                at += 1_000;
                let padding = format!("{{\"padding\":\"{}\"}}", "x".repeat(300));
                let message = if at % 50_000 == 0 { image() } else { padding };
                node.append(Record { t: at, tape: Some("busy".into()), ..Record::default() }, Some(&message));
            }
        });
        threads.spawn(|| {
            while !is_over() {
                // Some stay, so that there is something to read.
                if let [oldest, _, _, _, ..] = shelf.oldest(4).as_slice() {
                    shelf.remove(&oldest.id).expect("removed");
                    shipped.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::yield_now();
            }
        });
        let mut judged = Vec::new();
        while !is_over() {
            judged.push(judge(&place, SystemTime::now()).expect("readable"));
        }
        // All that was listed may be shipped before it is read.
        for judgement in judged {
            assert!(judgement.state != State::Damaged, "{judgement:?}");
        }
    });
    let rest = judge(&place, SystemTime::now()).expect("readable");
    assert!(rest.tally.frames > 0 && rest.state != State::Damaged, "{rest:?}");
}
