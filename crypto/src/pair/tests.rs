use super::*;
use crate::message::MESSAGE_MAX_BYTES;
use crate::prekey::PrekeyError;
use crate::ratchet::Header;
use crate::test_support::{NOW, Person, seeded_rng};
use crate::{BundleError, DeviceListBody, PrekeyBundle, SignedPrekeyError};

mod rejection;
mod schedule;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Alice,
    Bob,
}

/// Two people who have verified each other's lists.
struct Two {
    alice: Person,
    bob: Person,
    at_alice: PairSessions,
    at_bob: PairSessions,
    /// Whose last message said that a new session is needed.
    needs_new_session: Option<Side>,
    rng: Box<dyn rand_core::CryptoRng>,
}

impl Two {
    fn new(seed: u64) -> Self {
        let mut rng = seeded_rng(seed);
        let (alice, bob) = (Person::new(&mut rng), Person::new(&mut rng));
        let (at_alice, at_bob) = (PairSessions::new(bob.remote()), PairSessions::new(alice.remote()));
        Self { alice, bob, at_alice, at_bob, needs_new_session: None, rng: Box::new(rng) }
    }

    /// Alice has begun a session with Bob's one-time prekey 1.
    fn begun(seed: u64) -> Self {
        let mut two = Self::new(seed);
        two.alice_begins(Some(1));
        two
    }

    /// Both have decrypted a message of the other.
    fn settled(seed: u64) -> Self {
        let mut two = Self::begun(seed);
        let first = two.alice_sends(b"first");
        two.bob_reads(&first).unwrap();
        let reply = two.bob_sends(b"reply");
        two.alice_reads(&reply).unwrap();
        two
    }

    fn alice_begins(&mut self, one_time: Option<u32>) {
        let bundle = self.bob.bundle(one_time);
        self.at_alice.initiate(&mut self.rng, &self.alice.local(), &bundle).unwrap();
    }

    fn bob_begins(&mut self, one_time: Option<u32>) {
        let bundle = self.alice.bundle(one_time);
        self.at_bob.initiate(&mut self.rng, &self.bob.local(), &bundle).unwrap();
    }

    fn alice_sends(&mut self, text: &[u8]) -> Vec<u8> {
        self.at_alice.encrypt(&mut self.rng, &self.alice.local(), text).unwrap()
    }

    fn bob_sends(&mut self, text: &[u8]) -> Vec<u8> {
        self.at_bob.encrypt(&mut self.rng, &self.bob.local(), text).unwrap()
    }

    fn alice_reads(&mut self, message: &[u8]) -> Result<Vec<u8>, DecryptError> {
        let (text, needs_new_session) = reads(&mut self.at_alice, &mut self.alice, &mut self.rng, message)?;
        self.needs_new_session = needs_new_session.then_some(Side::Alice);
        Ok(text)
    }

    fn bob_reads(&mut self, message: &[u8]) -> Result<Vec<u8>, DecryptError> {
        let (text, needs_new_session) = reads(&mut self.at_bob, &mut self.bob, &mut self.rng, message)?;
        self.needs_new_session = needs_new_session.then_some(Side::Bob);
        Ok(text)
    }

    /// Bob must refuse the message so, and be as he was.
    #[track_caller]
    fn bob_refuses(&mut self, message: &[u8], error: DecryptError) {
        let before = self.at_bob.to_bytes();
        assert_eq!(self.bob_reads(message), Err(error));
        assert!(self.at_bob.to_bytes() == before, "a refused message changes nothing");
    }
}

/// What a client does with a message: decrypt, store, delete the used prekey.
fn reads(
    sessions: &mut PairSessions,
    person: &mut Person,
    rng: &mut Box<dyn rand_core::CryptoRng>,
    message: &[u8],
) -> Result<(Vec<u8>, bool), DecryptError> {
    let before = sessions.to_bytes();
    match sessions.decrypt(rng, &person.local(), message, person) {
        Ok(decrypted) => {
            if let Some(id) = decrypted.used_one_time_prekey {
                person.one_time_prekeys.remove(&id);
            }
            *sessions = PairSessions::from_bytes(&sessions.to_bytes()).unwrap();
            Ok((decrypted.plaintext.to_vec(), decrypted.needs_new_session))
        }
        Err(error) => {
            assert!(sessions.to_bytes() == before, "{error:?} changed the sessions");
            Err(error)
        }
    }
}

