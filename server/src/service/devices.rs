//! Signed device lists: anyone with an account reads them, and the account's own devices publish them.

use sealpost_api::devices::{DeviceLists, PublishDeviceListRequest};
use sealpost_api::encoding::{B64, EncodedDeviceList};
use sealpost_api::limits::DEVICE_LISTS_MAX;
use sealpost_api::prekeys::DevicePrekeys;
use sealpost_api::problem::ProblemCode;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceList, SuccessionError, UnixMillis};

use super::accounts::{decode_list, invalid_list};
use super::limiter::{LimitKey, LimitName};
use super::sessions::stored_list;
use super::{Caller, ServiceError, Services, keys};
use crate::store::{DeviceKeys, PublishList, PublishOutcome};

impl Services {
    /// Returns the lists of an account after a version, oldest first. Without a version it returns only the current
    /// one.
    ///
    /// # Errors
    /// `not_found` for accounts that are unknown or deleted alike.
    pub async fn device_lists(
        &self,
        _: &Caller,
        account: AccountId,
        after: Option<u64>,
    ) -> Result<DeviceLists, ServiceError> {
        let not_found = || ServiceError::new(ProblemCode::NotFound);
        let Some(after) = after else {
            let record = self.core.store.account(account).await?.ok_or_else(not_found)?;
            return Ok(only(record.device_list, record.device_list_version));
        };
        let (lists, current_version) =
            self.core.store.device_lists(account, after, DEVICE_LISTS_MAX).await?.ok_or_else(not_found)?;
        Ok(DeviceLists { device_lists: lists.into_iter().map(B64).collect(), current_version })
    }

    /// Makes the next list of the caller's account current, and ends the logins of devices that are no longer in it.
    /// Returns the list that is current now. Publishing the current list again succeeds and changes nothing.
    ///
    /// # Errors
    /// `device_list_invalid`, `device_list_conflict`, `signed_prekey_invalid`, `signed_prekey_expired`,
    /// `one_time_prekeys_invalid`, `rate_limited`.
    pub async fn publish_device_list(
        &self,
        caller: &Caller,
        request: &PublishDeviceListRequest,
    ) -> Result<DeviceLists, ServiceError> {
        let list = decode_list(&request.device_list.0)?;
        if list.account() != caller.account {
            return Err(invalid_list("The list is another account's."));
        }
        let record = self.own_account(caller).await?;
        let current = stored_list(&record)?;
        let answer = only(EncodedDeviceList(list.encoded().to_vec()), list.version());
        if list == current {
            return Ok(answer);
        }
        check_successor(&current, &list)?;
        self.limit(LimitName::PublishAccount, LimitKey::Account(caller.account))?;
        let now = self.core.clock.now();
        let added = added_keys(&current, &list, &request.added, now)?;
        let version = list.version();
        let publish = PublishList { device_list: list, added, log_in: None };
        match self.core.store.publish_device_list(publish, now).await? {
            PublishOutcome::Published { removed: _, ended_sessions, notified } => {
                self.core.end_sockets(&ended_sessions);
                self.core.wake(&notified);
                self.core.announce_device_list(caller.account, version);
                Ok(answer)
            }
            PublishOutcome::AlreadyCurrent => Ok(answer),
            PublishOutcome::Conflict => Err(ServiceError::new(ProblemCode::DeviceListConflict)),
            PublishOutcome::UnknownAccount | PublishOutcome::PasswordChanged => {
                Err(ServiceError::new(ProblemCode::Unauthenticated))
            }
            PublishOutcome::SessionTaken => Err(ServiceError::new(ProblemCode::SessionConflict)),
        }
    }
}

fn only(list: EncodedDeviceList, version: u64) -> DeviceLists {
    DeviceLists { device_lists: vec![B64(list)], current_version: version }
}

/// Tells a list that lost a race, which the client must make again from the current one, from a list that could never
/// follow.
fn check_successor(current: &DeviceList, next: &DeviceList) -> Result<(), ServiceError> {
    current.check_successor(next).map_err(|error| {
        let code = match error {
            SuccessionError::Version | SuccessionError::PreviousHash => ProblemCode::DeviceListConflict,
            _ => ProblemCode::DeviceListInvalid,
        };
        ServiceError::new(code).with_source(error)
    })?;
    if next.new_identity() {
        return Err(invalid_list("A new identity is begun with the password, not from a session."));
    }
    Ok(())
}

/// Checks that the keys are those of every device that is new in the list, and of no other. Nobody could write to a
/// device without keys, and so nobody could write to the account at all.
fn added_keys(
    current: &DeviceList,
    next: &DeviceList,
    bodies: &[DevicePrekeys],
    now: UnixMillis,
) -> Result<Vec<DeviceKeys>, ServiceError> {
    let mut missing: Vec<DeviceAddress> = next.addresses().filter(|address| !current.contains(address)).collect();
    if bodies.len() > missing.len() {
        return Err(invalid_list("There are keys for a device that is not new in the list."));
    }
    let mut added = Vec::with_capacity(bodies.len());
    for body in bodies {
        let place = missing
            .iter()
            .position(|address| address.device.get() == body.device_id)
            .ok_or_else(|| invalid_list("There are keys for a device that is not new in the list."))?;
        missing.swap_remove(place);
        added.push(keys::device_keys(next, body, now)?);
    }
    if missing.is_empty() { Ok(added) } else { Err(invalid_list("A new device comes without its keys.")) }
}
