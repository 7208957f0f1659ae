//! X3DH revision 1: two devices that have never met agree on a secret while one of them is offline.
//!
//! With `IKa`, `EKa` of the initiator and `IKb`, `SPKb`, `OPKb` of the responder (section 3.3):
//!
//! ```text
//! DH1 = DH(IKa, SPKb)   DH2 = DH(EKa, IKb)   DH3 = DH(EKa, SPKb)   DH4 = DH(EKa, OPKb), if there is one
//! SK  = HKDF-SHA-256(salt 0³², FF³² ‖ DH1 ‖ DH2 ‖ DH3 [‖ DH4], "Sealpost_X25519_SHA-256_AES-256-GCM", 32)
//! AD  = Encode(IKa) ‖ Encode(IKb) ‖ appendix
//! ```
//!
//! This module takes keys that were verified elsewhere and returns a secret. It knows neither sessions nor messages.

use rand_core::CryptoRng;
use x25519_dalek::{SharedSecret, StaticSecret};
use zeroize::Zeroizing;

use crate::dh::{NonContributory, RatchetKeyPair, diffie_hellman};
use crate::identity::{DeviceIdentityKey, DeviceIdentityKeyPair};
use crate::kdf;
use crate::labels;
use crate::prekey::PrekeyPublic;

/// The result of an agreement: `SK`, from which the ratchet's root chain starts, and `AD`.
pub(crate) struct Agreement {
    pub(crate) secret: Zeroizing<[u8; 32]>,
    pub(crate) associated_data: Box<[u8]>,
}

/// The responder's public keys.
pub(crate) struct TheirKeys<'a> {
    pub(crate) identity: &'a DeviceIdentityKey,
    pub(crate) signed_prekey: &'a PrekeyPublic,
    pub(crate) one_time_prekey: Option<&'a PrekeyPublic>,
}

/// Computes the initiator's side. Draws the ephemeral key `EKa`, whose private half is dropped when the call returns.
pub(crate) fn initiate<R: CryptoRng + ?Sized>(
    rng: &mut R,
    our_identity: &DeviceIdentityKeyPair,
    theirs: &TheirKeys<'_>,
    appendix: &[u8],
) -> Result<(Agreement, PrekeyPublic), NonContributory> {
    let ephemeral = RatchetKeyPair::generate(rng);
    let signed_prekey = theirs.signed_prekey.to_x25519();
    let dh1 = diffie_hellman(&our_identity.to_x25519(), &signed_prekey)?;
    let dh2 = diffie_hellman(ephemeral.secret(), &theirs.identity.to_x25519())?;
    let dh3 = diffie_hellman(ephemeral.secret(), &signed_prekey)?;
    let dh4 = theirs.one_time_prekey.map(|key| ephemeral.agree(key)).transpose()?;
    let agreement = Agreement {
        secret: derive(&dh1, &dh2, &dh3, dh4.as_ref()),
        associated_data: associated_data(&our_identity.public(), theirs.identity, appendix),
    };
    Ok((agreement, *ephemeral.public()))
}

/// The private halves of our prekeys that the initial message names.
pub(crate) struct OurPrekeys<'a> {
    pub(crate) signed: &'a StaticSecret,
    pub(crate) one_time: Option<&'a StaticSecret>,
}

/// Computes the responder's side: the same secret from the other halves. `base_key` is `EKa`.
pub(crate) fn respond(
    our_identity: &DeviceIdentityKeyPair,
    our_prekeys: &OurPrekeys<'_>,
    their_identity: &DeviceIdentityKey,
    base_key: &PrekeyPublic,
    appendix: &[u8],
) -> Result<Agreement, NonContributory> {
    let base_key = base_key.to_x25519();
    let dh1 = diffie_hellman(our_prekeys.signed, &their_identity.to_x25519())?;
    let dh2 = diffie_hellman(&our_identity.to_x25519(), &base_key)?;
    let dh3 = diffie_hellman(our_prekeys.signed, &base_key)?;
    let dh4 = our_prekeys.one_time.map(|secret| diffie_hellman(secret, &base_key)).transpose()?;
    Ok(Agreement {
        secret: derive(&dh1, &dh2, &dh3, dh4.as_ref()),
        associated_data: associated_data(their_identity, &our_identity.public(), appendix),
    })
}

