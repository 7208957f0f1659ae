//! Publishing device lists.

use async_trait::async_trait;
use sealpost_api::encoding::EncodedDeviceList;
use sealpost_api::frames::ExpiryReason;
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};

use super::error::DbError;
use super::store::EmbeddedStore;
use super::tables::{accounts, device_lists, devices, prekeys, sessions};
use super::threads::job::Class;
use super::threads::tx::Tx;
use crate::domain::succession::Succession;
use crate::store::device_lists::{DeviceListStore, PublishList, PublishOutcome};
use crate::store::error::StoreError;
use crate::store::sessions::LogIn;

#[async_trait]
impl DeviceListStore for EmbeddedStore {
    async fn publish_device_list(&self, publish: PublishList, now: UnixMillis) -> Result<PublishOutcome, StoreError> {
        self.write(Class::Sweeping, move |tx| publish_list(tx, &publish, now)).await
    }

    async fn device_lists(
        &self,
        account: AccountId,
        after: u64,
        limit: usize,
    ) -> Result<Option<(Vec<EncodedDeviceList>, u64)>, StoreError> {
        self.read(move |db| device_lists::after(db, account, after, limit)).await
    }
}

/// See [`DeviceListStore::publish_device_list`].
fn publish_list(tx: &mut Tx<'_>, publish: &PublishList, now: UnixMillis) -> Result<PublishOutcome, DbError> {
    let (db, list) = (tx.db, &publish.device_list);
    let account = list.account();
    let Some(current) = device_lists::current(db, account)? else { return Ok(PublishOutcome::UnknownAccount) };
    match current.succession(list) {
        Succession::Follows => {}
        Succession::IsCurrent => return Ok(PublishOutcome::AlreadyCurrent),
        Succession::Conflicts => return Ok(PublishOutcome::Conflict),
    }
    if let Some(LogIn { session, password_hash }) = &publish.log_in {
        if accounts::is_disabled(db, account)? {
            return Ok(PublishOutcome::UnknownAccount);
        }
        if accounts::has_other_hash(db, account, password_hash)? {
            return Ok(PublishOutcome::PasswordChanged);
        }
        if sessions::taken(db, session.id)? {
            return Ok(PublishOutcome::SessionTaken);
        }
        if !list.contains(&session.address) {
            return Err(DbError::Corrupt("a session for a device outside of its list"));
        }
    }
    tx.space.require()?;
    let before = devices::current(db, account)?;
    let gone: Vec<_> = before.iter().filter(|(_, address)| !list.contains(address)).copied().collect();
    let removed = devices::remove(db, &gone, ExpiryReason::DeviceRemoved, now)?;
    for entry in list.devices() {
        let address = DeviceAddress { account, device: entry.device, registration: entry.registration };
        let dev = match before.iter().find(|(_, kept)| *kept == address) {
            Some((dev, _)) => *dev,
            None => devices::enlist(db, account, entry, now)?,
        };
        if let Some(keys) = publish.added.iter().find(|keys| keys.device == entry.device) {
            prekeys::begin(db, dev, keys)?;
        }
        if let Some(log_in) = publish.log_in.as_ref().filter(|log_in| log_in.session.address == address) {
            sessions::insert(db, &log_in.session, dev, now)?;
        }
    }
    device_lists::make_current(db, list)?;
    Ok(PublishOutcome::Published {
        removed: gone.into_iter().map(|(_, address)| address).collect(),
        ended_sessions: removed.ended_sessions,
        notified: removed.notified.into_iter().collect(),
    })
}
