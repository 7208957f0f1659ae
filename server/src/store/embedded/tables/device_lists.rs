//! Device lists.

use rusqlite::{Connection, OptionalExtension as _, params};
use sealpost_api::encoding::EncodedDeviceList;
use sealpost_crypto::{AccountId, DeviceList};

use super::columns;
use crate::domain::succession::CurrentList;
use crate::store::embedded::error::DbError;

/// Returns version and hash of the current list; `None` if there is no such account.
pub(crate) fn current(db: &Connection, account: AccountId) -> Result<Option<CurrentList>, DbError> {
    let mut select = db.prepare_cached("SELECT list_version, list_hash FROM accounts WHERE account_id = ?1")?;
    let current = select
        .query_row([account.as_bytes()], |row| Ok(CurrentList { version: columns::bits(row, 0)?, hash: row.get(1)? }));
    Ok(current.optional()?)
}

/// Makes a list the current one.
pub(crate) fn make_current(db: &Connection, list: &DeviceList) -> Result<(), DbError> {
    insert(db, list.account(), list.version(), list.encoded())?;
    db.prepare_cached("UPDATE accounts SET list_version = ?2, list_hash = ?3 WHERE account_id = ?1")?
        .execute(params![list.account().as_bytes(), list.version().cast_signed(), list.hash()])?;
    Ok(())
}

/// Writes a list.
pub(crate) fn insert(db: &Connection, account: AccountId, version: u64, encoded: &[u8]) -> Result<(), DbError> {
    db.prepare_cached("INSERT INTO device_lists (account_id, version, encoded) VALUES (?1, ?2, ?3)")?
        .execute(params![account.as_bytes(), version.cast_signed(), encoded])?;
    Ok(())
}

/// Returns up to `limit` lists with versions above `after`, ascending, and the current version; `None` if there is no
/// such account.
pub(crate) fn after(
    db: &Connection,
    account: AccountId,
    after: u64,
    limit: usize,
) -> Result<Option<(Vec<EncodedDeviceList>, u64)>, DbError> {
    let Some(current) = current(db, account)? else { return Ok(None) };
    let mut select = db.prepare_cached(
        "SELECT encoded FROM device_lists WHERE account_id = ?1 AND version > ?2 ORDER BY version LIMIT ?3",
    )?;
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let lists = select.query_map(params![account.as_bytes(), after, columns::limit(limit)], |row| {
        row.get(0).map(EncodedDeviceList)
    })?;
    Ok(Some((lists.collect::<rusqlite::Result<_>>()?, current.version)))
}