fn is_initial(message: &[u8]) -> bool {
    crate::InitialInfo::peek(message).unwrap().is_some()
}

#[test]
fn a_conversation_works_both_ways_with_and_without_a_one_time_prekey() {
    for one_time in [Some(1), None] {
        let mut two = Two::new(1);
        two.alice_begins(one_time);
        for round in 0..3u8 {
            let message = two.alice_sends(&[round; 100]);
            assert_eq!(two.bob_reads(&message), Ok(vec![round; 100]));
            let message = two.bob_sends(&[]);
            assert_eq!(two.alice_reads(&message), Ok(vec![]));
        }
    }
}

#[test]
fn the_initial_header_goes_out_until_a_reply_was_decrypted() {
    let mut two = Two::begun(2);
    let messages = [two.alice_sends(b"1"), two.alice_sends(b"2"), two.alice_sends(b"3")];
    assert!(messages.iter().all(|message| is_initial(message)));
    assert!(!two.at_alice.is_answered());
    two.bob_reads(&messages[2]).unwrap();
    let reply = two.bob_sends(b"reply");
    assert!(!is_initial(&reply));
    assert!(is_initial(&two.alice_sends(b"4")), "the reply has not arrived");
    two.alice_reads(&reply).unwrap();
    assert!(two.at_alice.is_answered());
    assert!(!is_initial(&two.alice_sends(b"5")));
}

#[test]
fn an_initial_message_names_its_sender_before_it_is_decrypted() {
    let mut two = Two::begun(3);
    let message = two.alice_sends(b"hello");
    let info = crate::InitialInfo::peek(&message).unwrap().unwrap();
    assert_eq!(info.device_list, two.alice.list);
    assert_eq!(info.sender_identity, two.alice.identity.public());
    assert_eq!((info.signed_prekey_id, info.one_time_prekey_id), (SignedPrekeyId(1), Some(OneTimePrekeyId(1))));
}

#[test]
fn the_first_message_tells_what_to_store_and_delete() {
    let mut two = Two::begun(4);
    let (first, second) = (two.alice_sends(b"1"), two.alice_sends(b"2"));
    let decrypted = two.at_bob.decrypt(&mut two.rng, &two.bob.local(), &first, &two.bob).unwrap();
    assert_eq!(decrypted.used_one_time_prekey, Some(OneTimePrekeyId(1)));
    assert!(decrypted.created_session);
    assert_eq!(decrypted.sender_list.as_ref(), Some(&two.alice.list));
    let decrypted = two.at_bob.decrypt(&mut two.rng, &two.bob.local(), &second, &two.bob).unwrap();
    assert_eq!(decrypted.used_one_time_prekey, None, "it is deleted once");
    assert!(!decrypted.created_session);
}

/// Rule 1.
#[test]
fn a_bundle_that_the_device_did_not_sign_reaches_no_private_key() {
    let two = Two::new(5);
    let bundle = two.bob.raw_bundle(Some(1));
    let mallory = Person::new(&mut seeded_rng(99));
    let swapped = PrekeyBundle { signed_prekey: mallory.raw_bundle(None).signed_prekey, ..bundle };
    assert_eq!(swapped.verify(&two.bob.remote(), NOW), Err(BundleError::SignedPrekey(SignedPrekeyError::Signature)));
    let relabelled = PrekeyBundle { address: mallory.address, ..bundle };
    assert_eq!(relabelled.verify(&two.bob.remote(), NOW), Err(BundleError::WrongDevice));
    let late = bundle.signed_prekey.expires_at;
    assert_eq!(bundle.verify(&two.bob.remote(), late), Err(BundleError::SignedPrekey(SignedPrekeyError::Expired)));
}

