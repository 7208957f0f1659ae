//! Accounts: names, passwords, device lists, and their end.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sealpost_api::encoding::EncodedDeviceList;
use sealpost_api::frames::ExpiryReason;
use sealpost_api::ids::SessionId;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};
use sealpost_sabotage::{Countermeasure, without};
use subtle::ConstantTimeEq as _;

use super::error::DbError;
use super::job::Class;
use super::writer::Tx;
use super::{EmbeddedStore, admin, devices, prekeys, rows, sessions};
use crate::store::{
    AccountRecord, AccountStore, CreateAccount, Erased, LogIn, NameMatch, NewAccount, PublishList, PublishOutcome,
    StoreError, Vacancy,
};

#[async_trait]
impl AccountStore for EmbeddedStore {
    async fn create_account(&self, account: NewAccount, now: UnixMillis) -> Result<CreateAccount, StoreError> {
        self.write(Class::Direct, move |tx| create(tx, &account, now)).await
    }

    async fn vacancy(
        &self,
        username: &Username,
        username_hash: [u8; 32],
        invite_hash: Option<[u8; 32]>,
        now: UnixMillis,
    ) -> Result<Vacancy, StoreError> {
        let username = username.clone();
        self.read(move |db| {
            Ok(Vacancy {
                holder: by_name(db, &username)?.map(Box::new),
                retired: is_retired(db, &username_hash)?,
                invite_good: is_invite_good(db, invite_hash, now)?,
            })
        })
        .await
    }

    async fn account_by_name(&self, username: &Username) -> Result<Option<AccountRecord>, StoreError> {
        let username = username.clone();
        self.read(move |db| by_name(db, &username)).await
    }

    async fn account_or_other(&self, username: &Username) -> Result<Option<NameMatch>, StoreError> {
        let username = username.clone();
        self.read(move |db| named_or_other(db, &username)).await
    }

    async fn account(&self, account: AccountId) -> Result<Option<AccountRecord>, StoreError> {
        self.read(move |db| by_id(db, account.as_bytes())).await
    }

    async fn set_password_hash(
        &self,
        account: AccountId,
        expected: &str,
        new: &str,
        keep: Option<SessionId>,
    ) -> Result<Option<Vec<SessionId>>, StoreError> {
        let (expected, new) = (expected.to_owned(), new.to_owned());
        self.write(Class::Direct, move |tx| {
            if !exchange_hash(tx.db, account, &expected, &new)? {
                return Ok(None);
            }
            if let Some(keep) = keep {
                tx.db
                    .prepare_cached(
                        "UPDATE sessions SET generation = generation + 1 \
                         WHERE session_id = ?1 AND account_id = ?2 AND ended = 0",
                    )?
                    .execute(params![keep.as_bytes(), account.as_bytes()])?;
            }
            sessions::end_all(tx.db, account, keep).map(Some)
        })
        .await
    }

    async fn rehash_password(&self, account: AccountId, expected: &str, new: &str) -> Result<bool, StoreError> {
        let (expected, new) = (expected.to_owned(), new.to_owned());
        self.write(Class::Direct, move |tx| exchange_hash(tx.db, account, &expected, &new)).await
    }

    async fn publish_device_list(&self, publish: PublishList, now: UnixMillis) -> Result<PublishOutcome, StoreError> {
        self.write(Class::Sweeping, move |tx| publish_list(tx, &publish, now)).await
    }

    async fn device_lists(
        &self,
        account: AccountId,
        after: u64,
        limit: usize,
    ) -> Result<Option<(Vec<EncodedDeviceList>, u64)>, StoreError> {
        self.read(move |db| device_lists(db, account, after, limit)).await
    }

    async fn delete_account(
        &self,
        account: AccountId,
        username_hash: [u8; 32],
        now: UnixMillis,
    ) -> Result<Option<Erased>, StoreError> {
        self.write(Class::Sweeping, move |tx| {
            *tx.forget = true;
            delete(tx.db, account, &username_hash, now)
        })
        .await
    }

    async fn add_invite(
        &self,
        invite_hash: [u8; 32],
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(Class::Direct, move |tx| {
            tx.db
                .prepare_cached(
                    "INSERT INTO invites (invite_hash, expires_at, created_at) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (invite_hash) DO UPDATE SET expires_at = max(expires_at, excluded.expires_at)",
                )?
                .execute(params![invite_hash, rows::time(expires_at), rows::time(now)])?;
            Ok(())
        })
        .await
    }
}

const SELECT: &str = "SELECT accounts.account_id, username, password_hash, created_at, list_version, encoded, disabled_at \
                      FROM accounts LEFT JOIN device_lists \
                      ON device_lists.account_id = accounts.account_id AND version = list_version";

