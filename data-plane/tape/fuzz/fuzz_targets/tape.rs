//! Any bytes as the manifest of a tape, beside others as its segments, sealed and open.

#![no_main]

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use shadowcat_tape::tape::{BLOBS, MANIFEST, PROBLEMS_MAX, TapeReader, validate};

/// The one tape of this process.
static TAPE: LazyLock<PathBuf> = LazyLock::new(|| {
    let tape = std::env::temp_dir().join(format!("fuzz-{}.tape", std::process::id()));
    fs::create_dir_all(tape.join(BLOBS)).expect("a place for a tape");
    tape
});

/// Ends the manifest in what the fuzzer makes up: JSON holds none.
const END: u8 = 0;

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|byte| *byte == END).unwrap_or(bytes.len());
    let (manifest, rest) = (&bytes[..end], &bytes[(end + 1).min(bytes.len())..]);
    fs::write(TAPE.join(MANIFEST), manifest).expect("there is room");
    for name in ["seg-000000.jsonl.zst", "seg-000000.jsonl", "seg-000001.jsonl"] {
        fs::write(TAPE.join(name), rest).expect("there is room");
    }
    let report = validate(&TAPE);
    assert!(report.problems.len() <= PROBLEMS_MAX);
    let Ok(reader) = TapeReader::open(&TAPE) else {
        assert!(!report.is_ok(), "what cannot be opened is told");
        return;
    };
    let mut records = 0;
    let read = reader.each(|found| {
        records += u64::from(matches!(found, shadowcat_tape::segment::Found::Record(_)));
        ControlFlow::Continue(())
    });
    match read {
        Ok(summary) => assert_eq!(summary.records, records),
        Err(_) => assert!(!report.is_ok(), "what cannot be read is told"),
    }
});
