//! Checks of uploaded keys: every stored key was signed by the device that it is stored for.

use sealpost_api::encoding::B64;
use sealpost_api::limits::ONE_TIME_PREKEYS_MAX_UPLOAD;
use sealpost_api::prekeys::{DevicePrekeys, OneTimePrekeyBody, SignedPrekeyBody};
use sealpost_api::problem::ProblemCode;
use sealpost_crypto::prekey::SIGNED_PREKEY_LIFETIME_MS;
use sealpost_crypto::{
    DeviceAddress, DeviceEntry, DeviceId, DeviceIdentityKey, DeviceList, OneTimePrekey, OneTimePrekeyId, SignedPrekey,
    SignedPrekeyError, SignedPrekeyId, UnixMillis,
};

use super::ServiceError;
use crate::store::DeviceKeys;

/// How far a client's clock can be ahead of ours, in ms, before its signed prekey's expiry is taken for a mistake.
const CLOCK_AHEAD_MAX_MILLIS: u64 = 3_600_000;

/// Verifies the keys of one device of a list.
pub(super) fn device_keys(
    list: &DeviceList,
    body: &DevicePrekeys,
    now: UnixMillis,
) -> Result<DeviceKeys, ServiceError> {
    let unlisted = || {
        ServiceError::new(ProblemCode::DeviceListInvalid)
            .with_detail("The keys are for a device that is not in the list.")
    };
    let device = DeviceId::new(body.device_id).map_err(|_| unlisted())?;
    let entry = list.device(device).ok_or_else(unlisted)?;
    Ok(DeviceKeys {
        device,
        signed_prekey: signed_prekey(&address(list, entry), &entry.identity, &body.signed_prekey, now)?,
        one_time_prekeys: one_time_prekeys(&body.one_time_prekeys)?,
    })
}

/// Returns the address of a list's device.
pub(super) fn address(list: &DeviceList, entry: &DeviceEntry) -> DeviceAddress {
    DeviceAddress { account: list.account(), device: entry.device, registration: entry.registration }
}

/// Verifies a signed prekey: the device signed it for itself, it has not expired, and it is not valid for longer than
/// allowed.
pub(super) fn signed_prekey(
    address: &DeviceAddress,
    identity: &DeviceIdentityKey,
    body: &SignedPrekeyBody,
    now: UnixMillis,
) -> Result<SignedPrekey, ServiceError> {
    let prekey = SignedPrekey {
        id: SignedPrekeyId(body.id),
        key: body.key.0,
        expires_at: UnixMillis(body.expires_at),
        signature: body.signature.0,
    };
    prekey.verify(address, identity, now).map_err(|error| match error {
        SignedPrekeyError::Expired => ServiceError::new(ProblemCode::SignedPrekeyExpired),
        _ => ServiceError::new(ProblemCode::SignedPrekeyInvalid),
    })?;
    let latest = now.saturating_add(SIGNED_PREKEY_LIFETIME_MS).saturating_add(CLOCK_AHEAD_MAX_MILLIS);
    if prekey.expires_at > latest {
        return Err(ServiceError::new(ProblemCode::SignedPrekeyExpired));
    }
    Ok(prekey)
}

/// Checks one-time prekeys: at most 100, in ascending order of distinct ids from 1.
pub(super) fn one_time_prekeys(bodies: &[OneTimePrekeyBody]) -> Result<Vec<OneTimePrekey>, ServiceError> {
    if bodies.len() > ONE_TIME_PREKEYS_MAX_UPLOAD {
        return Err(ServiceError::new(ProblemCode::OneTimePrekeysInvalid));
    }
    let mut keys: Vec<_> =
        bodies.iter().map(|body| OneTimePrekey { id: OneTimePrekeyId(body.id), key: body.key.0 }).collect();
    keys.sort_unstable_by_key(|key| key.id);
    // `max_issued_id` is 0 before the first upload, so 0 is not an id.
    let distinct = keys.is_sorted_by(|a, b| a.id < b.id);
    if !distinct || keys.first().is_some_and(|key| key.id == OneTimePrekeyId(0)) {
        return Err(ServiceError::new(ProblemCode::OneTimePrekeysInvalid));
    }
    Ok(keys)
}

/// Converts a signed prekey to its wire form.
pub(super) fn signed_prekey_body(prekey: &SignedPrekey) -> SignedPrekeyBody {
    SignedPrekeyBody {
        id: prekey.id.0,
        key: B64(prekey.key),
        expires_at: prekey.expires_at.0,
        signature: B64(prekey.signature),
    }
}

/// Converts a one-time prekey to its wire form.
pub(super) fn one_time_prekey_body(prekey: &OneTimePrekey) -> OneTimePrekeyBody {
    OneTimePrekeyBody { id: prekey.id.0, key: B64(prekey.key) }
}