fn record(row: &Row<'_>) -> rusqlite::Result<AccountRecord> {
    Ok(AccountRecord {
        id: AccountId::from_bytes(row.get(0)?),
        username: rows::username(row, 1)?,
        password_hash: row.get(2)?,
        created_at: rows::millis(row.get(3)?),
        device_list_version: rows::bits(row, 4)?,
        device_list: EncodedDeviceList(row.get(5)?),
        disabled_at: row.get::<_, Option<i64>>(6)?.map(rows::millis),
    })
}

fn by_name(db: &Connection, username: &Username) -> Result<Option<AccountRecord>, DbError> {
    let mut select = db.prepare_cached(&format!("{SELECT} WHERE username = ?1"))?;
    Ok(select.query_row([username.as_str()], record).optional()?)
}

fn by_id(db: &Connection, account: &[u8; 16]) -> Result<Option<AccountRecord>, DbError> {
    let mut select = db.prepare_cached(&format!("{SELECT} WHERE accounts.account_id = ?1"))?;
    Ok(select.query_row([account], record).optional()?)
}

/// One look into the index of names, one for any account, one for the row of either: whether the name is there or not.
fn named_or_other(db: &Connection, username: &Username) -> Result<Option<NameMatch>, DbError> {
    let named: Option<[u8; 16]> = db
        .prepare_cached("SELECT account_id FROM accounts WHERE username = ?1")?
        .query_row([username.as_str()], |row| row.get(0))
        .optional()?;
    let other: Option<[u8; 16]> = db
        .prepare_cached("SELECT account_id FROM accounts ORDER BY account_id LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let Some(account) = named.or(other) else { return Ok(None) };
    let record = by_id(db, &account)?.map(Box::new);
    Ok(record.map(|record| if named.is_some() { NameMatch::Named(record) } else { NameMatch::Other(record) }))
}

fn create(tx: &mut Tx<'_>, account: &NewAccount, now: UnixMillis) -> Result<CreateAccount, DbError> {
    let (db, id) = (tx.db, account.device_list.account());
    if let Some(record) = by_name(db, &account.username)?.filter(|_| !without(Countermeasure::UniqueName)) {
        return Ok(CreateAccount::NameTaken(Box::new(record)));
    }
    if is_retired(db, &account.username_hash)? {
        return Ok(CreateAccount::NameRetired);
    }
    // A deleted account's devices may still be named as senders; its id is not free while they are.
    if db.prepare_cached("SELECT 1 FROM devices WHERE account_id = ?1")?.exists([id.as_bytes()])? {
        return Ok(CreateAccount::AccountTaken);
    }
    if sessions::taken(db, account.session.id)? {
        return Ok(CreateAccount::SessionTaken);
    }
    if !is_invite_good(db, account.invite_hash, now)? {
        return Ok(CreateAccount::InviteInvalid);
    }
    tx.space.require()?;
    if let Some(invite) = account.invite_hash {
        db.prepare_cached("DELETE FROM invites WHERE invite_hash = ?1")?.execute([invite])?;
    }
    db.prepare_cached(
        "INSERT INTO accounts (account_id, username, password_hash, created_at, list_version, list_hash) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        id.as_bytes(),
        account.username.as_str(),
        account.password_hash,
        rows::time(now),
        account.device_list.version().cast_signed(),
        account.device_list.hash()
    ])?;
    insert_list(db, id, account.device_list.version(), account.device_list.encoded())?;
    for entry in account.device_list.devices() {
        let dev = devices::enlist(db, id, entry, now)?;
        if entry.device == account.keys.device {
            prekeys::begin(db, dev, &account.keys)?;
        }
        if entry.device == account.session.address.device {
            sessions::insert(db, &account.session, dev, now)?;
        }
    }
    Ok(CreateAccount::Created)
}

fn is_retired(db: &Connection, username_hash: &[u8; 32]) -> Result<bool, DbError> {
    Ok(db.prepare_cached("SELECT 1 FROM retired_names WHERE username_hash = ?1")?.exists([username_hash])?)
}

fn is_invite_good(db: &Connection, invite: Option<[u8; 32]>, now: UnixMillis) -> Result<bool, DbError> {
    let Some(invite) = invite else { return Ok(true) };
    Ok(db
        .prepare_cached("SELECT 1 FROM invites WHERE invite_hash = ?1 AND expires_at > ?2")?
        .exists(params![invite, rows::time(now)])?)
}

fn insert_list(db: &Connection, account: AccountId, version: u64, encoded: &[u8]) -> Result<(), DbError> {
    db.prepare_cached("INSERT INTO device_lists (account_id, version, encoded) VALUES (?1, ?2, ?3)")?
        .execute(params![account.as_bytes(), version.cast_signed(), encoded])?;
    Ok(())
}

