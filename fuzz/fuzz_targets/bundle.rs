//! Prekey bundles that a server can invent, as JSON and field by field. None of them may verify.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost_api::prekeys::TakeBundlesResponse;
use sealpost_crypto::{
    OneTimePrekey, OneTimePrekeyId, PrekeyBundle, PrekeyPublic, Signature, SignedPrekey, SignedPrekeyId, UnixMillis,
};
use sealpost_fuzz::{NOW, Person};

/// Checks a bundle: one that the device itself signed may verify, and one with anything else in it must not.
fn from_bytes(data: &[u8], person: &Person) -> Option<PrekeyBundle> {
    let mut rest = data;
    let mut take = |length: usize| {
        let (taken, left) = rest.split_at_checked(length)?;
        rest = left;
        Some(taken)
    };
    let id = u32::from_be_bytes(take(4)?.try_into().ok()?);
    let key = PrekeyPublic::from_bytes(take(32)?.try_into().ok()?).ok()?;
    let expires_at = u64::from_be_bytes(take(8)?.try_into().ok()?);
    let signature = Signature::from_bytes(take(64)?.try_into().ok()?);
    let one_time_prekey = take(32).and_then(|key| PrekeyPublic::from_bytes(key.try_into().ok()?).ok());
    Some(PrekeyBundle {
        address: person.address,
        signed_prekey: SignedPrekey { id: SignedPrekeyId(id), key, expires_at: UnixMillis(expires_at), signature },
        one_time_prekey: one_time_prekey.map(|key| OneTimePrekey { id: OneTimePrekeyId(1), key }),
    })
}

fuzz_target!(|data: &[u8]| {
    let _ = serde_json::from_slice::<TakeBundlesResponse>(data);
    let person = Person::bob();
    if let Some(bundle) = from_bytes(data, person) {
        let genuine = bundle.signed_prekey == person.signed_prekey();
        assert_eq!(bundle.verify(&person.remote(), NOW).is_ok(), genuine);
    }
});
