//! Base URLs of providers: every accepted URL can be called and contains no user name and no password.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signalbox_upstream::{AddressPolicy, Target};

fuzz_target!(|text: &str| {
    if let Ok(target) = Target::parse(text, &AddressPolicy::default()) {
        assert!(!target.authority().contains('@'));
        assert!(target.path("/chat/completions").is_ok());
    }
});
