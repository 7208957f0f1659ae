//! Every way in which a message is refused: each breaks one check, and leaves the sessions as they were.

use super::*;
use crate::ratchet::TAG_LEN;

/// Where the fields of an initial message with a one-time prekey lie.
const IDENTITY: usize = 2;
const BASE_KEY: usize = 34;
const SIGNED_PREKEY_ID: usize = 66;
const ONE_TIME_PREKEY_ID: usize = 71;
const LIST: usize = 77;
/// Where a ratchet message's header lies.
const HEADER: usize = 2;

fn put(message: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut changed = message.to_vec();
    changed[at..at + bytes.len()].copy_from_slice(bytes);
    changed
}

#[test]
fn bytes_that_are_no_message_are_refused() {
    let mut two = Two::begun(30);
    let message = two.alice_sends(b"hello");
    two.bob_refuses(&[], DecryptError::Malformed);
    two.bob_refuses(&put(&message, 0, &[2]), DecryptError::UnsupportedVersion);
    two.bob_refuses(&put(&message, 1, &[3]), DecryptError::Malformed);
    two.bob_refuses(&put(&message, 70, &[2]), DecryptError::Malformed);
    two.bob_refuses(&vec![1; MESSAGE_MAX_BYTES + 1], DecryptError::Malformed);
    let header_end = message.len() - TAG_LEN - 256;
    for len in 0..header_end + TAG_LEN {
        two.bob_refuses(&message[..len], DecryptError::Malformed);
    }
    for len in header_end + TAG_LEN..message.len() {
        two.bob_refuses(&message[..len], DecryptError::AuthenticationFailed);
    }
}

/// Every bit of a message counts, those of the initial header too.
#[test]
fn a_message_with_any_flipped_bit_is_refused() {
    for initial in [true, false] {
        let mut two = if initial { Two::begun(31) } else { Two::settled(31) };
        let message = two.alice_sends(b"hello");
        let headers = message.len() - TAG_LEN - 256;
        for bit in (0..headers * 8).chain([message.len() * 8 - 200, message.len() * 8 - 1]) {
            let mut changed = message.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(two.bob_reads(&changed).is_err(), "bit {bit}");
        }
        assert_eq!(two.bob_reads(&message), Ok(b"hello".to_vec()));
    }
}

/// Rule 2, at the places that an initial message's recipient computes: DH2, DH3 and DH4 take the base key, DH1 the
/// identity key, and both ratchet steps the header's key.
#[test]
fn threat_10_keys_of_low_order_or_with_a_second_encoding_are_refused_in_every_field() {
    let zero = [0; 32];
    let mut one = zero;
    one[0] = 1;
    let mut p = [0xff; 32];
    (p[0], p[31]) = (0xed, 0x7f);
    let mut minus_one = p;
    minus_one[0] = 0xec;
    let low_order = DecryptError::BadKey(PrekeyError::LowOrder);
    let not_canonical = DecryptError::BadKey(PrekeyError::NotCanonical);

    let mut two = Two::begun(32);
    let initial = two.alice_sends(b"hello");
    let header = initial.len() - TAG_LEN - 256 - Header::LEN;
    for at in [BASE_KEY, header] {
        for key in [zero, one, minus_one] {
            two.bob_refuses(&put(&initial, at, &key), low_order);
        }
        two.bob_refuses(&put(&initial, at, &p), not_canonical);
        two.bob_refuses(&put(&initial, at, &[0xff; 32]), not_canonical);
    }
    // The identity is the pinned one or refused; a pinned one was decoded strictly.
    for key in [zero, one, minus_one, p] {
        two.bob_refuses(&put(&initial, IDENTITY, &key), DecryptError::IdentityMismatch);
        assert!(matches!(
            crate::InitialInfo::peek(&put(&initial, IDENTITY, &key)),
            Err(crate::MessageError::BadIdentityKey(_))
        ));
    }
    let mut two = Two::settled(32);
    let message = two.alice_sends(b"hello");
    for key in [zero, one, minus_one] {
        two.bob_refuses(&put(&message, HEADER, &key), low_order);
    }
    two.bob_refuses(&put(&message, HEADER, &p), not_canonical);
}

