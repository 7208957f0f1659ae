//! Sessions, in the document of their account: a log-in and a change of the password cannot pass each other. A session that
//! ended stays for a while, so that its id is recognised when a request comes again.

use async_trait::async_trait;
use mongodb::bson::doc;
use sealpost_api::ids::{RefreshTokenHash, SessionId};
use sealpost_crypto::{AccountId, DeviceAddress, DeviceIdentityKey, UnixMillis};
use sealpost_sabotage::{Countermeasure, without};
use subtle::ConstantTimeEq as _;

use super::accounts::{Change, FIRST_GENERATION, begin_session, holder, is_hash};
use super::documents::{Account, Session};
use super::error::{DbError, is_duplicate};
use super::{Db, MongoStore, values};
use crate::store::{LogIn, RotateRefreshToken, SessionRecord, SessionStore, StartSession, StoreError};

/// Sessions of one account that are remembered, so that log-ins do not make its document grow. The oldest ended ones go.
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

/// A live session on a device of the current list.
fn record(account: &Account, session: &Session) -> Result<Option<SessionRecord>, DbError> {
    let device = account
        .devices
        .iter()
        .find(|device| device.id == session.device && device.registration == session.registration);
    let Some(device) = device.filter(|_| session.ended_at.is_none()) else { return Ok(None) };
    Ok(Some(SessionRecord {
        id: SessionId::from_bytes(values::fixed(&session.id)?),
        address: values::join(account.account()?, device.id, &device.registration)?,
        identity: DeviceIdentityKey::from_bytes(&values::fixed(&device.identity)?)
            .map_err(|_| DbError::Corrupt("an identity key that cannot be"))?,
        generation: values::small(session.generation)?,
        created_at: values::millis(session.created_at),
        last_used_at: values::millis(session.last_used_at),
    }))
}

/// Whether a live session of this generation is on this device.
pub(super) fn is_live(account: &Account, address: &DeviceAddress, session: SessionId, generation: u32) -> bool {
    let id = values::binary(session.as_bytes());
    account.sessions.iter().any(|session| {
        session.id == id
            && session.ended_at.is_none()
            && session.generation == i64::from(generation)
            && on(session, address)
    })
}

fn on(session: &Session, address: &DeviceAddress) -> bool {
    session.device == i32::from(address.device.get()) && session.registration.bytes == address.registration.as_bytes()
}

fn same(stored: &mongodb::bson::Binary, given: &RefreshTokenHash) -> bool {
    stored.bytes.ct_eq(given.as_bytes()).into()
}

async fn start(db: &Db, log_in: &LogIn, now: UnixMillis) -> Result<StartSession, DbError> {
    let address = log_in.session.address;
    let elsewhere = holder(db, log_in.session.id).await?.is_some_and(|id| id != values::account(address.account));
    let started = db.change(address.account, |account| start_in(account, log_in, elsewhere, now)).await;
    match started {
        Ok(started) => Ok(started.unwrap_or(StartSession::UnknownDevice)),
        // Another account was faster with this id.
        Err(DbError::Mongo(error)) if is_duplicate(&error) => Ok(StartSession::Conflict),
        Err(error) => Err(error),
    }
}

fn start_in(
    account: &mut Account,
    LogIn { session, password_hash }: &LogIn,
    elsewhere: bool,
    now: UnixMillis,
) -> Result<Change<StartSession>, DbError> {
    if account.disabled_at.is_some() {
        return Ok(Change::Keep(StartSession::UnknownDevice));
    }
    if !is_hash(account, password_hash) {
        return Ok(Change::Keep(StartSession::PasswordChanged));
    }
    let listed = account.addresses()?.contains(&session.address);
    let id = values::binary(session.id.as_bytes());
    if let Some(known) = account.sessions.iter().find(|known| known.id == id) {
        let first_token_still = known.previous.is_none() && same(&known.refresh, &session.refresh_hash);
        let live = known.ended_at.is_none() && on(known, &session.address) && listed;
        return Ok(Change::Keep(if live && first_token_still {
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
    let ended_sessions = account.end(|known| on(known, &session.address))?;
    account.sessions.push(begin_session(session, now));
    let mut beyond = account.sessions.len().saturating_sub(SESSIONS_MAX);
    account.sessions.retain(|session| {
        let goes = beyond > 0 && session.ended_at.is_some();
        beyond = beyond.saturating_sub(usize::from(goes));
        !goes
    });
    Ok(Change::Write(StartSession::Started { generation: values::small(FIRST_GENERATION)?, ended_sessions }))
}

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
        if same(&known.refresh, old) {
            known.previous = Some(std::mem::replace(&mut known.refresh, values::binary(next.as_bytes())));
            known.last_used_at = values::time(now);
            return Ok(Change::Write(RotateRefreshToken::Rotated { generation }));
        }
        // The reply to this very exchange was lost, however long ago: its successor is still the current token.
        if same(&known.refresh, next) && known.previous.as_ref().is_some_and(|previous| same(previous, old)) {
            return Ok(Change::Keep(RotateRefreshToken::Repeated { generation }));
        }
        // Two parties hold tokens of this family, and one of them is not its owner.
        if without(Countermeasure::RefreshRotation) {
            return Ok(Change::Keep(RotateRefreshToken::Spent));
        }
        known.ended_at = Some(known.last_used_at);
        Ok(Change::Write(RotateRefreshToken::Spent))
    });
    Ok(rotated.await?.unwrap_or(RotateRefreshToken::Unknown))
}
