//! Sessions: logins on devices.

use async_trait::async_trait;
use sealpost_api::ids::{RefreshTokenHash, SessionId};
use sealpost_crypto::{AccountId, DeviceAddress, DeviceIdentityKey, UnixMillis};

use super::error::StoreError;

/// A session to begin.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its id, drawn by the client.
    pub id: SessionId,
    /// The device that it is on.
    pub address: DeviceAddress,
    /// Hash of its first refresh token.
    pub refresh_hash: RefreshTokenHash,
}

/// A session to begin for a client that showed the account's password.
#[derive(Clone, Debug)]
pub struct LogIn {
    /// The session.
    pub session: NewSession,
    /// The hash that the password was compared with. If the account has another hash by now, the session does not
    /// begin: a password change ends every session of the old password, also those that were about to begin.
    pub password_hash: String,
}

/// A session as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// The session.
    pub id: SessionId,
    /// The device that it is on.
    pub address: DeviceAddress,
    /// That device's identity key, to check what the device signs.
    pub identity: DeviceIdentityKey,
    /// The generation. An access token is valid only with the same one.
    pub generation: u32,
    /// When it began.
    pub created_at: UnixMillis,
    /// When it was last started or refreshed.
    pub last_used_at: UnixMillis,
}

/// The answer to [`SessionStore::start_session`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartSession {
    /// The session has begun, and the device's earlier sessions have ended.
    Started {
        /// The session's generation.
        generation: u32,
        /// The sessions that ended.
        ended_sessions: Vec<SessionId>,
    },
    /// The same session exists and is still at its first refresh token: the first answer again.
    Repeated {
        /// The session's generation.
        generation: u32,
    },
    /// The id belongs to another session, or to this one after its first token was exchanged or it ended.
    Conflict,
    /// The device is in no list, or its account's owner may not log in.
    UnknownDevice,
    /// The password was changed meanwhile; nothing was changed.
    PasswordChanged,
}

/// The answer to [`SessionStore::rotate_refresh_token`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotateRefreshToken {
    /// `old` was current, and `next` is now.
    Rotated {
        /// The session's generation.
        generation: u32,
    },
    /// The same exchange again while `next` is still current: the first answer again.
    Repeated {
        /// The session's generation.
        generation: u32,
    },
    /// `old` was used before: the session has ended now.
    Spent,
    /// The session has ended before, or never existed.
    Unknown,
}

/// Sessions.
#[async_trait]
pub trait SessionStore {
    /// Begins a session on a device of the current list, and ends the device's other sessions.
    async fn start_session(&self, log_in: LogIn, now: UnixMillis) -> Result<StartSession, StoreError>;
    /// Returns a session if it is live.
    async fn session(&self, session: SessionId) -> Result<Option<SessionRecord>, StoreError>;
    /// Exchanges `old` for `next`. The caller has checked the device's signature over the pair.
    async fn rotate_refresh_token(
        &self,
        session: SessionId,
        old: RefreshTokenHash,
        next: RefreshTokenHash,
        now: UnixMillis,
    ) -> Result<RotateRefreshToken, StoreError>;
    /// Returns the live sessions of an account, oldest first.
    async fn sessions(&self, account: AccountId) -> Result<Vec<SessionRecord>, StoreError>;
    /// Ends one session of this account. Returns whether it was live.
    async fn end_session(&self, account: AccountId, session: SessionId) -> Result<bool, StoreError>;
    /// Ends all sessions of this account. Returns those that were live.
    async fn end_all_sessions(&self, account: AccountId) -> Result<Vec<SessionId>, StoreError>;
}
