//! Invites.

use rusqlite::{Connection, Row, params};
use sealpost_crypto::UnixMillis;

use super::columns;
use crate::store::embedded::error::DbError;
use crate::store::invites::InviteRecord;

/// Returns whether an invite can be used; `true` if none is needed.
pub(crate) fn is_good(db: &Connection, invite: Option<[u8; 32]>, now: UnixMillis) -> Result<bool, DbError> {
    let Some(invite) = invite else { return Ok(true) };
    Ok(db
        .prepare_cached("SELECT 1 FROM invites WHERE invite_hash = ?1 AND expires_at > ?2")?
        .exists(params![invite, columns::time(now)])?)
}

/// Writes an invite. One that exists is valid until the later of the two times.
pub(crate) fn add(db: &Connection, invite: [u8; 32], expires_at: UnixMillis, now: UnixMillis) -> Result<(), DbError> {
    db.prepare_cached(
        "INSERT INTO invites (invite_hash, expires_at, created_at) VALUES (?1, ?2, ?3) \
         ON CONFLICT (invite_hash) DO UPDATE SET expires_at = max(expires_at, excluded.expires_at)",
    )?
    .execute(params![invite, columns::time(expires_at), columns::time(now)])?;
    Ok(())
}

/// Deletes an invite. Returns whether it existed.
pub(crate) fn remove(db: &Connection, invite: [u8; 32]) -> Result<bool, DbError> {
    Ok(db.prepare_cached("DELETE FROM invites WHERE invite_hash = ?1")?.execute([invite])? > 0)
}

/// Reads the columns invite_hash, created_at, expires_at.
pub(crate) fn record(row: &Row<'_>) -> rusqlite::Result<InviteRecord> {
    Ok(InviteRecord {
        hash: row.get(0)?,
        created_at: columns::millis(row.get(1)?),
        expires_at: columns::millis(row.get(2)?),
    })
}
