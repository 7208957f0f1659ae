use super::*;
use crate::ids::{AccountId, DeviceId, RegistrationId};

/// A stream of bytes that is good enough for tests.
struct CountingRng(u8);

impl rand_core::TryRng for CountingRng {
    type Error = rand_core::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        unimplemented_by_tests()
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        unimplemented_by_tests()
    }
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
        for byte in dst {
            self.0 = self.0.wrapping_mul(5).wrapping_add(3);
            *byte = self.0;
        }
        Ok(())
    }
}
impl rand_core::TryCryptoRng for CountingRng {}

fn unimplemented_by_tests() -> ! {
    panic!("keys are drawn by filling bytes")
}

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

fn address() -> DeviceAddress {
    DeviceAddress {
        account: AccountId::from_bytes([1; 16]),
        device: DeviceId::PRIMARY,
        registration: RegistrationId::from_bytes([2; 32]),
    }
}

fn identity() -> DeviceIdentityKeyPair {
    DeviceIdentityKeyPair::from_seed(&[3; 32])
}

fn pair() -> SignedPrekeyPair {
    SignedPrekeyPair::generate(&mut CountingRng(1), SignedPrekeyId(5), NOW)
}

#[test]
fn threat_13_a_signed_prekey_verifies_until_it_expires() {
    let signed = pair().signed(&address(), &identity());
    let last_moment = signed.expires_at.saturating_sub(1);
    let verified = signed.verify(&address(), &identity().public(), last_moment).unwrap();
    assert_eq!((verified.id(), verified.key()), (SignedPrekeyId(5), pair().public()));
    assert_eq!(signed.verify(&address(), &identity().public(), signed.expires_at), Err(SignedPrekeyError::Expired));
    assert_eq!(signed.expires_at.since(NOW), SIGNED_PREKEY_LIFETIME_MS);
    assert_eq!(pair().keep_until().since(NOW), 80 * DAY_MS);
}

#[test]
fn threat_6_a_swapped_or_relabelled_signed_prekey_is_refused() {
    let signed = pair().signed(&address(), &identity());
    let other_key = *SignedPrekeyPair::generate(&mut CountingRng(9), SignedPrekeyId(5), NOW).public();
    let mut other_signature = *signed.signature.as_bytes();
    other_signature[0] ^= 1;
    for changed in [
        SignedPrekey { id: SignedPrekeyId(6), ..signed },
        SignedPrekey { key: other_key, ..signed },
        SignedPrekey { expires_at: signed.expires_at.saturating_add(1), ..signed },
        SignedPrekey { signature: Signature::from_bytes(other_signature), ..signed },
    ] {
        assert_eq!(changed.verify(&address(), &identity().public(), NOW), Err(SignedPrekeyError::Signature));
    }
    for elsewhere in [
        DeviceAddress { account: AccountId::from_bytes([9; 16]), ..address() },
        DeviceAddress { device: DeviceId::MAX, ..address() },
        DeviceAddress { registration: RegistrationId::from_bytes([9; 32]), ..address() },
    ] {
        assert_eq!(signed.verify(&elsewhere, &identity().public(), NOW), Err(SignedPrekeyError::Signature));
    }
    let other_identity = DeviceIdentityKeyPair::from_seed(&[4; 32]).public();
    assert_eq!(signed.verify(&address(), &other_identity, NOW), Err(SignedPrekeyError::Signature));
}

/// What the device signs, put together by hand: a known answer for the label, the order and the type byte.
fn signed_by_hand(label: &[u8], key_type: u8) -> SignedPrekey {
    let pair = pair();
    let bytes = [
        label,
        &[1; 16],
        &[1],
        &[2; 32],
        &5_u32.to_be_bytes(),
        &[key_type],
        pair.public().as_bytes(),
        &pair.expires_at().0.to_be_bytes(),
    ]
    .concat();
    SignedPrekey {
        id: pair.id(),
        key: *pair.public(),
        expires_at: pair.expires_at(),
        signature: identity().sign(&bytes),
    }
}

