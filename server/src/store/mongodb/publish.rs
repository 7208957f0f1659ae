//! Publishing a device list: the account's document changes in one step; what belongs to it comes before or after.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Binary, doc};
use sealpost_api::frames::ExpiryReason;
use sealpost_api::ids::SessionId;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceList, UnixMillis};

use super::collections::{accounts, prekeys, sessions};
use super::db::{Db, TRIES, pause};
use super::documents::accounts::{Account, Claim, Device, Removing};
use super::error::{DbError, is_duplicate};
use super::{removal, values};
use crate::domain::succession::{CurrentList, Succession};
use crate::store::device_lists::{PublishList, PublishOutcome};
use crate::store::error::StoreError;
use crate::store::reasons;

/// See [`DeviceListStore::publish_device_list`](crate::store::DeviceListStore::publish_device_list).
pub(super) async fn publish(db: &Db, publish: &PublishList, now: UnixMillis) -> Result<PublishOutcome, DbError> {
    let list = &publish.device_list;
    let mut made = Vec::new();
    for tried in 1..=TRIES {
        let account = db.account(list.account()).await?;
        let refused = match &account {
            None => Some(PublishOutcome::UnknownAccount),
            Some(account) => refusal(db, account, publish).await?,
        };
        let Some(account) = account.filter(|_| refused.is_none()) else {
            forget(db, list.account(), &made).await?;
            return Ok(refused.unwrap_or(PublishOutcome::UnknownAccount));
        };
        // What a returning registration is given must not be deleted with what it had before.
        if account.removing.iter().any(|entry| entry.is_claimed(now) && returns(entry, list)) {
            pause(tried).await;
            continue;
        }
        keep_list(db, &account).await?;
        for keys in &publish.added {
            let Some(entry) = list.devices().iter().find(|entry| entry.device == keys.device) else { continue };
            let address =
                DeviceAddress { account: list.account(), device: entry.device, registration: entry.registration };
            made.extend(prekeys::begin(db, &address, keys).await?.map(|begun| (address, begun)));
        }
        let before = account.addresses()?;
        let removed: Vec<_> = before.into_iter().filter(|address| !list.contains(address)).collect();
        let (id, claim) = (account.id.clone(), removal::claim(now));
        let (next, ended_sessions) = successor(account, publish, &removed, &claim, now)?;
        match db.write(next).await {
            Ok(true) => {
                let notified = clean(db, &id, &removed, &claim, now).await;
                return Ok(PublishOutcome::Published { removed, ended_sessions, notified });
            }
            Ok(false) => pause(tried).await,
            // The session's id was taken meanwhile.
            Err(DbError::Mongo(error)) if is_duplicate(&error) => pause(tried).await,
            Err(error) => return Err(error),
        }
    }
    forget(db, list.account(), &made).await?;
    Err(DbError::Contended)
}

/// Returns whether a device that left the list is in this one again.
fn returns(entry: &Removing, list: &DeviceList) -> bool {
    list.devices().iter().any(|device| {
        i32::from(device.device.get()) == entry.device && *device.registration.as_bytes() == *entry.registration.bytes
    })
}

/// Cleans up after what was removed. Returns which devices have a new notice. The list is current even if this fails:
/// the sweep continues with it.
async fn clean(
    db: &Db,
    account: &Binary,
    removed: &[DeviceAddress],
    claim: &Claim,
    now: UnixMillis,
) -> Vec<DeviceAddress> {
    if removed.is_empty() {
        return Vec::new();
    }
    let cleaned = async {
        let cleaned = removal::clean_all(db, removed, ExpiryReason::DeviceRemoved, now).await?;
        removal::settle(db, account, claim, UnixMillis(0), now).await?;
        Ok(cleaned)
    };
    let cleaned: Result<_, DbError> = cleaned.await;
    match cleaned {
        Ok(cleaned) => cleaned.notified.into_iter().collect(),
        Err(error) => {
            tracing::warn!(error = %StoreError::from(error), "a removed device is cleaned up later");
            Vec::new()
        }
    }
}