/// Whether the account's password hash is the expected one; `None` for no account.
fn is_hash(db: &Connection, account: AccountId, expected: &str) -> Result<Option<bool>, DbError> {
    let current: Option<String> = db
        .prepare_cached("SELECT password_hash FROM accounts WHERE account_id = ?1")?
        .query_row([account.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(current.map(|current| current.as_bytes().ct_eq(expected.as_bytes()).into()))
}

/// Whether the account has another password by now than the one that was shown; an account that is not there has none.
pub(super) fn has_other_hash(db: &Connection, account: AccountId, expected: &str) -> Result<bool, DbError> {
    Ok(is_hash(db, account, expected)? == Some(false))
}

/// Exchanges the password hash if it is still the expected one.
fn exchange_hash(db: &Connection, account: AccountId, expected: &str, new: &str) -> Result<bool, DbError> {
    if is_hash(db, account, expected)? != Some(true) {
        return Ok(false);
    }
    db.prepare_cached("UPDATE accounts SET password_hash = ?2 WHERE account_id = ?1")?
        .execute(params![account.as_bytes(), new])?;
    Ok(true)
}

fn publish_list(tx: &mut Tx<'_>, publish: &PublishList, now: UnixMillis) -> Result<PublishOutcome, DbError> {
    let (db, list) = (tx.db, &publish.device_list);
    let account = list.account();
    let current: Option<(u64, [u8; 32])> = db
        .prepare_cached("SELECT list_version, list_hash FROM accounts WHERE account_id = ?1")?
        .query_row([account.as_bytes()], |row| Ok((rows::bits(row, 0)?, row.get(1)?)))
        .optional()?;
    let Some((version, hash)) = current else { return Ok(PublishOutcome::UnknownAccount) };
    if hash == list.hash() {
        return Ok(PublishOutcome::AlreadyCurrent);
    }
    if hash != list.previous_hash() || version.checked_add(1) != Some(list.version()) {
        return Ok(PublishOutcome::Conflict);
    }
    if let Some(LogIn { session, password_hash }) = &publish.log_in {
        if admin::disabled(db, account)? {
            return Ok(PublishOutcome::UnknownAccount);
        }
        if has_other_hash(db, account, password_hash)? {
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
    insert_list(db, account, list.version(), list.encoded())?;
    db.prepare_cached("UPDATE accounts SET list_version = ?2, list_hash = ?3 WHERE account_id = ?1")?
        .execute(params![account.as_bytes(), list.version().cast_signed(), list.hash()])?;
    Ok(PublishOutcome::Published {
        removed: gone.into_iter().map(|(_, address)| address).collect(),
        ended_sessions: removed.ended_sessions,
        notified: removed.notified.into_iter().collect(),
    })
}

fn device_lists(
    db: &Connection,
    account: AccountId,
    after: u64,
    limit: usize,
) -> Result<Option<(Vec<EncodedDeviceList>, u64)>, DbError> {
    let current = db
        .prepare_cached("SELECT list_version FROM accounts WHERE account_id = ?1")?
        .query_row([account.as_bytes()], |row| rows::bits(row, 0))
        .optional()?;
    let Some(current) = current else { return Ok(None) };
    let mut select = db.prepare_cached(
        "SELECT encoded FROM device_lists WHERE account_id = ?1 AND version > ?2 ORDER BY version LIMIT ?3",
    )?;
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let lists = select.query_map(params![account.as_bytes(), after, limit], |row| row.get(0).map(EncodedDeviceList))?;
    Ok(Some((lists.collect::<rusqlite::Result<_>>()?, current)))
}

fn delete(
    db: &Connection,
    account: AccountId,
    username_hash: &[u8; 32],
    now: UnixMillis,
) -> Result<Option<Erased>, DbError> {
    let execute = |sql: &str| -> Result<u64, DbError> {
        Ok(u64::try_from(db.prepare_cached(sql)?.execute([account.as_bytes()])?).unwrap_or(u64::MAX))
    };
    if execute("DELETE FROM accounts WHERE account_id = ?1")? == 0 {
        return Ok(None);
    }
    let devices = devices::current(db, account)?;
    let removed = devices::remove(db, &devices, ExpiryReason::AccountDeleted, now)?;
    // What others still have to read from it needs an address and nothing else.
    execute(
        "DELETE FROM devices WHERE account_id = ?1 AND listed = 0 \
         AND dev NOT IN (SELECT sender_dev FROM queue INDEXED BY queue_numbers)",
    )?;
    execute("UPDATE devices SET identity = zeroblob(32), last_seen_at = 0 WHERE account_id = ?1 AND listed = 0")?;
    db.prepare_cached("INSERT OR IGNORE INTO retired_names (username_hash) VALUES (?1)")?.execute([username_hash])?;
    Ok(Some(Erased {
        devices: u64::try_from(devices.len()).unwrap_or(u64::MAX),
        device_lists: execute("DELETE FROM device_lists WHERE account_id = ?1")?,
        signed_prekeys: removed.signed_prekeys,
        one_time_prekeys: removed.one_time_prekeys,
        queued_messages: removed.queued_messages,
        ended_sessions: removed.ended_sessions,
        sessions: execute("DELETE FROM sessions WHERE account_id = ?1")?,
        notified: removed.notified.into_iter().collect(),
    }))
}
