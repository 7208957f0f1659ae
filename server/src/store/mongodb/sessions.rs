//! Sessions, in the documents of their accounts: a login and a password change cannot pass each other. A session that
//! ended stays for a while, so that its id is recognised when a request is repeated.

use async_trait::async_trait;
use mongodb::bson::doc;
use sealpost_api::ids::{RefreshTokenHash, SessionId};
use sealpost_crypto::{AccountId, UnixMillis};
use sealpost_sabotage::{Countermeasure, refuses};

use super::collections::accounts::{self, Change};
use super::collections::sessions;
use super::db::Db;
use super::documents::accounts::{Account, Session};
use super::error::{DbError, is_duplicate};
use super::store::MongoStore;
use super::values;
use crate::domain::refresh::{Exchange, FIRST_GENERATION, Tokens};
use crate::store::error::StoreError;
use crate::store::sessions::{LogIn, RotateRefreshToken, SessionRecord, SessionStore, StartSession};

/// Sessions of one account that are remembered, so that logins do not make its document grow. The oldest ended ones are
/// dropped.
const SESSIONS_MAX: usize = 256;

#[async_trait]
impl SessionStore for MongoStore {
    async fn start_session(&self, log_in: LogIn, now: UnixMillis) -> Result<StartSession, StoreError> {
        Ok(start(&self.db, &log_in, now).await?)
    }

    async fn session(&self, session: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        let id = values::binary(session.as_bytes());
        let found = self.db.accounts.find_one(doc! { "ids": &id }).await.map_err(DbError::from)?;
        let Some(account) = found else { return Ok(None) };
        let live = account.sessions.iter().find(|session| session.id == id);
        Ok(live.map(|session| record(&account, session)).transpose()?.flatten())
    }

    async fn rotate_refresh_token(
        &self,
        session: SessionId,
        old: RefreshTokenHash,
        next: RefreshTokenHash,
        now: UnixMillis,
    ) -> Result<RotateRefreshToken, StoreError> {
        Ok(rotate(&self.db, session, &old, &next, now).await?)
    }

    async fn sessions(&self, account: AccountId) -> Result<Vec<SessionRecord>, StoreError> {
        let Some(account) = self.db.account(account).await? else { return Ok(Vec::new()) };
        let mut live = Vec::new();
        for session in &account.sessions {
            live.extend(record(&account, session)?);
        }
        live.sort_by_key(|session| (session.created_at, session.id));
        Ok(live)
    }

    async fn end_session(&self, account: AccountId, session: SessionId) -> Result<bool, StoreError> {
        let id = values::binary(session.as_bytes());
        let ended = self.db.change(account, |account| {
            let ended = account.end(|session| session.id == id)?;
            Ok(if ended.is_empty() { Change::Keep(false) } else { Change::Write(true) })
        });
        Ok(ended.await?.unwrap_or(false))
    }

    async fn end_all_sessions(&self, account: AccountId) -> Result<Vec<SessionId>, StoreError> {
        let ended = self.db.change(account, |account| {
            let ended = account.end(|_| true)?;
            Ok(if ended.is_empty() { Change::Keep(ended) } else { Change::Write(ended) })
        });
        Ok(ended.await?.unwrap_or_default())
    }
}

/// Returns a session if it is live and on a device of the current list.
fn record(account: &Account, session: &Session) -> Result<Option<SessionRecord>, DbError> {
    let device = account
        .devices
        .iter()
        .find(|device| device.id == session.device && device.registration == session.registration);
    let Some(device) = device.filter(|_| session.ended_at.is_none()) else { return Ok(None) };
    Ok(Some(SessionRecord {
        id: SessionId::from_bytes(values::fixed(&session.id)?),
        address: values::join(account.account()?, device.id, &device.registration)?,
        identity: device.identity_key()?,
        generation: values::small(session.generation)?,
        created_at: values::millis(session.created_at),
        last_used_at: values::millis(session.last_used_at),
    }))
}

