//! Access tokens: only the issued one is accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost_fuzz::{NOW, issued_token, tokens};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    assert_eq!(tokens().check(NOW, text).is_ok(), text == issued_token());
});