fn derive(
    dh1: &SharedSecret,
    dh2: &SharedSecret,
    dh3: &SharedSecret,
    dh4: Option<&SharedSecret>,
) -> Zeroizing<[u8; 32]> {
    // Reserved in full: a growing buffer would leave copies of secrets behind.
    let mut input = Zeroizing::new(Vec::with_capacity(5 * 32));
    input.extend_from_slice(&[0xff; 32]);
    for dh in [Some(dh1), Some(dh2), Some(dh3), dh4].into_iter().flatten() {
        input.extend_from_slice(dh.as_bytes());
    }
    kdf::hkdf(&[0; 32], &input, labels::X3DH_INFO)
}

fn associated_data(initiator: &DeviceIdentityKey, responder: &DeviceIdentityKey, appendix: &[u8]) -> Box<[u8]> {
    [initiator.encode().as_slice(), &responder.encode(), appendix].concat().into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{low_order_encodings, seeded_rng, small_order_identities};

    fn identity(seed: u8) -> DeviceIdentityKeyPair {
        DeviceIdentityKeyPair::from_seed(&[seed; 32])
    }

    fn prekey() -> PrekeyPublic {
        *RatchetKeyPair::generate(&mut seeded_rng(1)).public()
    }

    /// The initiator's agreement with these keys of the responder, and nothing else.
    fn initiates(
        theirs: &DeviceIdentityKey,
        signed_prekey: &PrekeyPublic,
        one_time_prekey: Option<&PrekeyPublic>,
    ) -> Result<(), NonContributory> {
        let theirs = TheirKeys { identity: theirs, signed_prekey, one_time_prekey };
        initiate(&mut seeded_rng(2), &identity(1), &theirs, &[]).map(drop)
    }

    fn responds(their_identity: &DeviceIdentityKey, base_key: &PrekeyPublic) -> Result<(), NonContributory> {
        let secret = StaticSecret::from([5; 32]);
        let ours = OurPrekeys { signed: &secret, one_time: Some(&secret) };
        respond(&identity(2), &ours, their_identity, base_key, &[]).map(drop)
    }

    /// Rule 2, behind the strict decoding: DH1 and DH3 take the signed prekey, DH4 the one-time prekey, and the responder's
    /// DH2 to DH4 the base key.
    #[test]
    fn threat_10_every_low_order_prekey_is_refused_in_every_agreement() {
        let (good, bob) = (prekey(), identity(2).public());
        let encodings = low_order_encodings();
        assert_eq!(encodings.len(), 14);
        for bytes in encodings {
            assert!(PrekeyPublic::from_bytes(&bytes).is_err(), "it is not even decoded: {bytes:02x?}");
            let low = PrekeyPublic::unchecked(bytes);
            assert_eq!(diffie_hellman(&StaticSecret::from([5; 32]), &low.to_x25519()).err(), Some(NonContributory));
            for (signed_prekey, one_time) in [(&low, None), (&low, Some(&good)), (&good, Some(&low))] {
                assert_eq!(initiates(&bob, signed_prekey, one_time), Err(NonContributory), "{bytes:02x?}");
            }
            assert_eq!(responds(&identity(1).public(), &low), Err(NonContributory), "{bytes:02x?}");
        }
        assert_eq!(
            (initiates(&bob, &good, Some(&good)), responds(&bob, &good)),
            (Ok(()), Ok(())),
            "the search can fail"
        );
    }

    /// Rule 2: the identity key is in the initiator's DH2 and the responder's DH1.
    #[test]
    fn threat_10_every_identity_key_of_small_order_is_refused_in_every_agreement() {
        let small = small_order_identities();
        assert!(small.len() >= 8, "{}", small.len());
        for key in small {
            assert!(DeviceIdentityKey::from_bytes(key.as_bytes()).is_err(), "it is not even decoded: {key:?}");
            assert_eq!(initiates(&key, &prekey(), None), Err(NonContributory), "{key:?}");
            assert_eq!(responds(&key, &prekey()), Err(NonContributory), "{key:?}");
        }
    }

    #[test]
    fn another_appendix_is_other_associated_data_and_the_same_secret() {
        let secret = StaticSecret::from([5; 32]);
        let ours = OurPrekeys { signed: &secret, one_time: None };
        let base_key = *RatchetKeyPair::generate(&mut seeded_rng(1)).public();
        let alice = identity(1).public();
        let [a, b] = [b"a", b"b"].map(|appendix| respond(&identity(2), &ours, &alice, &base_key, appendix).unwrap());
        assert_eq!(a.secret, b.secret);
        assert_ne!(a.associated_data, b.associated_data);
    }
}
