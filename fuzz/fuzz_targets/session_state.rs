//! Stored sessions: sessions that can be read are written back unchanged, and can be used without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost_crypto::PairSessions;
use sealpost_fuzz::Person;

fuzz_target!(|data: &[u8]| {
    let Ok(mut pair) = PairSessions::from_bytes(data) else { return };
    let bytes = pair.to_bytes();
    assert!(PairSessions::from_bytes(&bytes).is_ok_and(|again| again.to_bytes() == bytes));
    let bob = Person::bob();
    let _ = pair.encrypt(&mut sealpost_fuzz::rng(), &bob.local(), b"x");
    let before = pair.to_bytes();
    if pair.decrypt(&mut sealpost_fuzz::rng(), &bob.local(), data, bob).is_err() {
        assert_eq!(pair.to_bytes(), before, "a failed decryption changed the state");
    }
});
