//! Uploaded keys, checked: what is stored was signed by the device that it is stored for.

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

/// How far a client's clock may be ahead of ours, in ms, before the expiry of its signed prekey is taken for a mistake.
const CLOCK_AHEAD_MAX_MILLIS: u64 = 3_600_000;

/// The keys of one device of a list, verified.
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

/// The address of a list's device.
pub(super) fn address(list: &DeviceList, entry: &DeviceEntry) -> DeviceAddress {
    DeviceAddress { account: list.account(), device: entry.device, registration: entry.registration }
}

/// A signed prekey: signed by this device for itself, not expired, and not valid for longer than one may be.
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

/// One-time prekeys: at most 100, in ascending order of distinct ids from 1.
pub(super) fn one_time_prekeys(bodies: &[OneTimePrekeyBody]) -> Result<Vec<OneTimePrekey>, ServiceError> {
    if bodies.len() > ONE_TIME_PREKEYS_MAX_UPLOAD {
        return Err(ServiceError::new(ProblemCode::OneTimePrekeysInvalid));
    }
    let mut keys: Vec<_> =
        bodies.iter().map(|body| OneTimePrekey { id: OneTimePrekeyId(body.id), key: body.key.0 }).collect();
    keys.sort_unstable_by_key(|key| key.id);
    // 0 is what `max_issued_id` says when there was none, so it is no id.
    let distinct = keys.is_sorted_by(|a, b| a.id < b.id);
    if !distinct || keys.first().is_some_and(|key| key.id == OneTimePrekeyId(0)) {
        return Err(ServiceError::new(ProblemCode::OneTimePrekeysInvalid));
    }
    Ok(keys)
}

/// A signed prekey as it crosses the wire.
pub(super) fn signed_prekey_body(prekey: &SignedPrekey) -> SignedPrekeyBody {
    SignedPrekeyBody {
        id: prekey.id.0,
        key: B64(prekey.key),
        expires_at: prekey.expires_at.0,
        signature: B64(prekey.signature),
    }
}

/// A one-time prekey as it crosses the wire.
pub(super) fn one_time_prekey_body(prekey: &OneTimePrekey) -> OneTimePrekeyBody {
    OneTimePrekeyBody { id: prekey.id.0, key: B64(prekey.key) }
}