#[test]
fn an_initial_message_under_another_identity_is_refused() {
    let mut two = Two::begun(33);
    let mallory = Person::new(&mut seeded_rng(50));
    let message = two.alice_sends(b"hello");
    // Alice's message as if from Mallory, and Mallory's list in Alice's message.
    let mut at_bob = PairSessions::new(mallory.remote());
    let outcome = at_bob.decrypt(&mut two.rng, &two.bob.local(), &message, &two.bob);
    assert_eq!(outcome.unwrap_err(), DecryptError::IdentityMismatch);
    two.bob_refuses(&put(&message, IDENTITY, mallory.identity.public().as_bytes()), DecryptError::IdentityMismatch);
    two.bob_refuses(&put(&message, LIST, mallory.list.encoded()), DecryptError::IdentityMismatch);
    let mut forged = two.alice.list.encoded().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let error = crate::DeviceListError::Signature;
    two.bob_refuses(&put(&message, LIST, &forged), DecryptError::BadDeviceList(error));
}

/// The account's key and ids are bound into the secret's associated data, not only looked at.
#[test]
fn threat_12_a_message_for_another_pair_of_addresses_does_not_authenticate() {
    let mut two = Two::begun(34);
    let message = two.alice_sends(b"hello");
    let mut remade = two.bob.local();
    remade.address.registration = crate::RegistrationId::from_bytes([7; 32]);
    let outcome = two.at_bob.decrypt(&mut two.rng, &remade, &message, &two.bob);
    assert_eq!(outcome.unwrap_err(), DecryptError::AuthenticationFailed);
    let mut other_account = two.bob.local();
    other_account.account_identity = two.alice.account.public();
    let outcome = two.at_bob.decrypt(&mut two.rng, &other_account, &message, &two.bob);
    assert_eq!(outcome.unwrap_err(), DecryptError::AuthenticationFailed);
}

/// T-MALLORY-5: an initial message delivered to someone else is worth nothing there.
#[test]
fn a_message_delivered_to_the_wrong_person_is_refused() {
    let mut two = Two::begun(35);
    let message = two.alice_sends(b"hello");
    let carol = Person::new(&mut seeded_rng(51));
    let mut at_carol = PairSessions::new(two.alice.remote());
    let outcome = at_carol.decrypt(&mut two.rng, &carol.local(), &message, &carol);
    assert_eq!(outcome.unwrap_err(), DecryptError::AuthenticationFailed);
    // A message of our own that comes back.
    let outcome = two.at_alice.decrypt(&mut two.rng, &two.alice.local(), &message, &two.alice);
    assert_eq!(outcome.unwrap_err(), DecryptError::IdentityMismatch);
}

#[test]
fn a_list_without_the_sending_device_is_refused() {
    let mut two = Two::begun(36);
    let message = two.alice_sends(b"hello");
    let mut devices = two.alice.list.devices().to_vec();
    devices[0].registration = crate::RegistrationId::from_bytes([7; 32]);
    let body = DeviceListBody { devices, ..two.alice.list.body().clone() };
    let other = DeviceList::sign(&two.alice.account, body).unwrap();
    two.bob_refuses(&put(&message, LIST, other.encoded()), DecryptError::IdentityMismatch);
}

#[test]
fn prekeys_that_are_not_ours_are_named() {
    let mut two = Two::begun(37);
    let message = two.alice_sends(b"hello");
    let unknown = 99u32.to_be_bytes();
    two.bob_refuses(&put(&message, SIGNED_PREKEY_ID, &unknown), DecryptError::UnknownSignedPrekey(SignedPrekeyId(99)));
    two.bob.one_time_prekeys.remove(&OneTimePrekeyId(1));
    two.bob_refuses(&message, DecryptError::UnknownOneTimePrekey(OneTimePrekeyId(1)));
    two.bob_refuses(
        &put(&message, ONE_TIME_PREKEY_ID, &unknown),
        DecryptError::UnknownOneTimePrekey(OneTimePrekeyId(99)),
    );
}

#[test]
fn a_message_of_no_session_is_refused() {
    let mut two = Two::settled(38);
    let message = two.alice_sends(b"hello");
    two.at_bob = PairSessions::new(two.alice.remote());
    two.bob_refuses(&message, DecryptError::UnknownSession);
    let mut two = Two::settled(39);
    two.bob_refuses(&message, DecryptError::AuthenticationFailed);
}

