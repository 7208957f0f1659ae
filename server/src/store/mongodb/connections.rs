//! Connections.

use async_trait::async_trait;
use mongodb::bson::doc;
use mongodb::options::ReturnDocument;
use sealpost_api::ids::{ConnectionEpoch, MessageNumber, SessionId};
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::collections::{devices, notices, prekeys, sessions};
use super::db::Db;
use super::documents::devices::{in_queue, of_device};
use super::error::DbError;
use super::store::MongoStore;
use super::values;
use crate::store::connections::{ConnectionStore, OpenConnection};
use crate::store::error::StoreError;

#[async_trait]
impl ConnectionStore for MongoStore {
    async fn open_connection(
        &self,
        address: DeviceAddress,
        session: SessionId,
        generation: u32,
        now: UnixMillis,
    ) -> Result<OpenConnection, StoreError> {
        let opened = open_connection(&self.db, &address, session, generation, now);
        Ok(tokio::try_join!(opened, self.read_store_id())?.0)
    }

    async fn device_seen(&self, address: DeviceAddress, now: UnixMillis) -> Result<(), StoreError> {
        let seen = doc! { "$max": { "last_seen_at": values::time(now) } };
        self.db.devices.update_one(of_device(&address), seen).await.map_err(DbError::from)?;
        Ok(())
    }
}

/// See [`ConnectionStore::open_connection`].
async fn open_connection(
    db: &Db,
    address: &DeviceAddress,
    session: SessionId,
    generation: u32,
    now: UnixMillis,
) -> Result<OpenConnection, DbError> {
    let Some(account) = db.account(address.account).await? else { return Ok(OpenConnection::Refused) };
    let device = account.devices.iter().find(|device| device.is(address));
    let live = sessions::is_live(&account, address, session, generation);
    let Some(device) = device.filter(|_| live) else { return Ok(OpenConnection::Refused) };
    let next = || doc! { "$inc": { "epoch": 1_i64 }, "$max": { "last_seen_at": values::time(now) } };
    let bump = || db.devices.find_one_and_update(of_device(address), next()).return_document(ReturnDocument::After);
    let hot = match bump().await? {
        Some(hot) => Some(hot),
        None => {
            devices::ensure(db, address, device.since).await?;
            bump().await?
        }
    };
    let hot = hot.ok_or(DbError::Corrupt("a device whose document vanished"))?;
    let rows = async { Ok::<u64, DbError>(db.queue.count_documents(in_queue(address)).await?) };
    let (rows, notices, keys) = tokio::try_join!(rows, notices::waiting(db, address), prekeys::of(db, address))?;
    Ok(OpenConnection::Opened {
        epoch: ConnectionEpoch(hot.epoch.cast_unsigned()),
        key_epoch: keys.key_epoch(),
        pending: rows.saturating_add(notices),
        highest_number: MessageNumber(hot.highest.cast_unsigned()),
        one_time_left: keys.one_time_left(),
    })
}
