//! Any bytes as a sealed segment, and what they unpack to as lines.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shadowcat_tape::segment::{Contents, Scan, frame_holding, seal, unseal};

/// Small enough that the fuzzer reaches it.
const PLAIN_BYTES_MAX: usize = 256 * 1024;

fuzz_target!(|bytes: &[u8]| {
    let _ = Contents::of_sealed(bytes);
    for offset in [0, 1, bytes.len() as u64, u64::MAX] {
        if let Ok(holding) = frame_holding(bytes, offset) {
            let end = holding.plain_at + holding.plain.len() as u64;
            assert!((holding.plain_at..end).contains(&offset));
        }
    }
    let Ok(unsealed) = unseal(bytes, PLAIN_BYTES_MAX) else { return };
    assert!(unsealed.plain.len() <= PLAIN_BYTES_MAX);
    let _ = Scan::new(&unsealed.plain).summarise();
    let mut again = Vec::new();
    seal(&unsealed.plain, &mut again).expect("there is memory");
    let read = unseal(&again, PLAIN_BYTES_MAX).expect("it is no larger than it was");
    assert!(read.plain == unsealed.plain && read.damage.is_empty() && read.has_table);
});
