//! Sessions. A session that ended stays as a row until the sweep, so that its id is recognised when a request is
//! repeated.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sealpost_api::ids::SessionId;
use sealpost_crypto::{AccountId, UnixMillis};

use super::columns;
use crate::domain::refresh::{FIRST_GENERATION, Tokens};
use crate::store::embedded::error::DbError;
use crate::store::sessions::{NewSession, SessionRecord};

/// Live sessions on devices of current lists.
pub(crate) const SELECT_LIVE: &str = "SELECT session_id, devices.account_id, device_id, registration, identity, generation, \
                           created_at, last_used_at FROM sessions JOIN devices ON devices.dev = sessions.dev \
                           WHERE ended = 0 AND devices.listed = 1";

/// Reads a row of [`SELECT_LIVE`].
pub(crate) fn record(row: &Row<'_>) -> rusqlite::Result<SessionRecord> {
    Ok(SessionRecord {
        id: SessionId::from_bytes(row.get(0)?),
        address: columns::address(row, 1)?,
        identity: columns::identity(row, 4)?,
        generation: columns::small(row, 5)?,
        created_at: columns::millis(row.get(6)?),
        last_used_at: columns::millis(row.get(7)?),
    })
}

/// What is stored of a session, live or ended.
pub(crate) struct Stored {
    pub(crate) dev: i64,
    refresh_hash: [u8; 32],
    previous_hash: Option<[u8; 32]>,
    pub(crate) generation: u32,
    pub(crate) ended: bool,
}

impl Stored {
    /// Returns the hashes of its refresh tokens.
    pub(crate) fn tokens(&self) -> Tokens<'_> {
        Tokens { current: &self.refresh_hash, previous: self.previous_hash.as_ref().map(<[u8; 32]>::as_slice) }
    }
}

/// Returns a session, live or ended.
pub(crate) fn stored(db: &Connection, session: SessionId) -> Result<Option<Stored>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT dev, refresh_hash, previous_hash, generation, ended FROM sessions WHERE session_id = ?1",
    )?;
    let found = select.query_row([session.as_bytes()], |row| {
        Ok(Stored {
            dev: row.get(0)?,
            refresh_hash: row.get(1)?,
            previous_hash: row.get(2)?,
            generation: columns::small(row, 3)?,
            ended: row.get(4)?,
        })
    });
    Ok(found.optional()?)
}

/// Returns whether the id is in use, by a live session or an ended one.
pub(crate) fn taken(db: &Connection, session: SessionId) -> Result<bool, DbError> {
    Ok(db.prepare_cached("SELECT 1 FROM sessions WHERE session_id = ?1")?.exists([session.as_bytes()])?)
}

/// Writes a session whose id is free.
pub(crate) fn insert(db: &Connection, session: &NewSession, dev: i64, now: UnixMillis) -> Result<(), DbError> {
    db.prepare_cached(
        "INSERT INTO sessions (session_id, account_id, dev, refresh_hash, previous_hash, generation, created_at, \
         last_used_at, ended) VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6, ?6, 0)",
    )?
    .execute(params![
        session.id.as_bytes(),
        session.address.account.as_bytes(),
        dev,
        session.refresh_hash.as_bytes(),
        FIRST_GENERATION,
        columns::time(now)
    ])?;
    Ok(())
}

/// Ends the live sessions of an account except `keep`. Returns them.
pub(crate) fn end_all(db: &Connection, account: AccountId, keep: Option<SessionId>) -> Result<Vec<SessionId>, DbError> {
    let mut end = db.prepare_cached(
        "UPDATE sessions SET ended = 1 WHERE account_id = ?1 AND ended = 0 AND session_id IS NOT ?2 \
         RETURNING session_id",
    )?;
    let keep = keep.map(|session| *session.as_bytes());
    let ended = end.query_map(params![account.as_bytes(), keep], |row| row.get(0).map(SessionId::from_bytes))?;
    Ok(ended.collect::<rusqlite::Result<_>>()?)
}

/// Ends the live sessions on one device of an account. Returns them.
pub(crate) fn end_on_device(db: &Connection, account: AccountId, dev: i64) -> Result<Vec<SessionId>, DbError> {
    let mut end = db.prepare_cached(
        "UPDATE sessions SET ended = 1 WHERE account_id = ?1 AND dev = ?2 AND ended = 0 RETURNING session_id",
    )?;
    let ended = end.query_map(params![account.as_bytes(), dev], |row| row.get(0).map(SessionId::from_bytes))?;
    Ok(ended.collect::<rusqlite::Result<_>>()?)
}
