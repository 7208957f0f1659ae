//! Accounts: creating, looking up, passwords, deleting.

use async_trait::async_trait;
use rusqlite::{Connection, params};
use sealpost_api::frames::ExpiryReason;
use sealpost_api::ids::SessionId;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, UnixMillis};
use sealpost_sabotage::{Countermeasure, refuses};

use super::error::DbError;
use super::store::EmbeddedStore;
use super::tables::{accounts, columns, device_lists, devices, invites, prekeys, sessions};
use super::threads::job::Class;
use super::threads::tx::Tx;
use crate::store::accounts::{AccountRecord, AccountStore, CreateAccount, Erased, NameMatch, NewAccount, Vacancy};
use crate::store::error::StoreError;

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
                holder: accounts::by_name(db, &username)?.map(Box::new),
                retired: accounts::is_retired(db, &username_hash)?,
                invite_good: invites::is_good(db, invite_hash, now)?,
            })
        })
        .await
    }

    async fn account_by_name(&self, username: &Username) -> Result<Option<AccountRecord>, StoreError> {
        let username = username.clone();
        self.read(move |db| accounts::by_name(db, &username)).await
    }

    async fn account_or_other(&self, username: &Username) -> Result<Option<NameMatch>, StoreError> {
        let username = username.clone();
        self.read(move |db| accounts::named_or_other(db, &username)).await
    }

    async fn account(&self, account: AccountId) -> Result<Option<AccountRecord>, StoreError> {
        self.read(move |db| accounts::by_id(db, account.as_bytes())).await
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
            if !accounts::exchange_hash(tx.db, account, &expected, &new)? {
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
        self.write(Class::Direct, move |tx| accounts::exchange_hash(tx.db, account, &expected, &new)).await
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
}

/// See [`AccountStore::create_account`].
fn create(tx: &mut Tx<'_>, account: &NewAccount, now: UnixMillis) -> Result<CreateAccount, DbError> {
    let (db, id) = (tx.db, account.device_list.account());
    if let Some(record) =
        accounts::by_name(db, &account.username)?.filter(|_| refuses(Countermeasure::UniqueName, true))
    {
        return Ok(CreateAccount::NameTaken(Box::new(record)));
    }
    if accounts::is_retired(db, &account.username_hash)? {
        return Ok(CreateAccount::NameRetired);
    }
    // The devices of a deleted account may still be named as senders. Until they are not, its id is not free.
    if db.prepare_cached("SELECT 1 FROM devices WHERE account_id = ?1")?.exists([id.as_bytes()])? {
        return Ok(CreateAccount::AccountTaken);
    }
    if sessions::taken(db, account.session.id)? {
        return Ok(CreateAccount::SessionTaken);
    }
    if !invites::is_good(db, account.invite_hash, now)? {
        return Ok(CreateAccount::InviteInvalid);
    }
    tx.space.require()?;
    if let Some(invite) = account.invite_hash {
        invites::remove(db, invite)?;
    }
    accounts::insert(db, account, now)?;
    device_lists::insert(db, id, account.device_list.version(), account.device_list.encoded())?;
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

/// See [`AccountStore::delete_account`].
fn delete(
    db: &Connection,
    account: AccountId,
    username_hash: &[u8; 32],
    now: UnixMillis,
) -> Result<Option<Erased>, DbError> {
    let execute = |sql: &str| -> Result<u64, DbError> {
        Ok(columns::changed(db.prepare_cached(sql)?.execute([account.as_bytes()])?))
    };
    if execute("DELETE FROM accounts WHERE account_id = ?1")? == 0 {
        return Ok(None);
    }
    let devices = devices::current(db, account)?;
    let removed = devices::remove(db, &devices, ExpiryReason::AccountDeleted, now)?;
    // Messages that others still have to read need its address and nothing else.
    execute(
        "DELETE FROM devices WHERE account_id = ?1 AND listed = 0 \
         AND dev NOT IN (SELECT sender_dev FROM queue INDEXED BY queue_numbers)",
    )?;
    execute("UPDATE devices SET identity = zeroblob(32), last_seen_at = 0 WHERE account_id = ?1 AND listed = 0")?;
    accounts::retire(db, username_hash)?;
    Ok(Some(Erased {
        devices: columns::changed(devices.len()),
        device_lists: execute("DELETE FROM device_lists WHERE account_id = ?1")?,
        signed_prekeys: removed.signed_prekeys,
        one_time_prekeys: removed.one_time_prekeys,
        queued_messages: removed.queued_messages,
        ended_sessions: removed.ended_sessions,
        sessions: execute("DELETE FROM sessions WHERE account_id = ?1")?,
        notified: removed.notified.into_iter().collect(),
    }))
}
