//! What the vectors don't reach: low-order keys in the last two agreements, and limits that take too long to reach by hand.

use super::*;
use crate::test_support::seeded_rng;

fn zero_key() -> PrekeyPublic {
    PrekeyPublic::unchecked([0; 32])
}

fn pair() -> (Ratchet, Ratchet) {
    let mut rng = seeded_rng(1);
    let signed_prekey = RatchetKeyPair::generate(&mut rng);
    let secret = Zeroizing::new([7; 32]);
    let mut alice = Ratchet::initiate(&mut rng, secret.clone(), signed_prekey.public()).unwrap();
    let mut message = Vec::new();
    alice.seal(b"AD", &mut message, |out| out.extend_from_slice(b"first")).unwrap();
    let (header, sealed) = split(&message);
    let (_, bob) = Responder::new(secret, signed_prekey).open(&mut rng, b"AD", &header, &sealed).unwrap();
    (alice, bob)
}

fn split(message: &[u8]) -> (Header, Vec<u8>) {
    let (header, sealed) = message.split_first_chunk().unwrap();
    (Header::from_bytes(header).unwrap(), sealed.to_vec())
}

/// Rule 2, places 5 and 6: even if a key of low order passed decoding.
#[test]
fn threat_10_a_ratchet_step_with_an_all_zero_secret_is_refused() {
    let mut rng = seeded_rng(2);
    assert!(Ratchet::initiate(&mut rng, Zeroizing::new([7; 32]), &zero_key()).is_err());
    let (alice, bob) = pair();
    let header = Header { ratchet_key: zero_key(), previous_length: 0, number: 0 };
    for ratchet in [alice, bob] {
        assert_eq!(ratchet.open(&mut rng, b"AD", &header, &[0; 32]).err(), Some(OpenError::NonContributory));
    }
}

#[test]
fn a_sending_chain_ends_before_its_counter_overflows() {
    let (mut alice, _) = pair();
    alice.sending_mut().1.next = u32::MAX;
    let mut out = Vec::new();
    assert_eq!(alice.seal(b"AD", &mut out, |_| ()), Err(SealError::ChainExhausted));
    assert!(out.is_empty());
}

#[test]
fn the_last_number_of_a_chain_is_refused_without_overflow() {
    let (mut alice, mut bob) = pair();
    let State::Established(state) = &mut bob.0 else { panic!("bob has received") };
    state.receiving.rest.length = u32::MAX;
    let mut message = Vec::new();
    alice.seal(b"AD", &mut message, |out| out.extend_from_slice(b"x")).unwrap();
    let (mut header, sealed) = split(&message);
    header.number = u32::MAX;
    assert_eq!(bob.open(&mut seeded_rng(3), b"AD", &header, &sealed).err(), Some(OpenError::TooFarAhead));
}

/// How far ahead the message is. Deriving that number of keys takes seconds, which the limit saves.
const FAR_AHEAD: u32 = 1_000_000;

fn stored(ratchet: &Ratchet) -> Vec<u8> {
    let mut bytes = Vec::new();
    ratchet.write(&mut bytes);
    bytes
}

/// The message is authentic: nothing but the limit refuses it, before a key is derived or kept.
#[test]
fn threat_14_a_message_a_million_ahead_is_refused_and_the_state_stays_as_it_was() {
    let (mut alice, bob) = pair();
    let before = stored(&bob);
    let sending = alice.sending_mut().1;
    for _ in 0..FAR_AHEAD {
        sending.key.advance();
    }
    sending.next += FAR_AHEAD;
    let mut message = Vec::new();
    alice.seal(b"AD", &mut message, |out| out.extend_from_slice(b"far ahead")).unwrap();
    let (header, sealed) = split(&message);
    assert_eq!(header.number, FAR_AHEAD + 1);
    let opened = bob.open(&mut seeded_rng(3), b"AD", &header, &sealed);
    assert_eq!(opened.err(), Some(OpenError::TooFarAhead));
    assert!(stored(&bob) == before);
    // Under a ratchet key that is new to Bob, which costs him a key agreement more.
    let header = Header { ratchet_key: *RatchetKeyPair::generate(&mut seeded_rng(4)).public(), ..header };
    assert_eq!(bob.open(&mut seeded_rng(3), b"AD", &header, &sealed).err(), Some(OpenError::TooFarAhead));
    assert!(stored(&bob) == before);
}

/// The sender can't have sent fewer than we received; a chain's end is then where we saw it.
#[test]
fn a_previous_length_below_what_was_received_skips_nothing() {
    let (mut alice, mut bob) = pair();
    let mut rng = seeded_rng(4);
    let mut reply = Vec::new();
    bob.seal(b"AD", &mut reply, |out| out.extend_from_slice(b"reply")).unwrap();
    let (header, sealed) = split(&reply);
    let (_, step) = alice.open(&mut rng, b"AD", &header, &sealed).unwrap();
    alice.commit(step);
    alice.sending_mut().1.previous_length = 0;
    let mut message = Vec::new();
    alice.seal(b"AD", &mut message, |out| out.extend_from_slice(b"next")).unwrap();
    let (header, sealed) = split(&message);
    let (plaintext, step) = bob.open(&mut rng, b"AD", &header, &sealed).unwrap();
    assert_eq!(plaintext.as_slice(), b"next");
    bob.commit(step);
    let State::Established(state) = &bob.0 else { panic!("bob has received") };
    let past = state.past.iter().next().unwrap();
    assert_eq!((past.length, past.keys.len()), (1, 0));
}

/// A message of a later state can't be committed to by accident: a failed opening makes no step at all.
#[test]
fn a_message_with_other_associated_data_is_refused() {
    let (mut alice, bob) = pair();
    let mut message = Vec::new();
    alice.seal(b"AD", &mut message, |out| out.extend_from_slice(b"x")).unwrap();
    let (header, sealed) = split(&message);
    let error = bob.open(&mut seeded_rng(5), b"other", &header, &sealed).err();
    assert_eq!(error, Some(OpenError::AuthenticationFailed));
}
