//! Any text as a file of a fleet, and as a local one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shadowcat_config::{Config, parse_fleet_in, parse_local_in, print_yaml};

fuzz_target!(|text: &str| {
    let environment = |name: &str| (name == "A").then(|| "a: [\"${A}".to_owned());
    let read = |text: &str| parse_fleet_in(&[("fuzz.yaml".to_owned(), text.to_owned())], &environment);
    let local = parse_local_in(text, "fuzz.yaml", &environment);
    match read(text) {
        Ok(source) => {
            let config = source.config();
            assert!(Config::try_from(config).is_ok());
            let printed = print_yaml(config);
            assert_eq!(read(&printed).expect("printed by us").config(), config, "{printed}");
        }
        Err(refused) => {
            assert!(!refused.entries().is_empty());
            for entry in refused.entries() {
                assert!(entry.message.len() < 1000 && !entry.to_string().contains(char::is_control), "{entry:?}");
            }
        }
    }
    if let Err(refused) = local {
        assert!(!refused.to_string().is_empty());
    }
});
