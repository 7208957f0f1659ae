//! Prekeys: uploads and figures for the device they belong to, bundles for everyone else.

use sealpost_api::encoding::B64;
use sealpost_api::ids::KeyEpoch;
use sealpost_api::limits::{COPIES_MAX, ONE_TIME_PREKEYS_LOW};
use sealpost_api::prekeys::{
    DeviceBundle, PrekeyIds, PrekeyStatus, TakeBundlesRequest, TakeBundlesResponse, UploadPrekeysRequest,
};
use sealpost_api::problem::ProblemCode;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceId};
use sealpost_sabotage::{Countermeasure, holds};

use super::hub::Notice;
use super::limiter::{LimitKey, LimitName};
use super::sessions::stored_list;
use super::{Caller, ServiceError, Services, keys};
use crate::store::{DeviceRecord, TakenBundle, UploadPrekeys};

impl Services {
    /// Returns what the server holds of the calling device's prekeys.
    ///
    /// # Errors
    /// The store's failures.
    pub async fn prekey_status(&self, caller: &Caller) -> Result<PrekeyStatus, ServiceError> {
        Ok(status(&self.own_device(caller).await?))
    }

    /// Returns the ids of the device's remaining one-time prekeys, ascending.
    ///
    /// # Errors
    /// The store's failures.
    pub async fn prekey_ids(&self, caller: &Caller) -> Result<PrekeyIds, ServiceError> {
        let ids = self.core.store.one_time_prekey_ids(caller.address).await?;
        Ok(PrekeyIds { ids: ids.ok_or_else(gone)? })
    }

    /// Stores prekeys of the calling device. Repeating the same upload changes nothing and succeeds.
    ///
    /// # Errors
    /// `key_epoch_conflict`, `prekey_conflict` (with the id), `prekeys_full`, `one_time_prekeys_invalid`,
    /// `signed_prekey_invalid`, `signed_prekey_expired`, `rate_limited`.
    pub async fn upload_prekeys(
        &self,
        caller: &Caller,
        request: &UploadPrekeysRequest,
    ) -> Result<PrekeyStatus, ServiceError> {
        self.limit(LimitName::UploadDevice, LimitKey::Device(caller.address))?;
        let one_time = keys::one_time_prekeys(&request.one_time_prekeys)?;
        let device = self.own_device(caller).await?;
        let now = self.core.clock.now();
        let signed = match &request.signed_prekey {
            Some(body) => Some(keys::signed_prekey(&caller.address, &device.identity, body, now)?),
            None => None,
        };
        let epoch = KeyEpoch(request.key_epoch);
        match self.core.store.upload_prekeys(caller.address, epoch, one_time, signed).await? {
            UploadPrekeys::Stored => self.prekey_status(caller).await,
            UploadPrekeys::KeyEpochConflict => Err(ServiceError::new(ProblemCode::KeyEpochConflict)),
            UploadPrekeys::IdConflict(id) => {
                Err(ServiceError { prekey_id: Some(id), ..ServiceError::new(ProblemCode::PrekeyConflict) })
            }
            UploadPrekeys::Full => Err(ServiceError::new(ProblemCode::PrekeysFull)),
            UploadPrekeys::UnknownDevice => Err(gone()),
        }
    }

    /// Deletes the one-time prekeys of the calling device, which no longer knows their private halves after a rollback.
    ///
    /// # Errors
    /// The store's failures.
    pub async fn discard_prekeys(&self, caller: &Caller) -> Result<PrekeyStatus, ServiceError> {
        self.core.store.discard_one_time_prekeys(caller.address).await?;
        self.prekey_status(caller).await
    }