#[test]
fn a_bundle_begins_a_session_only_with_the_device_it_was_verified_for() {
    let mut two = Two::new(6);
    let mallory = Person::new(&mut seeded_rng(98));
    let before = two.at_alice.to_bytes();
    let outcome = two.at_alice.initiate(&mut two.rng, &two.alice.local(), &mallory.bundle(Some(1)));
    assert_eq!(outcome, Err(InitiateError::WrongDevice));
    assert!(two.at_alice.to_bytes() == before);
}

/// Rule 4: a key that fails to decrypt anything is not used up.
#[test]
fn a_one_time_prekey_outlives_a_message_that_does_not_decrypt() {
    let mut two = Two::begun(7);
    let good = two.alice_sends(b"good");
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    two.bob_refuses(&bad, DecryptError::AuthenticationFailed);
    assert!(two.bob.one_time_prekeys.contains_key(&OneTimePrekeyId(1)));
    assert_eq!(two.bob_reads(&good), Ok(b"good".to_vec()));
    assert!(!two.bob.one_time_prekeys.contains_key(&OneTimePrekeyId(1)));
}

/// Rule 4: who steals a session's state can't answer other initial messages.
#[test]
fn a_responders_session_never_stores_a_prekeys_private_half() {
    let mut two = Two::begun(8);
    let signed = two.bob.signed_prekeys[&SignedPrekeyId(1)].clone();
    let one_time = two.bob.one_time_prekeys[&OneTimePrekeyId(1)].clone();
    let message = two.alice_sends(b"hello");
    two.bob_reads(&message).unwrap();
    let stored = two.at_bob.to_bytes();
    let holds = |secret: &[u8; 32]| stored.windows(32).any(|window| window == secret);
    assert!(!holds(signed.secret()) && !holds(one_time.secret()));
    assert!(holds(two.alice.identity.public().as_bytes()), "the search finds what is there");
}

/// Rule 5.
#[test]
fn threat_11_an_initial_message_creates_a_session_once() {
    for one_time in [Some(1), None] {
        let mut two = Two::new(9);
        two.alice_begins(one_time);
        let message = two.alice_sends(b"once");
        two.bob_reads(&message).unwrap();
        for _ in 0..1_000 {
            two.bob_refuses(&message, DecryptError::DuplicateMessage);
        }
    }
}

/// Rule 5: without a one-time prekey nothing else would stop it.
#[test]
fn an_initial_message_whose_session_is_gone_creates_no_other() {
    let mut two = Two::new(10);
    two.alice_begins(None);
    let (first, second) = (two.alice_sends(b"first"), two.alice_sends(b"second"));
    two.bob_reads(&first).unwrap();
    for _ in 0..=MAX_ARCHIVED_SESSIONS {
        two.bob_begins(None);
    }
    two.bob_refuses(&first, DecryptError::SessionGone);
    two.bob_refuses(&second, DecryptError::SessionGone);
}

/// Rule 5: the memory lives as long as the signed prekey's private half, and no longer.
#[test]
fn base_keys_are_forgotten_with_their_signed_prekey() {
    let mut two = Two::new(11);
    two.alice_begins(None);
    let message = two.alice_sends(b"first");
    two.bob_reads(&message).unwrap();
    two.at_bob.forget_base_keys(|id| id == SignedPrekeyId(1));
    assert_eq!(two.at_bob.base_keys.len(), 1);
    two.at_bob.forget_base_keys(|id| id != SignedPrekeyId(1));
    assert_eq!(two.at_bob.base_keys.len(), 0);
    two.bob_refuses(&message, DecryptError::DuplicateMessage);
    two.at_bob.active = None;
    two.bob.signed_prekeys.clear();
    two.bob_refuses(&message, DecryptError::UnknownSignedPrekey(SignedPrekeyId(1)));
}

#[test]
fn a_device_that_begins_without_end_is_refused() {
    let mut two = Two::begun(12);
    let message = two.alice_sends(b"hello");
    let used = UsedBaseKey { base_key: two.alice.raw_bundle(None).signed_prekey.key, signed_prekey: SignedPrekeyId(1) };
    two.at_bob.base_keys = vec![used; MAX_BASE_KEYS];
    two.bob_refuses(&message, DecryptError::TooManySessions);
}

