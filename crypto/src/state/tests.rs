use proptest::prelude::*;

use super::*;
use crate::test_support::{Person, seeded_rng};

/// Bob's sessions after Alice began two, each with messages skipped, and he answered in the newer.
fn sessions() -> PairSessions {
    let mut rng = seeded_rng(1);
    let (alice, bob) = (Person::new(&mut rng), Person::new(&mut rng));
    let (mut at_alice, mut at_bob) = (PairSessions::new(bob.remote()), PairSessions::new(alice.remote()));
    for one_time in [Some(1), None] {
        at_alice.initiate(&mut rng, &alice.local(), &bob.bundle(one_time)).unwrap();
        for _ in 0..3 {
            at_alice.encrypt(&mut rng, &alice.local(), b"skipped").unwrap();
        }
        let message = at_alice.encrypt(&mut rng, &alice.local(), b"read").unwrap();
        at_bob.decrypt(&mut rng, &bob.local(), &message, &bob).unwrap();
    }
    at_bob.initiate(&mut rng, &bob.local(), &alice.bundle(Some(1))).unwrap();
    at_bob
}

#[test]
fn sessions_survive_their_stored_form() {
    let sessions = sessions();
    let stored = sessions.to_bytes();
    assert_eq!(stored.capacity(), stored.len(), "the length was known, so nothing was copied");
    assert_eq!(PairSessions::from_bytes(&stored).unwrap().to_bytes(), stored);
}

#[test]
fn a_stored_form_cut_short_or_longer_is_damaged() {
    let stored = sessions().to_bytes();
    for len in 0..stored.len() {
        let error = PairSessions::from_bytes(&stored[..len]).unwrap_err();
        assert_eq!(error, StateError::Damaged, "{len} bytes");
    }
    let mut longer = stored.to_vec();
    longer.push(0);
    assert_eq!(PairSessions::from_bytes(&longer).unwrap_err(), StateError::Damaged);
}

#[test]
fn a_newer_format_is_told_from_damage() {
    let mut stored = sessions().to_bytes().to_vec();
    stored[labels::PAIR_SESSIONS_STATE.len()] = FORMAT + 1;
    assert_eq!(PairSessions::from_bytes(&stored).unwrap_err(), StateError::UnknownFormat);
}

/// Stored sessions of this format stay readable: the file was written by the first version.
#[test]
fn sessions_stored_by_the_first_version_are_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/pair_sessions_v1.hex");
    let stored = hex::decode(std::fs::read_to_string(path).unwrap().trim()).unwrap();
    let sessions = PairSessions::from_bytes(&stored).unwrap();
    assert_eq!(sessions.to_bytes().as_slice(), stored);
    assert_eq!((sessions.archived.len(), sessions.base_keys.len()), (2, 2));
    assert!(sessions.has_sending_session());
}

proptest! {
    /// Each form that is read at all is the one form of what was read.
    #[test]
    fn a_changed_byte_is_refused_or_kept(at in any::<usize>(), byte in any::<u8>()) {
        let mut stored = sessions().to_bytes().to_vec();
        let at = at % stored.len();
        stored[at] = byte;
        if let Ok(sessions) = PairSessions::from_bytes(&stored) {
            let again = sessions.to_bytes();
            prop_assert_eq!(again.as_slice(), stored);
        }
    }

    #[test]
    fn reading_any_bytes_never_panics(tail in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let bytes = [labels::PAIR_SESSIONS_STATE, &[FORMAT], &tail].concat();
        prop_assert!(PairSessions::from_bytes(&bytes).is_err());
    }
}