    /// Takes a bundle for each named device, or for all. Beyond a device's limits its bundle has no one-time prekey, so
    /// that a session can always be started. Only far beyond them is the call refused.
    ///
    /// # Errors
    /// `not_found` for accounts that are unknown or deleted alike; `rate_limited`; `malformed_request`.
    pub async fn take_bundles(
        &self,
        caller: &Caller,
        account: AccountId,
        request: &TakeBundlesRequest,
    ) -> Result<TakeBundlesResponse, ServiceError> {
        let not_found = || ServiceError::new(ProblemCode::NotFound);
        let wanted = wanted(request)?;
        self.limit(LimitName::BundleRefuse, LimitKey::Pair(caller.account, account))?;
        let record = self.core.store.account(account).await?.ok_or_else(not_found)?;
        let mut taken = Vec::new();
        for address in stored_list(&record)?.addresses() {
            if wanted.as_ref().is_none_or(|wanted| wanted.contains(&address.device)) {
                taken.extend(self.take_bundle(caller, address).await?);
            }
        }
        // The list may have changed meanwhile, so only bundles of devices in the returned list are given out.
        let record = self.core.store.account(account).await?.ok_or_else(not_found)?;
        let list = stored_list(&record)?;
        let bundles = taken.into_iter().filter(|bundle| list.contains(&bundle.address)).map(bundle_body).collect();
        Ok(TakeBundlesResponse { device_list: B64(record.device_list), bundles })
    }

    async fn take_bundle(&self, caller: &Caller, target: DeviceAddress) -> Result<Option<TakenBundle>, ServiceError> {
        let core = &self.core;
        let now = core.clock.now();
        let allowed = |name, key| core.limiter.take(now, name, key).inspect_err(|_| core.metrics.limited(name)).is_ok();
        let within_limits = allowed(LimitName::BundlePair, LimitKey::PairDevice(caller.account, target))
            && allowed(LimitName::BundleTarget, LimitKey::Device(target));
        let with_one_time = holds(Countermeasure::BundleLimits, within_limits);
        let taken = core.store.take_bundle(target.account, target.device, with_one_time, now).await?;
        if let Some(taken) = &taken {
            if with_one_time && taken.one_time_prekey.is_none() {
                core.metrics.one_time_prekeys_exhausted();
            }
            if with_one_time && is_low(taken.one_time_left) {
                core.hub.notify(&taken.address, Notice::PrekeysLow { left: taken.one_time_left });
            }
        }
        Ok(taken)
    }

    async fn own_device(&self, caller: &Caller) -> Result<DeviceRecord, ServiceError> {
        self.core.store.device(caller.address).await?.ok_or_else(gone)
    }
}

/// Returns the error for a device that was removed since the caller was authenticated.
fn gone() -> ServiceError {
    ServiceError::new(ProblemCode::Unauthenticated)
}

fn is_low(left: u32) -> bool {
    usize::try_from(left).is_ok_and(|left| left < ONE_TIME_PREKEYS_LOW)
}

fn status(device: &DeviceRecord) -> PrekeyStatus {
    PrekeyStatus {
        key_epoch: device.key_epoch.0,
        one_time_left: device.one_time_left,
        max_issued_id: device.max_issued_id,
        signed_prekey_id: device.signed_prekey.map_or(0, |prekey| prekey.id.0),
        signed_prekey_expires_at: device.signed_prekey.map_or(0, |prekey| prekey.expires_at.0),
        low: is_low(device.one_time_left),
    }
}

/// Returns the requested devices, or `None` for all.
fn wanted(request: &TakeBundlesRequest) -> Result<Option<Vec<DeviceId>>, ServiceError> {
    let malformed = || {
        ServiceError::new(ProblemCode::MalformedBody)
            .with_detail("`devices` names 1 to 8 distinct devices from 1 to 127.")
    };
    let Some(devices) = &request.devices else { return Ok(None) };
    if devices.is_empty() || devices.len() > COPIES_MAX {
        return Err(malformed());
    }
    let mut wanted = Vec::with_capacity(devices.len());
    for device in devices {
        let device = DeviceId::new(*device).map_err(|_| malformed())?;
        if wanted.contains(&device) {
            return Err(malformed());
        }
        wanted.push(device);
    }
    Ok(Some(wanted))
}

fn bundle_body(taken: TakenBundle) -> DeviceBundle {
    DeviceBundle {
        device_id: taken.address.device.get(),
        registration_id: B64(taken.address.registration),
        signed_prekey: taken.signed_prekey.as_ref().map(keys::signed_prekey_body),
        one_time_prekey: taken.one_time_prekey.as_ref().map(keys::one_time_prekey_body),
        dormant: taken.dormant,
    }
}
