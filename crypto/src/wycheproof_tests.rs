//! Project Wycheproof's vectors for the primitives, in the form in which we use them.

use aes_gcm::aead::{AeadInOut as _, KeyInit as _, inout::InOutBuf};
use aes_gcm::{Aes256Gcm, Nonce};
use wycheproof::TestResult;
use x25519_dalek::StaticSecret;

use crate::dh::diffie_hellman;
use crate::identity::{DeviceIdentityKey, Signature};
use crate::prekey::PrekeyPublic;

/// Keys that Wycheproof lets an implementation accept, and that we refuse: second encodings and points of low order.
#[test]
fn x25519_agrees_and_refuses_low_order_and_second_encodings() {
    use wycheproof::xdh::{TestFlag, TestName, TestSet};
    let (mut agreed, mut refused) = (0, 0);
    for group in TestSet::load(TestName::X25519).unwrap().test_groups {
        for test in group.tests {
            let bad = test.flags.iter().any(|flag| {
                matches!(flag, TestFlag::NonCanonicalPublic | TestFlag::ZeroSharedSecret | TestFlag::LowOrderPublic)
            });
            let public = test.public_key.as_slice().try_into().expect("32 bytes");
            match PrekeyPublic::from_bytes(public) {
                Ok(public) => {
                    assert!(!bad, "case {}: {}", test.tc_id, test.comment);
                    let private: [u8; 32] = test.private_key.as_slice().try_into().expect("32 bytes");
                    let shared = diffie_hellman(&StaticSecret::from(private), &public.to_x25519()).unwrap();
                    assert_eq!(shared.as_bytes(), test.shared_secret.as_slice(), "case {}", test.tc_id);
                    agreed += 1;
                }
                Err(_) => {
                    assert!(bad && test.result != TestResult::Valid, "case {}: {}", test.tc_id, test.comment);
                    refused += 1;
                }
            }
        }
    }
    assert!(agreed > 400 && refused > 20, "{agreed} agreed, {refused} refused");
}

/// `verify_strict` deviates from no verdict of this set.
#[test]
fn ed25519_verifies_strictly() {
    use wycheproof::eddsa::{TestName, TestSet};
    let mut checked = 0;
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let key: &[u8; 32] = group.key.pk.as_slice().try_into().expect("32 bytes");
        for test in group.tests {
            let verified = DeviceIdentityKey::from_bytes(key).is_ok_and(|key| {
                // Any other length can't be held in our type at all.
                let signature = test.sig.as_slice().try_into().map(Signature::from_bytes);
                signature.is_ok_and(|signature| key.verify(&test.msg, &signature).is_ok())
            });
            assert_eq!(verified, test.result == TestResult::Valid, "case {}: {}", test.tc_id, test.comment);
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn aes_256_gcm_seals_and_opens() {
    use wycheproof::aead::{TestName, TestSet};
    let (mut valid, mut invalid) = (0, 0);
    for group in TestSet::load(TestName::AesGcm).unwrap().test_groups {
        if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
            continue;
        }
        for test in group.tests {
            let key: [u8; 32] = test.key.as_slice().try_into().expect("32 bytes");
            let nonce: [u8; 12] = test.nonce.as_slice().try_into().expect("12 bytes");
            let tag: [u8; 16] = test.tag.as_slice().try_into().expect("16 bytes");
            let (aead, nonce) = (Aes256Gcm::new(&key.into()), Nonce::from(nonce));
            let mut opened = vec![0; test.ct.len()];
            let buffer = InOutBuf::new(&test.ct, &mut opened).unwrap();
            let outcome = aead.decrypt_inout_detached(&nonce, &test.aad, buffer, &tag.into());
            if test.result == TestResult::Invalid {
                assert!(outcome.is_err(), "case {}: {}", test.tc_id, test.comment);
                invalid += 1;
                continue;
            }
            assert!(outcome.is_ok(), "case {}: {}", test.tc_id, test.comment);
            assert_eq!(opened, test.pt.as_slice());
            let sealed = aead.encrypt_inout_detached(&nonce, &test.aad, InOutBuf::from(opened.as_mut_slice()));
            assert_eq!(sealed.unwrap().as_slice(), tag);
            assert_eq!(opened, test.ct.as_slice());
            valid += 1;
        }
    }
    assert!(valid > 20 && invalid > 10, "{valid} valid, {invalid} invalid");
}

#[test]
fn hkdf_sha_256_derives() {
    use wycheproof::hkdf::{TestName, TestSet};
    let (mut derived, mut ours) = (0, 0);
    for group in TestSet::load(TestName::HkdfSha256).unwrap().test_groups {
        for test in group.tests {
            let mut okm = vec![0; test.size];
            let hkdf = hkdf::Hkdf::<sha2::Sha256>::new(Some(&test.salt), &test.ikm);
            let outcome = hkdf.expand(&test.info, &mut okm);
            assert_eq!(outcome.is_ok(), test.result != TestResult::Invalid, "case {}", test.tc_id);
            if outcome.is_ok() {
                assert_eq!(okm, test.okm.as_slice(), "case {}", test.tc_id);
                derived += 1;
            }
            // The same through our own function, where its shape allows: an absent salt is 32 zeros.
            let salt = if test.salt.is_empty() { Ok([0; 32]) } else { <[u8; 32]>::try_from(test.salt.as_slice()) };
            if let (Ok(salt), Some(expected)) = (salt, test.okm.first_chunk::<20>()) {
                assert_eq!(&*crate::kdf::hkdf::<20>(&salt, &test.ikm, &test.info), expected);
                ours += 1;
            }
        }
    }
    assert!(derived > 50 && ours > 5, "{derived} and {ours}");
}

#[test]
fn hmac_sha_256_authenticates() {
    use wycheproof::mac::{TestName, TestSet};
    let mut checked = 0;
    for group in TestSet::load(TestName::HmacSha256).unwrap().test_groups {
        if (group.key_size, group.tag_size) != (256, 256) {
            continue;
        }
        for test in group.tests {
            let mut tag = [0; 32];
            crate::kdf::finish(crate::kdf::hmac(test.key.as_slice().try_into().unwrap()), &test.msg, &mut tag);
            assert_eq!(tag == test.tag.as_slice(), test.result == TestResult::Valid, "case {}", test.tc_id);
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}
