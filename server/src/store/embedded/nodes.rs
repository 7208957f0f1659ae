//! Questions of nodes about each other. There is only one node here, and it may ask all the same.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};
use sealpost_api::ids::{ConnectionEpoch, SessionId};
use sealpost_crypto::DeviceAddress;

use super::error::DbError;
use super::store::EmbeddedStore;
use super::tables::{columns, devices, notices};
use super::threads::job::Class;
use crate::store::error::StoreError;
use crate::store::nodes::{DeviceGlance, Fact, NodeStore};

#[async_trait]
impl NodeStore for EmbeddedStore {
    async fn live_sessions(&self, sessions: &[SessionId]) -> Result<BTreeSet<SessionId>, StoreError> {
        let sessions = sessions.to_vec();
        self.read(move |db| {
            let mut select = db.prepare_cached(
                "SELECT 1 FROM sessions JOIN devices ON devices.dev = sessions.dev \
                 WHERE session_id = ?1 AND ended = 0 AND devices.listed = 1",
            )?;
            let mut live = BTreeSet::new();
            for session in sessions {
                if select.exists([session.as_bytes()])? {
                    live.insert(session);
                }
            }
            Ok(live)
        })
        .await
    }

    async fn glance(&self, devices: &[DeviceAddress]) -> Result<Vec<DeviceGlance>, StoreError> {
        let devices = devices.to_vec();
        self.read(move |db| {
            let mut seen = Vec::with_capacity(devices.len());
            for address in devices {
                seen.extend(glance(db, address)?);
            }
            Ok(seen)
        })
        .await
    }

    async fn agree(&self, fact: Fact, first: [u8; 32]) -> Result<[u8; 32], StoreError> {
        // Nothing is written if something is recorded already: a server must start on a full disk.
        if let Some(recorded) = self.read(move |db| recorded(db, fact)).await? {
            return Ok(recorded);
        }
        self.write(Class::Direct, move |tx| {
            tx.db
                .prepare_cached("INSERT OR IGNORE INTO meta (key, value) VALUES (?1, ?2)")?
                .execute(params![fact.as_str(), first])?;
            recorded(tx.db, fact)?.ok_or(DbError::Corrupt("a fact that was just written is gone"))
        })
        .await
    }

    async fn agree_anew(&self, fact: Fact, from: [u8; 32], to: [u8; 32]) -> Result<bool, StoreError> {
        self.write(Class::Direct, move |tx| {
            let replaced = tx
                .db
                .prepare_cached("UPDATE meta SET value = ?3 WHERE key = ?1 AND value IN (?2, ?3)")?
                .execute(params![fact.as_str(), from, to])?;
            Ok(replaced > 0)
        })
        .await
    }
}

/// Returns what is recorded for a fact.
fn recorded(db: &Connection, fact: Fact) -> Result<Option<[u8; 32]>, DbError> {
    let mut select = db.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(select.query_row([fact.as_str()], |row| row.get(0)).optional()?)
}

/// Returns a glance at a device; `None` if it never connected or is gone.
fn glance(db: &Connection, address: DeviceAddress) -> Result<Option<DeviceGlance>, DbError> {
    let Some(dev) = devices::listed(db, &address)? else { return Ok(None) };
    let mut select = db.prepare_cached("SELECT connection_epoch, queue_messages FROM devices WHERE dev = ?1")?;
    let found = select.query_row([dev], |row| Ok((columns::bits(row, 0)?, columns::count(row, 1)?))).optional()?;
    let Some((epoch, messages)) = found.filter(|(epoch, _)| *epoch > 0) else { return Ok(None) };
    let waiting = messages > 0 || notices::waiting(db, dev)? > 0;
    Ok(Some(DeviceGlance { address, epoch: ConnectionEpoch(epoch), waiting }))
}
