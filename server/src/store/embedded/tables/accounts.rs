//! Accounts: looking them up, and their passwords.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sealpost_api::encoding::EncodedDeviceList;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, UnixMillis};

use super::columns;
use crate::domain::constant_time::same;
use crate::store::accounts::{AccountRecord, NameMatch, NewAccount};
use crate::store::embedded::error::DbError;

/// Accounts with their current lists.
const SELECT: &str = "SELECT accounts.account_id, username, password_hash, created_at, list_version, encoded, disabled_at \
                      FROM accounts LEFT JOIN device_lists \
                      ON device_lists.account_id = accounts.account_id AND version = list_version";

/// Reads a row of [`SELECT`].
fn record(row: &Row<'_>) -> rusqlite::Result<AccountRecord> {
    Ok(AccountRecord {
        id: AccountId::from_bytes(row.get(0)?),
        username: columns::username(row, 1)?,
        password_hash: row.get(2)?,
        created_at: columns::millis(row.get(3)?),
        device_list_version: columns::bits(row, 4)?,
        device_list: EncodedDeviceList(row.get(5)?),
        disabled_at: row.get::<_, Option<i64>>(6)?.map(columns::millis),
    })
}

/// Returns the account with this name.
pub(crate) fn by_name(db: &Connection, username: &Username) -> Result<Option<AccountRecord>, DbError> {
    let mut select = db.prepare_cached(&format!("{SELECT} WHERE username = ?1"))?;
    Ok(select.query_row([username.as_str()], record).optional()?)
}

/// Returns the account with this id.
pub(crate) fn by_id(db: &Connection, account: &[u8; 16]) -> Result<Option<AccountRecord>, DbError> {
    let mut select = db.prepare_cached(&format!("{SELECT} WHERE accounts.account_id = ?1"))?;
    Ok(select.query_row([account], record).optional()?)
}

/// Returns the account with this name, or any other. Looks once into the index of names, once for any account, and once
/// for the row, whether the name exists or not.
pub(crate) fn named_or_other(db: &Connection, username: &Username) -> Result<Option<NameMatch>, DbError> {
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

/// Returns whether the name with this hash belonged to an account that was deleted.
pub(crate) fn is_retired(db: &Connection, username_hash: &[u8; 32]) -> Result<bool, DbError> {
    Ok(db.prepare_cached("SELECT 1 FROM retired_names WHERE username_hash = ?1")?.exists([username_hash])?)
}

/// Retires the name with this hash.
pub(crate) fn retire(db: &Connection, username_hash: &[u8; 32]) -> Result<(), DbError> {
    db.prepare_cached("INSERT OR IGNORE INTO retired_names (username_hash) VALUES (?1)")?.execute([username_hash])?;
    Ok(())
}

/// Writes the row of a new account.
pub(crate) fn insert(db: &Connection, account: &NewAccount, now: UnixMillis) -> Result<(), DbError> {
    db.prepare_cached(
        "INSERT INTO accounts (account_id, username, password_hash, created_at, list_version, list_hash) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        account.device_list.account().as_bytes(),
        account.username.as_str(),
        account.password_hash,
        columns::time(now),
        account.device_list.version().cast_signed(),
        account.device_list.hash()
    ])?;
    Ok(())
}

/// Returns whether the account's owner may not log in. An account that does not exist is not disabled.
pub(crate) fn is_disabled(db: &Connection, account: AccountId) -> Result<bool, DbError> {
    Ok(db
        .prepare_cached("SELECT 1 FROM accounts WHERE account_id = ?1 AND disabled_at IS NOT NULL")?
        .exists([account.as_bytes()])?)
}

/// Returns whether the account's password hash is the expected one; `None` if there is no such account.
fn is_hash(db: &Connection, account: AccountId, expected: &str) -> Result<Option<bool>, DbError> {
    let current: Option<String> = db
        .prepare_cached("SELECT password_hash FROM accounts WHERE account_id = ?1")?
        .query_row([account.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(current.map(|current| same(current.as_bytes(), expected.as_bytes())))
}

/// Returns whether the account's password was changed since `expected` was read. An account that does not exist has
/// none.
pub(crate) fn has_other_hash(db: &Connection, account: AccountId, expected: &str) -> Result<bool, DbError> {
    Ok(is_hash(db, account, expected)? == Some(false))
}

/// Exchanges the password hash if it is the expected one. Returns whether it was.
pub(crate) fn exchange_hash(db: &Connection, account: AccountId, expected: &str, new: &str) -> Result<bool, DbError> {
    if is_hash(db, account, expected)? != Some(true) {
        return Ok(false);
    }
    set_hash(db, account, new)
}

/// Sets the password hash. Returns whether the account exists.
pub(crate) fn set_hash(db: &Connection, account: AccountId, new: &str) -> Result<bool, DbError> {
    let mut update = db.prepare_cached("UPDATE accounts SET password_hash = ?2 WHERE account_id = ?1")?;
    Ok(update.execute(params![account.as_bytes(), new])? > 0)
}