/// A signature over something else is not valid for an X25519 prekey, even if the bytes are alike: a key of another type, or
/// the same bytes under the label of another object.
#[test]
fn threat_9_a_key_of_another_type_or_under_another_label_is_no_signed_prekey() {
    let verify = |signed: SignedPrekey| signed.verify(&address(), &identity().public(), NOW).map(drop);
    assert_eq!(verify(signed_by_hand(b"Sealpost Signed Prekey v1\0", 0x05)), Ok(()));
    // Ed25519, and the type that a KEM's key would have.
    for key_type in [0x06, 0x08, 0x00] {
        let confused = signed_by_hand(b"Sealpost Signed Prekey v1\0", key_type);
        assert_eq!(verify(confused), Err(SignedPrekeyError::Signature), "{key_type:#x}");
    }
    for (name, label) in labels::ALL.iter().filter(|(name, _)| *name != "SIGNED_PREKEY") {
        assert_eq!(verify(signed_by_hand(label, 0x05)), Err(SignedPrekeyError::Signature), "{name}");
    }
    assert_eq!(verify(signed_by_hand(b"", 0x05)), Err(SignedPrekeyError::Signature));
}

#[test]
fn a_forged_prekey_that_is_expired_too_is_called_forged() {
    let signed = pair().signed(&address(), &identity());
    let forged = SignedPrekey { expires_at: UnixMillis(0), ..signed };
    assert_eq!(forged.verify(&address(), &identity().public(), NOW), Err(SignedPrekeyError::Signature));
}

#[test]
fn threat_10_low_order_prekeys_are_refused() {
    for bytes in LOW_ORDER {
        assert_eq!(PrekeyPublic::from_bytes(&bytes), Err(PrekeyError::LowOrder));
        assert_eq!(
            MontgomeryPoint(bytes).mul_clamped([0x55; 32]).to_bytes(),
            [0; 32],
            "the table holds only such points"
        );
    }
}

#[test]
fn threat_10_every_second_encoding_of_a_prekey_is_refused() {
    for low in 0xed..=0xff {
        let mut bytes = [0xff; 32];
        bytes[0] = low;
        bytes[31] = 0x7f;
        assert_eq!(PrekeyPublic::from_bytes(&bytes), Err(PrekeyError::NotCanonical));
    }
    let mut top_bit = *pair().public().as_bytes();
    top_bit[31] |= 0x80;
    assert_eq!(PrekeyPublic::from_bytes(&top_bit), Err(PrekeyError::NotCanonical));
}

#[test]
fn pairs_survive_their_bytes() {
    let signed = pair();
    let again = SignedPrekeyPair::from_bytes(&signed.to_bytes()).unwrap();
    assert_eq!(signed.to_bytes().len(), SignedPrekeyPair::LEN);
    assert_eq!(again.to_bytes(), signed.to_bytes());
    assert_eq!(again.public(), signed.public());
    let one_time = OneTimePrekeyPair::generate(&mut CountingRng(7), OneTimePrekeyId(8));
    let again = OneTimePrekeyPair::from_bytes(&one_time.to_bytes()).unwrap();
    assert_eq!(one_time.to_bytes().len(), OneTimePrekeyPair::LEN);
    assert_eq!((again.to_bytes(), again.public()), (one_time.to_bytes(), one_time.public()));
    for wrong in [0, 35, 37, 43, 45] {
        assert!(SignedPrekeyPair::from_bytes(&vec![0; wrong]).is_err());
        assert!(OneTimePrekeyPair::from_bytes(&vec![0; wrong]).is_err());
    }
}

#[test]
fn a_pair_never_prints_its_secret() {
    let pair = SignedPrekeyPair::from_bytes(&[&[0; 12][..], &[0x5a; 32]].concat()).unwrap();
    assert!(!format!("{pair:?}").contains("5a5a") && !format!("{pair:?}").contains("90, 90"));
}