#[test]
fn a_thousand_messages_may_be_skipped_and_one_more_may_not() {
    let mut two = Two::settled(40);
    for _ in 0..1_000 {
        two.alice_sends(b"lost");
    }
    let mut early = PairSessions::from_bytes(&two.at_bob.to_bytes()).unwrap();
    let in_time = two.alice_sends(b"in time");
    let too_late = two.alice_sends(b"too late");
    let before = early.to_bytes();
    let outcome = early.decrypt(&mut two.rng, &two.bob.local(), &too_late, &two.bob);
    assert_eq!(outcome.unwrap_err(), DecryptError::TooFarAhead);
    assert!(early.to_bytes() == before);
    assert_eq!(two.bob_reads(&in_time), Ok(b"in time".to_vec()));
    assert_eq!(two.bob_reads(&too_late), Ok(b"too late".to_vec()));
}

/// `N` and `PN` as large as they get: refused before anything is derived, and nothing overflows.
#[test]
fn counters_at_their_limit_are_refused() {
    let mut two = Two::settled(41);
    let fresh = two.alice_sends(b"hello");
    let (length, number) = (HEADER + 32, HEADER + 36);
    for largest in [1_001u32, u32::MAX] {
        two.bob_refuses(&put(&fresh, number, &largest.to_be_bytes()), DecryptError::TooFarAhead);
    }
    two.bob_refuses(&put(&fresh, length, &u32::MAX.to_be_bytes()), DecryptError::AuthenticationFailed);
    two.bob_reads(&fresh).unwrap();
    let next = two.alice_sends(b"next");
    two.bob_refuses(&put(&next, number, &u32::MAX.to_be_bytes()), DecryptError::TooFarAhead);
    two.bob_refuses(&put(&next, number, &5u32.to_be_bytes()), DecryptError::AuthenticationFailed);
}

#[test]
fn a_chain_that_lost_more_than_a_thousand_is_refused_at_its_end() {
    let mut two = Two::settled(42);
    let first = two.alice_sends(b"first");
    two.bob_reads(&first).unwrap();
    for _ in 0..1_001 {
        two.alice_sends(b"lost");
    }
    let reply = two.bob_sends(b"reply");
    two.alice_reads(&reply).unwrap();
    let next_chain = two.alice_sends(b"next chain");
    two.bob_refuses(&next_chain, DecryptError::TooFarAhead);
}

#[test]
fn skipped_keys_are_bounded_and_the_oldest_go_first() {
    let mut two = Two::settled(43);
    let mut messages = vec![];
    for _ in 0..3 {
        for _ in 0..1_000 {
            messages.push(two.alice_sends(b"late"));
        }
        let newest = two.alice_sends(b"newest");
        two.bob_reads(&newest).unwrap();
    }
    assert!(two.at_bob.to_bytes().len() < 2_000 * 36 + 2_000);
    two.bob_refuses(&messages[999], DecryptError::MessageKeyForgotten);
    two.bob_reads(&messages[1_000]).unwrap();
    two.bob_refuses(&messages[1_000], DecryptError::DuplicateMessage);
    two.bob_reads(&messages[2_999]).unwrap();
}

#[test]
fn a_message_from_five_chains_ago_decrypts_and_is_known_again() {
    let mut two = Two::settled(44);
    let mut late = vec![];
    for round in 0..6u8 {
        late.push(two.alice_sends(&[round]));
        let newest = two.alice_sends(b"newest");
        two.bob_reads(&newest).unwrap();
        let reply = two.bob_sends(b"reply");
        two.alice_reads(&reply).unwrap();
    }
    let last = two.alice_sends(b"last");
    two.bob_reads(&last).unwrap();
    // The current chain and five before it are remembered; late[0] is from the sixth before.
    two.bob_refuses(&late[0], DecryptError::AuthenticationFailed);
    for (round, message) in late.iter().enumerate().skip(1) {
        assert_eq!(two.bob_reads(message), Ok(vec![u8::try_from(round).unwrap()]));
        two.bob_refuses(message, DecryptError::DuplicateMessage);
    }
}

/// A peer's faulty program, not an attacker: the message is authentic.
#[test]
fn an_authentic_message_with_wrong_padding_is_refused_and_changes_nothing() {
    let mut two = Two::settled(45);
    let session = two.at_alice.active.as_mut().unwrap();
    let mut message = vec![1, 2];
    let unpadded = |out: &mut Vec<u8>| out.extend_from_slice(b"not padded");
    session.ratchet.seal(&session.associated_data, &mut message, unpadded).unwrap();
    two.bob_refuses(&message, DecryptError::BadPadding);
    let next = two.alice_sends(b"padded");
    assert_eq!(two.bob_reads(&next), Ok(b"padded".to_vec()));
}
