//! Any bytes as the canonical form of a version, as a node receives it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message;
use shadowcat_config::{Config, canonical, diff, mask, parse_fleet_in, print_yaml, resource_digests};
use shadowcat_proto::config::v1 as raw;

fuzz_target!(|bytes: &[u8]| {
    let Ok(config) = raw::Config::decode(bytes) else { return };
    assert_eq!(raw::Config::decode(&*canonical(&config)).as_ref(), Ok(&config));
    assert!(diff(&config, &config).is_empty());
    let _ = (resource_digests(&config), mask(&config));
    let printed = print_yaml(&config);
    if Config::try_from(&config).is_ok() {
        let read = parse_fleet_in(&[(String::new(), printed.clone())], &|_| None).expect("valid, and printed by us");
        assert_eq!(read.config(), &config, "{printed}");
    }
});
