//! Sessions.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};
use sealpost_api::ids::{RefreshTokenHash, SessionId};
use sealpost_crypto::{AccountId, UnixMillis};
use sealpost_sabotage::{Countermeasure, refuses};

use super::error::DbError;
use super::store::EmbeddedStore;
use super::tables::sessions::{self, SELECT_LIVE};
use super::tables::{accounts, columns, devices};
use super::threads::job::Class;
use crate::domain::refresh::{Exchange, FIRST_GENERATION};
use crate::store::error::StoreError;
use crate::store::sessions::{LogIn, RotateRefreshToken, SessionRecord, SessionStore, StartSession};

#[async_trait]
impl SessionStore for EmbeddedStore {
    async fn start_session(&self, log_in: LogIn, now: UnixMillis) -> Result<StartSession, StoreError> {
        self.write(Class::Direct, move |tx| start_session(tx.db, &log_in, now)).await
    }

    async fn session(&self, session: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        self.read(move |db| {
            let mut select = db.prepare_cached(&format!("{SELECT_LIVE} AND session_id = ?1"))?;
            Ok(select.query_row([session.as_bytes()], sessions::record).optional()?)
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
            Ok(select.query_map([account.as_bytes()], sessions::record)?.collect::<rusqlite::Result<_>>()?)
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
        self.write(Class::Direct, move |tx| sessions::end_all(tx.db, account, None)).await
    }
}

/// See [`SessionStore::start_session`].
fn start_session(
    db: &Connection,
    LogIn { session, password_hash }: &LogIn,
    now: UnixMillis,
) -> Result<StartSession, DbError> {
    if accounts::is_disabled(db, session.address.account)? {
        return Ok(StartSession::UnknownDevice);
    }
    if accounts::has_other_hash(db, session.address.account, password_hash)? {
        return Ok(StartSession::PasswordChanged);
    }
    let dev = devices::listed(db, &session.address)?;
    if let Some(known) = sessions::stored(db, session.id)? {
        let is_same = Some(known.dev) == dev && !known.ended;
        return Ok(if is_same && known.tokens().are_at_first(&session.refresh_hash) {
            StartSession::Repeated { generation: known.generation }
        } else {
            StartSession::Conflict
        });
    }
    let Some(dev) = dev else { return Ok(StartSession::UnknownDevice) };
    let ended_sessions = sessions::end_on_device(db, session.address.account, dev)?;
    sessions::insert(db, session, dev, now)?;
    Ok(StartSession::Started { generation: FIRST_GENERATION, ended_sessions })
}

/// See [`SessionStore::rotate_refresh_token`].
fn rotate(
    db: &Connection,
    session: SessionId,
    old: &RefreshTokenHash,
    next: &RefreshTokenHash,
    now: UnixMillis,
) -> Result<RotateRefreshToken, DbError> {
    let Some(known) = sessions::stored(db, session)?.filter(|known| !known.ended) else {
        return Ok(RotateRefreshToken::Unknown);
    };
    let (exchange, generation) = (known.tokens().exchange(old, next), known.generation);
    Ok(match exchange {
        Exchange::Rotate => {
            db.prepare_cached(
                "UPDATE sessions SET previous_hash = refresh_hash, refresh_hash = ?2, last_used_at = ?3 \
                 WHERE session_id = ?1",
            )?
            .execute(params![session.as_bytes(), next.as_bytes(), columns::time(now)])?;
            RotateRefreshToken::Rotated { generation }
        }
        Exchange::Repeat => RotateRefreshToken::Repeated { generation },
        Exchange::Spent => {
            if refuses(Countermeasure::RefreshRotation, true) {
                db.prepare_cached("UPDATE sessions SET ended = 1 WHERE session_id = ?1")?
                    .execute([session.as_bytes()])?;
            }
            RotateRefreshToken::Spent
        }
    })
}