/// Rule 7.
#[test]
fn two_who_begin_at_once_end_up_in_one_session() {
    let mut two = Two::new(13);
    two.alice_begins(Some(1));
    two.bob_begins(Some(1));
    let (from_alice, from_bob) = (two.alice_sends(b"a"), two.bob_sends(b"b"));
    assert_eq!(two.bob_reads(&from_alice), Ok(b"a".to_vec()));
    assert_eq!(two.alice_reads(&from_bob), Ok(b"b".to_vec()));
    for round in 0..3u8 {
        let message = two.alice_sends(&[round]);
        assert_eq!(two.bob_reads(&message), Ok(vec![round]));
        let message = two.bob_sends(&[round]);
        assert_eq!(two.alice_reads(&message), Ok(vec![round]));
    }
    assert!(same_active_session(&two.at_alice, &two.at_bob));
    assert_eq!((two.at_alice.archived.len(), two.at_bob.archived.len()), (1, 1));
}

fn same_active_session(a: &PairSessions, b: &PairSessions) -> bool {
    let base_key = |sessions: &PairSessions| sessions.active.as_ref().unwrap().names.base_key;
    base_key(a) == base_key(b)
}

/// Rule 7, after a rollback.
#[test]
fn a_receive_only_session_decrypts_and_never_sends_again() {
    let mut two = Two::settled(14);
    two.at_bob.make_receive_only();
    assert!(!two.at_bob.has_sending_session());
    assert_eq!(two.at_bob.encrypt(&mut two.rng, &two.bob.local(), b"no"), Err(EncryptError::NoSession));
    let message = two.alice_sends(b"still read");
    assert_eq!(two.bob_reads(&message), Ok(b"still read".to_vec()));
    assert!(!two.at_bob.has_sending_session(), "decrypting doesn't bring it back");
    two.bob_begins(Some(1));
    let message = two.bob_sends(b"from a new session");
    assert_eq!(two.alice_reads(&message), Ok(b"from a new session".to_vec()));
    let message = two.alice_sends(b"to the new session");
    two.bob_reads(&message).unwrap();
    assert!(two.at_bob.is_answered());
}

/// Both were rolled back, and each sends in a session in which the other must not: neither would ever agree on a new ratchet
/// key. Found by the schedules below.
#[test]
fn two_who_can_only_receive_from_each_other_begin_anew() {
    let mut two = Two::new(22);
    two.bob_begins(None);
    let late = two.bob_sends(b"late");
    two.at_bob.make_receive_only();
    two.bob_begins(None);
    let early = two.bob_sends(b"early");
    two.alice_reads(&early).unwrap();
    two.at_alice.make_receive_only();
    two.alice_reads(&late).unwrap();
    let message = two.alice_sends(b"in the session that Bob must not use");
    two.bob_reads(&message).unwrap();
    assert_eq!(two.needs_new_session, None, "Bob's own session is unanswered");
    let message = two.bob_sends(b"in the session that Alice must not use");
    two.alice_reads(&message).unwrap();
    assert_eq!(two.needs_new_session, Some(Side::Alice));
    two.alice_begins(None);
    let message = two.alice_sends(b"anew");
    two.bob_reads(&message).unwrap();
    assert!(same_active_session(&two.at_alice, &two.at_bob));
}

#[test]
fn an_archived_session_that_decrypts_becomes_active() {
    let mut two = Two::settled(15);
    let in_the_old = two.alice_sends(b"old");
    two.bob_begins(Some(1));
    assert!(!two.at_bob.is_answered());
    two.bob_reads(&in_the_old).unwrap();
    assert!(two.at_bob.is_answered(), "the old session sends again");
    two.at_bob.archive_active();
    assert!(!two.at_bob.has_sending_session());
}

