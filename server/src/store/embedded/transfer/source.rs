//! Reading everything, in an order that does not change.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use sealpost_api::ids::{RefreshTokenHash, ServerId, SessionId, StoreId};
use sealpost_crypto::{AccountId, DeviceAddress};

use super::database::EmbeddedTransfer;
use crate::base::files;
use crate::store::embedded::error::DbError;
use crate::store::embedded::migrations;
use crate::store::embedded::moved::MOVED;
use crate::store::embedded::tables::{columns, devices, invites, prekeys};
use crate::store::error::StoreError;
use crate::store::invites::InviteRecord;
use crate::store::transfer::{
    MovedAccount, MovedDevice, MovedMessage, MovedNotice, MovedSession, Totals, TransferSource,
};

/// Runs a read, and turns its error into one of the store.
fn read<T>(work: impl FnOnce() -> Result<T, DbError>) -> Result<T, StoreError> {
    Ok(work()?)
}

#[async_trait]
impl TransferSource for EmbeddedTransfer {
    async fn ids(&mut self) -> Result<(ServerId, StoreId), StoreError> {
        let of = |key| migrations::meta(&self.db, key).map_err(DbError::from);
        Ok((ServerId::from_bytes(of("server_id")?), StoreId::from_bytes(of("store_id")?)))
    }

    async fn totals(&mut self) -> Result<Totals, StoreError> {
        let count = |table: &str| {
            let select = format!("SELECT count(*) FROM {table}");
            self.db.query_row(&select, [], |row| columns::count(row, 0)).map_err(DbError::from)
        };
        Ok(Totals { accounts: count("accounts")?, messages: count("queue")? })
    }

    async fn accounts(&mut self, after: Option<AccountId>, limit: usize) -> Result<Vec<MovedAccount>, StoreError> {
        read(|| {
            let mut select = self.db.prepare_cached(
                "SELECT account_id, username, password_hash, created_at, disabled_at, list_hash FROM accounts \
                 WHERE account_id > ?1 OR ?1 IS NULL ORDER BY account_id LIMIT ?2",
            )?;
            let after = after.map(|account| *account.as_bytes());
            let mut accounts: Vec<MovedAccount> = select
                .query_map(params![after, columns::limit(limit)], read_account)?
                .collect::<rusqlite::Result<_>>()?;
            for account in &mut accounts {
                account.lists = read_lists(&self.db, account.id)?;
                account.devices = read_devices(&self.db, account.id)?;
                account.sessions = read_sessions(&self.db, account.id)?;
            }
            Ok(accounts)
        })
    }

