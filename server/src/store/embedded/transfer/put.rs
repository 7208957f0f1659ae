//! Writing the records of a move.

use rusqlite::{Connection, params};
use sealpost_api::ids::RefreshTokenHash;
use sealpost_crypto::{AccountId, DeviceAddress};

use crate::store::embedded::error::DbError;
use crate::store::embedded::tables::{columns, device_lists, devices, prekeys, row_ids};
use crate::store::transfer::{MovedAccount, MovedDevice, MovedMessage, MovedNotice, MovedSession};

/// Writes an account over everything that the target holds of it.
pub(super) fn account(db: &Connection, account: &MovedAccount) -> Result<(), DbError> {
    let id = account.id.as_bytes();
    for sql in [
        "DELETE FROM queue WHERE dev IN (SELECT dev FROM devices WHERE account_id = ?1)",
        "DELETE FROM notices WHERE dev IN (SELECT dev FROM devices WHERE account_id = ?1)",
        "DELETE FROM signed_prekeys WHERE dev IN (SELECT dev FROM devices WHERE account_id = ?1)",
        "DELETE FROM device_lists WHERE account_id = ?1",
        "DELETE FROM sessions WHERE account_id = ?1",
        "DELETE FROM accounts WHERE account_id = ?1",
    ] {
        db.prepare_cached(sql)?.execute([id])?;
    }
    let (version, _) = account.lists.last().ok_or(DbError::Corrupt("an account without a device list"))?;
    db.prepare_cached(
        "INSERT INTO accounts (account_id, username, password_hash, created_at, list_version, list_hash, disabled_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        id,
        account.username.as_str(),
        account.password_hash,
        columns::time(account.created_at),
        version.cast_signed(),
        account.list_hash,
        account.disabled_at.map(columns::time)
    ])?;
    for (version, encoded) in &account.lists {
        device_lists::insert(db, account.id, *version, encoded)?;
    }
    for device in &account.devices {
        put_device(db, device)?;
    }
    for session in &account.sessions {
        put_session(db, account.id, session)?;
    }
    Ok(())
}

/// Appends a message to the end of a queue.
pub(super) fn message(db: &Connection, to: &DeviceAddress, message: &MovedMessage) -> Result<(), DbError> {
    let dev = devices::listed(db, to)?.ok_or(DbError::Corrupt("a message for a device that was not moved"))?;
    let sender = known(db, &message.from)?;
    let (next, bytes) = (
        db.prepare_cached("SELECT queue_next FROM devices WHERE dev = ?1")?
            .query_row([dev], |row| columns::bits(row, 0))?,
        i64::try_from(message.ciphertext.len()).unwrap_or(i64::MAX),
    );
    let id = row_ids::queue_id(dev, next).ok_or(DbError::Corrupt("a queue has no row id left"))?;
    db.prepare_cached(
        "INSERT INTO queue (id, dev, sender_dev, number, accepted_at, ciphertext) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        id,
        dev,
        sender,
        message.number.cast_signed(),
        columns::time(message.accepted_at),
        message.ciphertext
    ])?;
    db.prepare_cached(
        "UPDATE devices SET queue_next = queue_next + 1, queue_messages = queue_messages + 1, \
         queue_bytes = queue_bytes + ?2 WHERE dev = ?1",
    )?
    .execute(params![dev, bytes])?;
    Ok(())
}

/// Returns the key of a device's row. A device without a row gets one as if it had left its list.
fn known(db: &Connection, address: &DeviceAddress) -> Result<i64, DbError> {
    let (account, device, registration) = devices::key(address);
    db.prepare_cached(
        "INSERT INTO devices (account_id, device_id, registration, identity, listed, removed_at, last_seen_at, key_epoch, \
         max_issued_id, connection_epoch, queue_messages, queue_bytes, queue_next, highest_number, number_window) \
         VALUES (?1, ?2, ?3, zeroblob(32), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, zeroblob(128)) \
         ON CONFLICT (account_id, device_id, registration) DO NOTHING",
    )?
    .execute(params![account, device, registration])?;
    Ok(db
        .prepare_cached("SELECT dev FROM devices WHERE account_id = ?1 AND device_id = ?2 AND registration = ?3")?
        .query_row(params![account, device, registration], |row| row.get(0))?)
}

/// Writes a device of a current list, with its signed prekey and notices.
fn put_device(db: &Connection, device: &MovedDevice) -> Result<(), DbError> {
    let dev = known(db, &device.address)?;
    db.prepare_cached(
        "UPDATE devices SET identity = ?2, listed = 1, removed_at = NULL, last_seen_at = ?3, key_epoch = ?4, \
         max_issued_id = ?5, connection_epoch = ?6, queue_messages = 0, queue_bytes = 0, queue_next = 0, \
         highest_number = ?7, number_window = ?8 WHERE dev = ?1",
    )?
    .execute(params![
        dev,
        device.identity.as_bytes(),
        columns::time(device.last_seen_at),
        device.key_epoch,
        device.max_issued_id,
        device.connection_epoch.cast_signed(),
        device.highest_number.cast_signed(),
        device.window
    ])?;
    if let Some(prekey) = &device.signed_prekey {
        prekeys::store_signed(db, dev, prekey)?;
    }
    for notice in &device.notices {
        put_notice(db, dev, notice)?;
    }
    Ok(())
}

/// Writes a notice.
fn put_notice(db: &Connection, dev: i64, notice: &MovedNotice) -> Result<(), DbError> {
    let numbers: Vec<u8> = notice.numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    db.prepare_cached(
        "INSERT INTO notices (dev, kind, reason, peer, count, numbers, created_at, sealed) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        dev,
        notice.kind,
        notice.reason,
        notice.peer.to_bytes(),
        notice.count.cast_signed(),
        numbers,
        columns::time(notice.created_at),
        notice.sealed
    ])?;
    Ok(())
}

/// Writes a session.
fn put_session(db: &Connection, account: AccountId, session: &MovedSession) -> Result<(), DbError> {
    let dev = known(db, &session.address)?;
    db.prepare_cached(
        "INSERT INTO sessions (session_id, account_id, dev, refresh_hash, previous_hash, generation, created_at, \
         last_used_at, ended) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        session.id.as_bytes(),
        account.as_bytes(),
        dev,
        session.refresh_hash.as_bytes(),
        session.previous_hash.as_ref().map(RefreshTokenHash::as_bytes),
        session.generation,
        columns::time(session.created_at),
        columns::time(session.last_used_at),
        session.ended
    ])?;
    Ok(())
}