#[test]
fn three_messages_before_the_first_reply_decrypt_in_any_order() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut two = Two::begun(16);
        let messages = [two.alice_sends(&[0]), two.alice_sends(&[1]), two.alice_sends(&[2])];
        for index in order {
            assert_eq!(two.bob_reads(&messages[index]), Ok(vec![u8::try_from(index).unwrap()]), "{order:?}");
        }
        for index in order {
            two.bob_refuses(&messages[index], DecryptError::DuplicateMessage);
        }
        let reply = two.bob_sends(b"reply");
        assert_eq!(two.alice_reads(&reply), Ok(b"reply".to_vec()));
    }
}

#[test]
fn a_message_is_as_long_as_its_bucket_says() {
    let mut two = Two::settled(17);
    let overhead = 2 + Header::LEN + crate::ratchet::TAG_LEN;
    assert_eq!(two.alice_sends(b"").len(), overhead + 256);
    assert_eq!(two.alice_sends(&[0; 255]).len(), overhead + 256);
    assert_eq!(two.alice_sends(&[0; 256]).len(), overhead + 320);
}

#[test]
fn the_longest_message_fits_and_one_byte_more_is_refused() {
    let mut two = Two::begun(18);
    let longest = vec![7; padding::PLAINTEXT_MAX_BYTES];
    let message = two.alice_sends(&longest);
    assert!(message.len() <= MESSAGE_MAX_BYTES);
    assert_eq!(two.bob_reads(&message), Ok(longest));
    let before = two.at_alice.to_bytes();
    let too_long = vec![7; padding::PLAINTEXT_MAX_BYTES + 1];
    assert_eq!(two.at_alice.encrypt(&mut two.rng, &two.alice.local(), &too_long), Err(EncryptError::TooLong));
    assert!(two.at_alice.to_bytes() == before);
}

#[test]
fn a_device_outside_its_own_list_sends_no_initial_message() {
    let mut two = Two::begun(19);
    let stranger = Person::new(&mut seeded_rng(97));
    let mut local = two.alice.local();
    local.device_list = &stranger.list;
    assert_eq!(two.at_alice.encrypt(&mut two.rng, &local, b"no"), Err(EncryptError::NotInDeviceList));
}

/// Forward secrecy and healing: what a stolen state reads, and what it doesn't.
#[test]
fn a_stolen_state_reads_neither_the_past_nor_the_time_after_healing() {
    let mut two = Two::settled(20);
    let past = two.alice_sends(b"past");
    two.bob_reads(&past).unwrap();
    let mut stolen = PairSessions::from_bytes(&two.at_bob.to_bytes()).unwrap();
    let mut thief = |message: &[u8]| stolen.decrypt(&mut seeded_rng(1), &two.bob.local(), message, &two.bob).is_ok();
    assert!(!thief(&past));
    let now = two.at_alice.encrypt(&mut two.rng, &two.alice.local(), b"now").unwrap();
    assert!(thief(&now), "the current chain is lost until it heals");
    for _ in 0..2 {
        let message = two.at_bob.encrypt(&mut two.rng, &two.bob.local(), b"healing").unwrap();
        two.at_alice.decrypt(&mut two.rng, &two.alice.local(), &message, &two.alice).unwrap();
        let message = two.at_alice.encrypt(&mut two.rng, &two.alice.local(), b"healing").unwrap();
        two.at_bob.decrypt(&mut two.rng, &two.bob.local(), &message, &two.bob).unwrap();
    }
    let later = two.at_alice.encrypt(&mut two.rng, &two.alice.local(), b"later").unwrap();
    assert!(!thief(&later));
}

/// Rule 10.
#[test]
fn debug_output_shows_neither_secrets_nor_text() {
    let mut two = Two::begun(21);
    let message = two.alice_sends(b"a secret text");
    let decrypted = two.at_bob.decrypt(&mut two.rng, &two.bob.local(), &message, &two.bob).unwrap();
    assert_eq!(
        format!("{decrypted:?}"),
        "Decrypted { used_one_time_prekey: Some(OneTimePrekeyId(1)), created_session: true, \
         sender_list: Some(1), needs_new_session: false, .. }"
    );
    let shown = format!("{:?}", two.at_bob);
    let remote = format!("{:?}", two.alice.remote());
    assert_eq!(shown, format!("PairSessions {{ remote: {remote}, active: true, archived: 0, base_keys: 1 }}"));
}