/// Returns the hashes of a session's refresh tokens.
fn tokens(session: &Session) -> Tokens<'_> {
    let previous = session.previous.as_ref().map(|previous| previous.bytes.as_slice());
    Tokens { current: &session.refresh.bytes, previous }
}

/// See [`SessionStore::start_session`].
async fn start(db: &Db, log_in: &LogIn, now: UnixMillis) -> Result<StartSession, DbError> {
    let address = log_in.session.address;
    let elsewhere =
        sessions::holder(db, log_in.session.id).await?.is_some_and(|id| id != values::account(address.account));
    let started = db.change(address.account, |account| start_in(account, log_in, elsewhere, now)).await;
    match started {
        Ok(started) => Ok(started.unwrap_or(StartSession::UnknownDevice)),
        // Another account was faster with this id.
        Err(DbError::Mongo(error)) if is_duplicate(&error) => Ok(StartSession::Conflict),
        Err(error) => Err(error),
    }
}

/// Decides on a session to begin. `elsewhere` says whether another account has a session with the same id.
fn start_in(
    account: &mut Account,
    LogIn { session, password_hash }: &LogIn,
    elsewhere: bool,
    now: UnixMillis,
) -> Result<Change<StartSession>, DbError> {
    if account.disabled_at.is_some() {
        return Ok(Change::Keep(StartSession::UnknownDevice));
    }
    if !accounts::is_hash(account, password_hash) {
        return Ok(Change::Keep(StartSession::PasswordChanged));
    }
    let listed = account.addresses()?.contains(&session.address);
    let id = values::binary(session.id.as_bytes());
    if let Some(known) = account.sessions.iter().find(|known| known.id == id) {
        let is_live = known.ended_at.is_none() && known.is_on(&session.address) && listed;
        return Ok(Change::Keep(if is_live && tokens(known).are_at_first(&session.refresh_hash) {
            StartSession::Repeated { generation: values::small(known.generation)? }
        } else {
            StartSession::Conflict
        }));
    }
    if elsewhere {
        return Ok(Change::Keep(StartSession::Conflict));
    }
    if !listed {
        return Ok(Change::Keep(StartSession::UnknownDevice));
    }
    let ended_sessions = account.end(|known| known.is_on(&session.address))?;
    account.sessions.push(sessions::begin(session, now));
    let mut beyond = account.sessions.len().saturating_sub(SESSIONS_MAX);
    account.sessions.retain(|session| {
        let goes = beyond > 0 && session.ended_at.is_some();
        beyond = beyond.saturating_sub(usize::from(goes));
        !goes
    });
    Ok(Change::Write(StartSession::Started { generation: FIRST_GENERATION, ended_sessions }))
}

/// See [`SessionStore::rotate_refresh_token`].
async fn rotate(
    db: &Db,
    session: SessionId,
    old: &RefreshTokenHash,
    next: &RefreshTokenHash,
    now: UnixMillis,
) -> Result<RotateRefreshToken, DbError> {
    let id = values::binary(session.as_bytes());
    let rotated = db.change_where(doc! { "ids": &id }, |account| {
        let known = account.sessions.iter_mut().find(|known| known.id == id && known.ended_at.is_none());
        let Some(known) = known else { return Ok(Change::Keep(RotateRefreshToken::Unknown)) };
        let generation = values::small(known.generation)?;
        Ok(match tokens(known).exchange(old, next) {
            Exchange::Rotate => {
                known.previous = Some(std::mem::replace(&mut known.refresh, values::binary(next.as_bytes())));
                known.last_used_at = values::time(now);
                Change::Write(RotateRefreshToken::Rotated { generation })
            }
            Exchange::Repeat => Change::Keep(RotateRefreshToken::Repeated { generation }),
            Exchange::Spent if refuses(Countermeasure::RefreshRotation, true) => {
                known.ended_at = Some(known.last_used_at);
                Change::Write(RotateRefreshToken::Spent)
            }
            Exchange::Spent => Change::Keep(RotateRefreshToken::Spent),
        })
    });
    Ok(rotated.await?.unwrap_or(RotateRefreshToken::Unknown))
}
