use tempfile::TempDir;

use super::*;
use crate::fleet::testing::version;

/// A directory as a node left it that ran each of these versions and then stopped in order.
fn left_by(versions: &[&(ConfigRef, Bytes)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(directory.path()).unwrap();
    for (version, canonical) in versions {
        disk.trial(version).unwrap();
        disk.save(version, canonical).unwrap();
        disk.end_of_trial().unwrap();
    }
    directory
}

fn first(directory: &TempDir) -> Option<(ConfigRef, Bytes)> {
    Disk::open(directory.path()).unwrap().next()
}

/// Makes `file` one that nobody can write, not even root, whom no mode keeps from it.
fn block(directory: &TempDir, file: &str) {
    let path = directory.path().join("config").join(file);
    let _ = fs::remove_file(&path);
    if file == "lock" {
        std::os::unix::fs::symlink("nowhere/at/all", path).unwrap();
    } else {
        fs::create_dir(path).unwrap();
    }
}

fn names(directory: &TempDir, extension: &str) -> Vec<String> {
    let files = with_extension(&directory.path().join("config"), extension).unwrap();
    let mut names: Vec<_> = files.iter().map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_node_starts_from_what_it_ran_last_whatever_its_number() {
    let (old, new) = (version(1, "/old"), version(7, "/new"));
    assert_eq!(first(&left_by(&[])), None);
    assert_eq!(first(&left_by(&[&old, &new])), Some(new.clone()));
    // A database that was restored counts from a lower number.
    assert_eq!(first(&left_by(&[&new, &old])), Some(old));
}

#[test]
fn the_current_version_and_two_others_are_kept() {
    let versions: Vec<_> = (1..8).map(|number| version(number, &format!("/{number}"))).collect();
    let directory = left_by(&versions.iter().collect::<Vec<_>>());
    let kept: Vec<_> = versions[4..].iter().map(|(version, _)| stem(version)).collect();
    assert_eq!(names(&directory, SNAPSHOT), kept);
}

#[test]
fn what_has_proven_itself_stays_among_those_kept() {
    let versions: Vec<_> = (1..8).map(|number| version(number, &format!("/{number}"))).collect();
    let directory = left_by(&[&versions[0]]);
    let mut disk = Disk::open(directory.path()).unwrap();
    disk.proven(&versions[0].0).unwrap();
    for (version, canonical) in &versions[1..] {
        disk.save(version, canonical).unwrap();
    }
    assert_eq!(
        names(&directory, SNAPSHOT),
        [&versions[0], &versions[5], &versions[6]].map(|(version, _)| stem(version))
    );
}

#[test]
fn a_snapshot_cut_anywhere_is_set_aside_and_the_one_before_it_served() {
    let (old, new) = (version(1, "/old"), version(2, "/new"));
    let directory = left_by(&[&old, &new]);
    let file = directory.path().join("config").join(format!("{}.snapshot", stem(&new.0)));
    let whole = fs::read(&file).unwrap();
    for length in 0..whole.len() {
        fs::write(&file, &whole[..length]).unwrap();
        assert_eq!(first(&directory).as_ref(), Some(&old), "cut at {length}");
        assert_eq!(names(&directory, BAD), [stem(&new.0)]);
    }
}

#[test]
fn no_bit_of_a_snapshot_can_flip_unseen() {
    let (old, new) = (version(1, "/old"), version(2, "/new"));
    let directory = left_by(&[&old, &new]);
    let file = directory.path().join("config").join(format!("{}.snapshot", stem(&new.0)));
    let whole = fs::read(&file).unwrap();
    for byte in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[byte] ^= 1 << (byte % 8);
        fs::write(&file, flipped).unwrap();
        assert_eq!(first(&directory).as_ref(), Some(&old), "byte {byte}");
    }
}

#[test]
fn a_start_goes_on_whatever_became_of_the_memory_of_starts() {
    let (old, new) = (version(1, "/old"), version(2, "/new"));
    let directory = left_by(&[&old, &new]);
    let file = directory.path().join("config").join("boots");
    let whole = fs::read(&file).unwrap();
    let mut broken: Vec<Vec<u8>> = (0..whole.len()).map(|length| whole[..length].to_vec()).collect();
    broken.extend((0..whole.len()).map(|byte| {
        let mut flipped = whole.clone();
        flipped[byte] ^= 1 << (byte % 8);
        flipped
    }));
    for boots in broken {
        fs::write(&file, &boots).unwrap();
        let mut disk = Disk::open(directory.path()).unwrap();
        let started = disk.next().expect("there is something to start from");
        assert!(started == old || started == new, "{}", String::from_utf8_lossy(&boots));
        assert!(disk.reverted().is_none() && disk.refused().is_empty());
    }
}

#[test]
fn with_nothing_whole_a_node_starts_with_nothing() {
    let (old, new) = (version(1, "/old"), version(2, "/new"));
    let directory = left_by(&[&old, &new]);
    for stem in names(&directory, SNAPSHOT) {
        fs::write(directory.path().join("config").join(format!("{stem}.snapshot")), b"garbage").unwrap();
    }
    assert_eq!(first(&directory), None);
    assert_eq!(names(&directory, BAD).len(), 2);
}

#[test]
fn a_snapshot_of_a_newer_program_is_left_where_it_is() {
    let one = version(1, "/one");
    let directory = left_by(&[&one]);
    let file = directory.path().join("config").join(format!("{}.snapshot", stem(&one.0)));
    let mut newer = fs::read(&file).unwrap();
    newer[11] = 2;
    fs::write(&file, newer).unwrap();
    assert_eq!(first(&directory), None);
    assert_eq!((names(&directory, BAD).len(), names(&directory, SNAPSHOT).len()), (0, 1));
}

/// A node that has version 1 proven and dies each time it touches version 2.
fn deadly() -> (TempDir, [(ConfigRef, Bytes); 2]) {
    let versions = [version(1, "/good"), version(2, "/deadly")];
    let directory = left_by(&[&versions[0]]);
    Disk::open(directory.path()).unwrap().proven(&versions[0].0).unwrap();
    (directory, versions)
}

#[test]
fn a_version_that_kills_the_process_twice_is_not_run_again() {
    let (directory, [good, bad]) = deadly();
    let mut disk = Disk::open(directory.path()).unwrap();
    disk.trial(&bad.0).unwrap();
    disk.save(&bad.0, &bad.1).unwrap();
    drop(disk);

    // The first death may have had another reason.
    let mut disk = Disk::open(directory.path()).unwrap();
    assert_eq!((disk.next(), disk.reverted()), (Some(bad.clone()), None));
    disk.trial(&bad.0).unwrap();
    drop(disk);

    let mut disk = Disk::open(directory.path()).unwrap();
    assert_eq!((disk.next(), disk.reverted()), (Some(good.clone()), Some(&bad.0)));
    disk.trial(&good.0).unwrap();
    disk.end_of_trial().unwrap();
    drop(disk);

    // It stays refused, and is reported once.
    let mut disk = Disk::open(directory.path()).unwrap();
    assert_eq!((disk.next(), disk.reverted(), disk.refused()), (Some(good), None, &[bad.0][..]));
}

#[test]
fn a_version_from_the_control_plane_that_kills_before_it_is_on_disk_is_found_out_too() {
    let (directory, [good, bad]) = deadly();
    for deaths in 0..2 {
        let mut disk = Disk::open(directory.path()).unwrap();
        assert_eq!((disk.next(), disk.reverted()), (Some(good.clone()), None), "{deaths}");
        // What is on disk is served at once, and then the deadly one comes again.
        disk.trial(&good.0).unwrap();
        disk.trial(&bad.0).unwrap();
    }
    let disk = Disk::open(directory.path()).unwrap();
    assert_eq!(disk.reverted(), Some(&bad.0));
}

#[test]
fn a_version_that_ran_for_a_while_begins_with_a_clean_slate() {
    let (directory, [_, bad]) = deadly();
    for _ in 0..4 {
        let mut disk = Disk::open(directory.path()).unwrap();
        assert_eq!(disk.reverted(), None);
        disk.trial(&bad.0).unwrap();
        disk.survived(&bad.0).unwrap();
        disk.trial(&bad.0).unwrap();
    }
}

#[test]
fn without_anything_proven_a_node_tries_again() {
    let only = version(1, "/only");
    let directory = left_by(&[&only]);
    for _ in 0..5 {
        let mut disk = Disk::open(directory.path()).unwrap();
        assert_eq!((disk.next(), disk.reverted()), (Some(only.clone()), None));
        disk.trial(&only.0).unwrap();
    }
}

#[test]
fn two_nodes_do_not_share_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let _held = Disk::open(directory.path()).unwrap();
    let told = Disk::open(directory.path()).unwrap_err().to_string();
    assert!(told.contains("in use by another data plane: give each its own --data-dir"), "{told}");
}