/// Returns why a list is refused, if it is.
async fn refusal(db: &Db, account: &Account, publish: &PublishList) -> Result<Option<PublishOutcome>, DbError> {
    let list = &publish.device_list;
    let (version, hash) = (account.list_version.cast_unsigned(), values::fixed(&account.list_hash)?);
    match (CurrentList { version, hash }).succession(list) {
        Succession::Follows => {}
        Succession::IsCurrent => return Ok(Some(PublishOutcome::AlreadyCurrent)),
        Succession::Conflicts => return Ok(Some(PublishOutcome::Conflict)),
    }
    let Some(log_in) = &publish.log_in else { return Ok(None) };
    if account.disabled_at.is_some() {
        return Ok(Some(PublishOutcome::UnknownAccount));
    }
    if !accounts::is_hash(account, &log_in.password_hash) {
        return Ok(Some(PublishOutcome::PasswordChanged));
    }
    if !list.contains(&log_in.session.address) {
        return Err(DbError::Corrupt("a session for a device outside of its list"));
    }
    Ok(sessions::holder(db, log_in.session.id).await?.map(|_| PublishOutcome::SessionTaken))
}

/// Returns the account with its next list, and the sessions that end with it.
fn successor(
    mut account: Account,
    publish: &PublishList,
    removed: &[DeviceAddress],
    claim: &Claim,
    now: UnixMillis,
) -> Result<(Account, Vec<SessionId>), DbError> {
    let list = &publish.device_list;
    let of = |device: i32, registration| (device, registration);
    let gone: Vec<_> = removed
        .iter()
        .map(|address| of(i32::from(address.device.get()), values::binary(address.registration.as_bytes())))
        .collect();
    let ended = account.end(|session| gone.contains(&of(session.device, session.registration.clone())))?;
    account.devices = devices(&account, list, now);
    // A registration that returns is no longer being removed.
    let back: Vec<_> = account.devices.iter().map(|device| of(device.id, device.registration.clone())).collect();
    account.removing.retain(|entry| !back.contains(&of(entry.device, entry.registration.clone())));
    account.removing.extend(gone.into_iter().map(|(device, registration)| Removing {
        device,
        registration,
        reason: reasons::expiry_code(ExpiryReason::DeviceRemoved),
        at: values::time(now),
        done: false,
        cleaning: Some(claim.clone()),
    }));
    if let Some(log_in) = &publish.log_in {
        account.sessions.push(sessions::begin(&log_in.session, now));
    }
    account.list_version = list.version().cast_signed();
    account.list_hash = values::binary(&list.hash());
    account.list = values::binary(list.encoded());
    Ok((account, ended))
}

/// Returns the devices of a list, with the times at which they entered it.
fn devices(account: &Account, list: &DeviceList, now: UnixMillis) -> Vec<Device> {
    let devices = list.devices().iter().map(|entry| {
        let (id, registration) = (i32::from(entry.device.get()), values::binary(entry.registration.as_bytes()));
        let before = account.devices.iter().find(|device| device.id == id && device.registration == registration);
        let since = before.map_or(values::time(now), |device| device.since);
        Device { id, registration, identity: values::binary(entry.identity.as_bytes()), since }
    });
    devices.collect()
}

/// Stores the current list among the earlier ones, before another becomes current.
async fn keep_list(db: &Db, account: &Account) -> Result<(), DbError> {
    let row = doc! { "account": &account.id, "version": account.list_version };
    db.lists.update_one(row, doc! { "$setOnInsert": { "encoded": &account.list } }).upsert(true).await?;
    Ok(())
}

/// Deletes the prekeys that were stored for devices which did not enter the list.
async fn forget(db: &Db, account: AccountId, made: &[(DeviceAddress, ObjectId)]) -> Result<(), DbError> {
    if made.is_empty() {
        return Ok(());
    }
    let listed = db.account(account).await?.map(|account| account.addresses()).transpose()?.unwrap_or_default();
    for (address, begun) in made.iter().filter(|(address, _)| !listed.contains(address)) {
        prekeys::take_back(db, address, *begun).await?;
    }
    Ok(())
}
