//! Sessions. A session that ended stays as a row until the sweep, so that its id is recognised when a request comes again.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sealpost_api::ids::{RefreshTokenHash, SessionId};
use sealpost_crypto::{AccountId, UnixMillis};
use sealpost_sabotage::{Countermeasure, without};
use subtle::ConstantTimeEq as _;

use super::error::DbError;
use super::job::Class;
use super::{EmbeddedStore, accounts, admin, queue, rows};
use crate::store::{LogIn, NewSession, RotateRefreshToken, SessionRecord, SessionStore, StartSession, StoreError};

/// The generation that a session begins with.
const FIRST_GENERATION: u32 = 1;

#[async_trait]
impl SessionStore for EmbeddedStore {
    async fn start_session(&self, log_in: LogIn, now: UnixMillis) -> Result<StartSession, StoreError> {
        self.write(Class::Direct, move |tx| start_session(tx.db, &log_in, now)).await
    }

    async fn session(&self, session: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        self.read(move |db| {
            let mut select = db.prepare_cached(&format!("{SELECT_LIVE} AND session_id = ?1"))?;
            Ok(select.query_row([session.as_bytes()], record).optional()?)
        })
        .await
    }

    async fn rotate_refresh_token(
        &self,
        session: SessionId,
        old: RefreshTokenHash,
        next: RefreshTokenHash,
        now: UnixMillis,
    ) -> Result<RotateRefreshToken, StoreError> {
        self.write(Class::Direct, move |tx| rotate(tx.db, session, &old, &next, now)).await
    }

    async fn sessions(&self, account: AccountId) -> Result<Vec<SessionRecord>, StoreError> {
        self.read(move |db| {
            let mut select = db.prepare_cached(&format!(
                "{SELECT_LIVE} AND sessions.account_id = ?1 ORDER BY created_at, session_id"
            ))?;
            Ok(select.query_map([account.as_bytes()], record)?.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn end_session(&self, account: AccountId, session: SessionId) -> Result<bool, StoreError> {
        self.write(Class::Direct, move |tx| {
            let ended = tx
                .db
                .prepare_cached(
                    "UPDATE sessions SET ended = 1 WHERE session_id = ?1 AND account_id = ?2 AND ended = 0",
                )?
                .execute(params![session.as_bytes(), account.as_bytes()])?;
            Ok(ended > 0)
        })
        .await
    }

    async fn end_all_sessions(&self, account: AccountId) -> Result<Vec<SessionId>, StoreError> {
        self.write(Class::Direct, move |tx| end_all(tx.db, account, None)).await
    }
}

const SELECT_LIVE: &str = "SELECT session_id, devices.account_id, device_id, registration, identity, generation, \
                           created_at, last_used_at FROM sessions JOIN devices ON devices.dev = sessions.dev \
                           WHERE ended = 0 AND devices.listed = 1";

fn record(row: &Row<'_>) -> rusqlite::Result<SessionRecord> {
    Ok(SessionRecord {
        id: SessionId::from_bytes(row.get(0)?),
        address: rows::address(row, 1)?,
        identity: rows::identity(row, 4)?,
        generation: rows::small(row, 5)?,
        created_at: rows::millis(row.get(6)?),
        last_used_at: rows::millis(row.get(7)?),
    })
}

/// What is stored of a session, live or not.
struct Stored {
    dev: i64,
    refresh_hash: [u8; 32],
    previous_hash: Option<[u8; 32]>,
    generation: u32,
    ended: bool,
}

fn stored(db: &Connection, session: SessionId) -> Result<Option<Stored>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT dev, refresh_hash, previous_hash, generation, ended FROM sessions WHERE session_id = ?1",
    )?;
    let found = select.query_row([session.as_bytes()], |row| {
        Ok(Stored {
            dev: row.get(0)?,
            refresh_hash: row.get(1)?,
            previous_hash: row.get(2)?,
            generation: rows::small(row, 3)?,
            ended: row.get(4)?,
        })
    });
    Ok(found.optional()?)
}

fn same(stored: &[u8; 32], given: &RefreshTokenHash) -> bool {
    stored.ct_eq(given.as_bytes()).into()
}

/// Whether the id is in use, by a live session or an ended one.
pub(super) fn taken(db: &Connection, session: SessionId) -> Result<bool, DbError> {
    Ok(db.prepare_cached("SELECT 1 FROM sessions WHERE session_id = ?1")?.exists([session.as_bytes()])?)
}

/// Writes a session whose id is free, on this device.
pub(super) fn insert(db: &Connection, session: &NewSession, dev: i64, now: UnixMillis) -> Result<(), DbError> {
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
        rows::time(now)
    ])?;
    Ok(())
}