#[test]
fn a_disk_that_takes_nothing_keeps_no_node_from_what_is_on_it() {
    let one = version(1, "/one");
    for file in ["boots", "lock"] {
        let directory = left_by(&[&one]);
        block(&directory, file);
        let mut disk = Disk::open(directory.path()).unwrap();
        assert_eq!(disk.next(), Some(one.clone()), "{file}");
    }
}

#[test]
fn a_disk_that_takes_nothing_and_has_nothing_to_start_from_is_told_with_the_cure() {
    let one = version(1, "/one");
    let empty = left_by(&[]);
    let damaged = left_by(&[&one]);
    fs::write(damaged.path().join("config").join(format!("{}.snapshot", stem(&one.0))), b"garbage").unwrap();
    for (directory, file) in [(&empty, "boots"), (&damaged, "boots"), (&empty, "lock"), (&damaged, "lock")] {
        block(directory, file);
        let told = Disk::open(directory.path()).unwrap_err().to_string();
        assert!(told.contains(&format!("config/{file}: ")), "{told}");
        assert!(told.contains("make room there and let this user write, or give another directory"), "{told}");
    }
}

#[test]
fn a_version_found_out_where_no_note_can_be_made_is_found_out_at_each_start() {
    let (directory, [good, bad]) = deadly();
    for _ in 0..2 {
        Disk::open(directory.path()).unwrap().trial(&bad.0).unwrap();
    }
    // As it is on a full disk: the last note stays, and no other can be made.
    fs::create_dir(directory.path().join("config/boots.tmp")).unwrap();
    for _ in 0..3 {
        let mut disk = Disk::open(directory.path()).unwrap();
        assert_eq!((disk.next(), disk.reverted()), (Some(good.clone()), Some(&bad.0)));
    }
}

#[test]
fn a_lock_that_cannot_be_written_is_held_all_the_same() {
    let directory = left_by(&[&version(1, "/one")]);
    fs::remove_file(directory.path().join("config/lock")).unwrap();
    // What can be opened for reading alone, whoever asks.
    fs::create_dir(directory.path().join("config/lock")).unwrap();
    let _held = Disk::open(directory.path()).unwrap();
    assert!(matches!(Disk::open(directory.path()), Err(DiskError::InUse { .. })));
}

#[test]
fn a_directory_that_cannot_be_written_is_told_with_the_cure() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("config"), b"a file").unwrap();
    let told = Disk::open(directory.path()).unwrap_err().to_string();
    assert!(told.contains("give another directory with --data-dir"), "{told}");
}
