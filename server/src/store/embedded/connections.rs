//! Connections.

use async_trait::async_trait;
use rusqlite::params;
use sealpost_api::ids::{ConnectionEpoch, KeyEpoch, SessionId};
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::error::DbError;
use super::store::EmbeddedStore;
use super::tables::{columns, notices, prekeys};
use super::threads::job::Class;
use super::threads::tx::Tx;
use crate::store::connections::{ConnectionStore, OpenConnection};
use crate::store::error::StoreError;

#[async_trait]
impl ConnectionStore for EmbeddedStore {
    async fn open_connection(
        &self,
        address: DeviceAddress,
        session: SessionId,
        generation: u32,
        now: UnixMillis,
    ) -> Result<OpenConnection, StoreError> {
        self.write(Class::Cached, move |tx| open_connection(tx, &address, session, generation, now)).await
    }

    async fn device_seen(&self, address: DeviceAddress, now: UnixMillis) -> Result<(), StoreError> {
        self.write(Class::Cached, move |tx| {
            if let Some(dev) = tx.cache.listed(tx.db, &address)? {
                see(tx, dev, now)?;
            }
            Ok(())
        })
        .await
    }
}

/// See [`ConnectionStore::open_connection`].
fn open_connection(
    tx: &mut Tx<'_>,
    address: &DeviceAddress,
    session: SessionId,
    generation: u32,
    now: UnixMillis,
) -> Result<OpenConnection, DbError> {
    let Some(dev) = tx.cache.listed(tx.db, address)? else { return Ok(OpenConnection::Refused) };
    let live = tx
        .db
        .prepare_cached("SELECT 1 FROM sessions WHERE session_id = ?1 AND dev = ?2 AND generation = ?3 AND ended = 0")?
        .exists(params![session.as_bytes(), dev, generation])?;
    if !live {
        return Ok(OpenConnection::Refused);
    }
    let device = tx.cache.device_mut(dev)?;
    device.connection_epoch =
        device.connection_epoch.checked_add(1).ok_or(DbError::Corrupt("a device has no connection epoch left"))?;
    see(tx, dev, now)?;
    let device = tx.cache.device(dev)?;
    let (epoch, queued, highest) = (device.connection_epoch, device.queue_messages, device.window.highest());
    let key_epoch = tx
        .db
        .prepare_cached("SELECT key_epoch FROM devices WHERE dev = ?1")?
        .query_row([dev], |row| columns::small(row, 0))?;
    Ok(OpenConnection::Opened {
        epoch: ConnectionEpoch(epoch),
        key_epoch: KeyEpoch(key_epoch),
        pending: queued.saturating_add(notices::waiting(tx.db, dev)?),
        highest_number: highest,
        one_time_left: prekeys::one_time_left(tx.db, dev)?,
    })
}

/// Records that a device was seen.
fn see(tx: &mut Tx<'_>, dev: i64, now: UnixMillis) -> Result<(), DbError> {
    let now = columns::time(now);
    if tx.cache.device(dev)?.last_seen_at < now {
        tx.cache.device_mut(dev)?.last_seen_at = now;
    }
    Ok(())
}