    async fn messages(
        &mut self,
        to: &DeviceAddress,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<MovedMessage>, StoreError> {
        read(|| {
            let Some(dev) = devices::listed(&self.db, to)? else { return Ok(Vec::new()) };
            let mut select = self.db.prepare_cached(
                "SELECT id, account_id, device_id, registration, number, accepted_at, ciphertext FROM queue \
                 JOIN devices ON devices.dev = queue.sender_dev WHERE queue.dev = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
            )?;
            let after = after.map_or(-1, u64::cast_signed);
            let found = select.query_map(params![dev, after, columns::limit(limit)], |row| {
                Ok(MovedMessage {
                    position: columns::bits(row, 0)?,
                    from: columns::address(row, 1)?,
                    number: columns::bits(row, 4)?,
                    accepted_at: columns::millis(row.get(5)?),
                    ciphertext: row.get(6)?,
                })
            })?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
    }

    async fn invites(&mut self) -> Result<Vec<InviteRecord>, StoreError> {
        read(|| {
            let mut select =
                self.db.prepare("SELECT invite_hash, created_at, expires_at FROM invites ORDER BY invite_hash")?;
            let found = select.query_map([], invites::record)?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
    }

    async fn retired_names(&mut self) -> Result<Vec<[u8; 32]>, StoreError> {
        read(|| {
            let mut select = self.db.prepare("SELECT username_hash FROM retired_names ORDER BY username_hash")?;
            Ok(select.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
        })
    }

    async fn moved_away(&mut self) -> Result<(), StoreError> {
        let about = b"What the database beside this file held was moved to another store by `sealpost-server move`.\n";
        let written = files::replace(&self.path.join(MOVED), about, 0o600);
        written.map_err(|error| StoreError::Failed(error.to_string().into()))
    }
}

/// Reads an account, without what belongs to it.
fn read_account(row: &Row<'_>) -> rusqlite::Result<MovedAccount> {
    Ok(MovedAccount {
        id: AccountId::from_bytes(row.get(0)?),
        username: columns::username(row, 1)?,
        name_hash: None,
        password_hash: row.get(2)?,
        created_at: columns::millis(row.get(3)?),
        disabled_at: row.get::<_, Option<i64>>(4)?.map(columns::millis),
        lists: Vec::new(),
        list_hash: row.get(5)?,
        devices: Vec::new(),
        sessions: Vec::new(),
    })
}

/// Reads the device lists of an account, with their versions.
fn read_lists(db: &Connection, account: AccountId) -> Result<Vec<(u64, Vec<u8>)>, DbError> {
    let mut select =
        db.prepare_cached("SELECT version, encoded FROM device_lists WHERE account_id = ?1 ORDER BY version")?;
    let found = select.query_map([account.as_bytes()], |row| Ok((columns::bits(row, 0)?, row.get(1)?)))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Reads the devices of the current list.
fn read_devices(db: &Connection, account: AccountId) -> Result<Vec<MovedDevice>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT dev, account_id, device_id, registration, identity, last_seen_at, key_epoch, max_issued_id, \
         connection_epoch, highest_number, number_window, \
         (SELECT count(*) FROM one_time_prekeys WHERE one_time_prekeys.dev = devices.dev) \
         FROM devices WHERE account_id = ?1 AND listed = 1 ORDER BY device_id",
    )?;
    let found = select.query_map([account.as_bytes()], |row| {
        let device = MovedDevice {
            address: columns::address(row, 1)?,
            identity: columns::identity(row, 4)?,
            last_seen_at: columns::millis(row.get(5)?),
            key_epoch: columns::small(row, 6)?,
            max_issued_id: columns::small(row, 7)?,
            connection_epoch: columns::bits(row, 8)?,
            highest_number: columns::bits(row, 9)?,
            window: row.get(10)?,
            signed_prekey: None,
            one_time_prekeys: columns::count(row, 11)?,
            notices: Vec::new(),
        };
        Ok((row.get::<_, i64>(0)?, device))
    })?;
    let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
    found
        .into_iter()
        .map(|(dev, mut device)| {
            device.signed_prekey = prekeys::signed_prekey(db, dev)?;
            device.notices = read_notices(db, dev)?;
            Ok(device)
        })
        .collect()
}

/// Reads the notices of a device.
fn read_notices(db: &Connection, dev: i64) -> Result<Vec<MovedNotice>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT kind, reason, peer, count, numbers, created_at, sealed FROM notices WHERE dev = ?1 ORDER BY notice_id",
    )?;
    let found = select.query_map([dev], |row| {
        let packed: Vec<u8> = row.get(4)?;
        let mut numbers: Vec<u64> =
            packed.as_chunks::<8>().0.iter().map(|number| u64::from_be_bytes(*number)).collect();
        numbers.sort_unstable();
        Ok(MovedNotice {
            kind: row.get(0)?,
            reason: row.get(1)?,
            peer: columns::packed_address(row, 2)?,
            count: columns::count(row, 3)?,
            numbers,
            created_at: columns::millis(row.get(5)?),
            sealed: row.get(6)?,
        })
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Reads the sessions of an account.
fn read_sessions(db: &Connection, account: AccountId) -> Result<Vec<MovedSession>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT session_id, devices.account_id, device_id, registration, refresh_hash, previous_hash, generation, \
         created_at, last_used_at, ended FROM sessions JOIN devices USING (dev) WHERE sessions.account_id = ?1 \
         ORDER BY session_id",
    )?;
    let found = select.query_map([account.as_bytes()], |row| {
        Ok(MovedSession {
            id: SessionId::from_bytes(row.get(0)?),
            address: columns::address(row, 1)?,
            refresh_hash: RefreshTokenHash::from_bytes(row.get(4)?),
            previous_hash: row.get::<_, Option<[u8; 32]>>(5)?.map(RefreshTokenHash::from_bytes),
            generation: columns::small(row, 6)?,
            created_at: columns::millis(row.get(7)?),
            last_used_at: columns::millis(row.get(8)?),
            ended: row.get(9)?,
        })
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}
