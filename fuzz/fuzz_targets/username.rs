//! Usernames: an accepted name is plain ASCII, folded, and folds to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost_api::username::Username;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(name) = Username::parse(text) {
        assert!(text.is_ascii() && name.as_str() == text.to_ascii_lowercase());
        assert_eq!(Username::parse(name.as_str()).as_ref(), Ok(&name));
    }
});