fn start_session(
    db: &Connection,
    LogIn { session, password_hash }: &LogIn,
    now: UnixMillis,
) -> Result<StartSession, DbError> {
    if admin::disabled(db, session.address.account)? {
        return Ok(StartSession::UnknownDevice);
    }
    if accounts::has_other_hash(db, session.address.account, password_hash)? {
        return Ok(StartSession::PasswordChanged);
    }
    let dev = queue::listed(db, &session.address)?;
    if let Some(known) = stored(db, session.id)? {
        let first_token_still = known.previous_hash.is_none() && same(&known.refresh_hash, &session.refresh_hash);
        return Ok(if Some(known.dev) == dev && first_token_still && !known.ended {
            StartSession::Repeated { generation: known.generation }
        } else {
            StartSession::Conflict
        });
    }
    let Some(dev) = dev else { return Ok(StartSession::UnknownDevice) };
    let ended_sessions = end_on_device(db, session.address.account, dev)?;
    insert(db, session, dev, now)?;
    Ok(StartSession::Started { generation: FIRST_GENERATION, ended_sessions })
}

fn rotate(
    db: &Connection,
    session: SessionId,
    old: &RefreshTokenHash,
    next: &RefreshTokenHash,
    now: UnixMillis,
) -> Result<RotateRefreshToken, DbError> {
    let Some(known) = stored(db, session)?.filter(|known| !known.ended) else {
        return Ok(RotateRefreshToken::Unknown);
    };
    if same(&known.refresh_hash, old) {
        db.prepare_cached(
            "UPDATE sessions SET previous_hash = refresh_hash, refresh_hash = ?2, last_used_at = ?3 \
             WHERE session_id = ?1",
        )?
        .execute(params![session.as_bytes(), next.as_bytes(), rows::time(now)])?;
        return Ok(RotateRefreshToken::Rotated { generation: known.generation });
    }
    // The reply to this very exchange was lost, however long ago: its successor is still the current token.
    if same(&known.refresh_hash, next) && known.previous_hash.is_some_and(|previous| same(&previous, old)) {
        return Ok(RotateRefreshToken::Repeated { generation: known.generation });
    }
    // Two parties hold tokens of this family, and one of them is not its owner.
    if !without(Countermeasure::RefreshRotation) {
        db.prepare_cached("UPDATE sessions SET ended = 1 WHERE session_id = ?1")?.execute([session.as_bytes()])?;
    }
    Ok(RotateRefreshToken::Spent)
}

/// Ends the live sessions of an account but `keep`; returns them.
pub(super) fn end_all(db: &Connection, account: AccountId, keep: Option<SessionId>) -> Result<Vec<SessionId>, DbError> {
    let mut end = db.prepare_cached(
        "UPDATE sessions SET ended = 1 WHERE account_id = ?1 AND ended = 0 AND session_id IS NOT ?2 \
         RETURNING session_id",
    )?;
    let keep = keep.map(|session| *session.as_bytes());
    let ended = end.query_map(params![account.as_bytes(), keep], |row| row.get(0).map(SessionId::from_bytes))?;
    Ok(ended.collect::<rusqlite::Result<_>>()?)
}

/// Ends the live sessions on one device of an account; returns them.
pub(super) fn end_on_device(db: &Connection, account: AccountId, dev: i64) -> Result<Vec<SessionId>, DbError> {
    let mut end = db.prepare_cached(
        "UPDATE sessions SET ended = 1 WHERE account_id = ?1 AND dev = ?2 AND ended = 0 RETURNING session_id",
    )?;
    let ended = end.query_map(params![account.as_bytes(), dev], |row| row.get(0).map(SessionId::from_bytes))?;
    Ok(ended.collect::<rusqlite::Result<_>>()?)
}
