//! Messages to Bob, from anyone and in his session with Alice. A failure changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost_crypto::{InitialInfo, PairSessions};
use sealpost_fuzz::Person;

fuzz_target!(|data: &[u8]| {
    let _ = InitialInfo::peek(data);
    let (alice, bob) = (Person::alice(), Person::bob());
    for mut pair in [PairSessions::new(alice.remote()), bob.session_with_alice()] {
        let before = pair.to_bytes();
        if pair.decrypt(&mut sealpost_fuzz::rng(), &bob.local(), data, bob).is_err() {
            assert_eq!(pair.to_bytes(), before, "a failed decryption changed the state");
        }
    }
});
