//! Logins: authenticating callers, logging in, refreshing, listing and ending.

use std::sync::LazyLock;

use sealpost_api::encoding::B64;
use sealpost_api::ids::{RefreshTokenHash, SessionId};
use sealpost_api::limits::ACCESS_TOKEN_SECONDS;
use sealpost_api::password::Password;
use sealpost_api::problem::ProblemCode;
use sealpost_api::sessions::{
    LoginRequest, RefreshRequest, SessionGrant, SessionInfo, SessionList, SessionRequest, SessionsEnded,
};
use sealpost_api::username::Username;
use sealpost_crypto::{
    AccountId, AccountIdentityKeyPair, DeviceAddress, DeviceEntry, DeviceId, DeviceIdentityKey, DeviceIdentityKeyPair,
    DeviceList, DeviceListBody, LoginStatement, RefreshStatement, RegistrationId,
};
use sealpost_sabotage::{Countermeasure, holds, or_planted, without};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::limiter::{LimitKey, LimitName};
use super::passwords::Verdict;
use super::{Caller, ServiceError, Services, keys};
use crate::store::{AccountRecord, LogIn, NameMatch, NewSession, RotateRefreshToken, SessionRecord, StartSession};

/// The list and key that a login is checked against when there is no account, or the text is not a name, so that it
/// costs the same signature checks. Their private halves are public, which is harmless, because what they verify is
/// never accepted.
static NOBODY: LazyLock<Option<DeviceList>> = LazyLock::new(|| {
    let account = AccountIdentityKeyPair::from_seed(&[0; 32]);
    let devices = vec![DeviceEntry {
        device: DeviceId::PRIMARY,
        registration: RegistrationId::from_bytes([0; 32]),
        identity: DeviceIdentityKeyPair::from_seed(&[1; 32]).public(),
    }];
    let body = DeviceListBody {
        account: AccountId::from_bytes([0; 16]),
        account_identity: account.public(),
        version: 1,
        previous_hash: [0; 32],
        new_identity: false,
        devices,
    };
    DeviceList::sign(&account, body).ok()
});

/// The error of every failed login.
const LOGIN_FAILED: ServiceError = ServiceError::new(ProblemCode::LoginFailed);

impl Services {
    /// Returns the caller that presents an access token: the token is valid, its login is live, and its generation is
    /// current.
    ///
    /// # Errors
    /// `unauthenticated` for every reason alike; or the store's failure.
    pub async fn authenticate(&self, token: &str) -> Result<Caller, ServiceError> {
        let unauthenticated = || ServiceError::new(ProblemCode::Unauthenticated);
        let now = self.core.clock.now();
        let claims = self.core.tokens.check(now, token).map_err(|_| unauthenticated())?;
        let session = self.core.store.session(claims.session).await?;
        let live =
            session.is_some_and(|session| session.address == claims.address && session.generation == claims.generation);
        if !holds(Countermeasure::Revocation, live) {
            return Err(unauthenticated());
        }
        Ok(Caller {
            account: claims.address.account,
            address: claims.address,
            session: claims.session,
            generation: claims.generation,
            expires_at: claims.expires_at,
        })
    }

    /// Counts a request against its network's limit.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn admit(&self, network: [u8; 16]) -> Result<(), ServiceError> {
        self.limit(LimitName::RequestsAddress, LimitKey::Network(network))
    }

    /// Takes a token of a limit.
    pub(super) fn limit(&self, name: LimitName, key: LimitKey) -> Result<(), ServiceError> {
        self.core.limiter.take(self.core.clock.now(), name, key).map_err(|retry_after| {
            self.core.metrics.limited(name);
            ServiceError::rate_limited(retry_after)
        })
    }

    /// Counts a guess at a password without a valid device signature, for its name and for the whole server. A guess
    /// that the second limit refuses does not count for the first.
    pub(super) fn count_guess(&self, username: &str) -> Result<(), ServiceError> {
        or_planted(Countermeasure::GuessLimits, self.limit_guess(name_key(username)), Ok(()))
    }

    fn limit_guess(&self, name: LimitKey) -> Result<(), ServiceError> {
        self.limit(LimitName::LoginAccount, name)?;
        let of_server = self.limit(LimitName::LoginServer, LimitKey::Server).inspect_err(|_| {
            self.core.limiter.give_back(self.core.clock.now(), LimitName::LoginAccount, name);
        });
        or_planted(Countermeasure::HashingQueue, of_server, Ok(()))
    }

    /// Logs in on a device of the account's current list.
    ///
    /// The device's signature is checked first, because it decides which limit a guess counts against. Whatever is
    /// wrong, exactly one signature check and one password hash are made, and every failure is the same `login_failed`.
    ///
    /// # Errors
    /// `login_failed`, `rate_limited`, `busy`, `session_conflict`.
    pub async fn log_in(&self, network: [u8; 16], request: LoginRequest) -> Result<SessionGrant, ServiceError> {
        self.limit(LimitName::LoginAddress, LimitKey::Network(network))?;
        let (record, list) = self.account_for_log_in(&request.username).await?;
        let device = record.as_ref().and_then(|_| listed_device(&list, &request));
        let entry = device.or(list.devices().first()).ok_or(LOGIN_FAILED)?;
        let new_session = new_session(&request.session, keys::address(&list, entry));
        let signed = self.verify_log_in(&new_session, &entry.identity, &request.session).is_ok();
        let signer = device.filter(|_| signed).map(|_| new_session.address);
        match signer {
            Some(address) => self.limit(LimitName::LoginDevice, LimitKey::Device(address))?,
            None => self.count_guess(&request.username)?,
        }
        let hash = record.as_ref().map(|record| record.password_hash.clone());
        let verdict = self.verify_password(&request.password, hash).await?;
        let may =
            |record: &AccountRecord| signer.is_some() && verdict != Verdict::Wrong && record.disabled_at.is_none();
        let Some(record) = record.filter(may) else {
            self.core.metrics.login(false);
            return Err(LOGIN_FAILED);
        };
        let mut log_in = LogIn { session: new_session, password_hash: record.password_hash };
        // If the pool is busy, the next login can do it.
        if verdict == Verdict::RightButOutdated
            && let Ok(new) = self.core.passwords.hash(request.password.clone()).await
            && self.core.store.rehash_password(record.id, &log_in.password_hash, &new).await?
        {
            log_in.password_hash = new;
        }
        self.core.metrics.login(true);
        match self.begin_session(log_in.clone()).await {
            Err(error) if error.code == ProblemCode::LoginFailed => self.log_in_again(log_in, request.password).await,
            begun => begun,
        }
    }

    /// Handles that the account's hash has changed since: for another password, or because another login rehashed the
    /// same one with today's parameters.
    async fn log_in_again(&self, log_in: LogIn, password: Password) -> Result<SessionGrant, ServiceError> {
        let record = self.core.store.account(log_in.session.address.account).await?.ok_or(LOGIN_FAILED)?;
        let hash = record.password_hash;
        if hash == log_in.password_hash || self.verify_password(&password, Some(hash.clone())).await? == Verdict::Wrong
        {
            return Err(LOGIN_FAILED);
        }
        self.begin_session(LogIn { password_hash: hash, ..log_in }).await
    }

    /// Exchanges a refresh token for its successor, which the client has drawn.
    ///
    /// The signature is checked first, and without a valid one nothing changes. A stolen or replayed token alone can
    /// therefore neither be used nor log anyone out.
    ///
    /// # Errors
    /// `refresh_invalid` (nothing changes), `session_ended` (a spent token was used, and the login ends).
    pub async fn refresh(&self, request: &RefreshRequest) -> Result<SessionGrant, ServiceError> {
        let invalid = || ServiceError::new(ProblemCode::RefreshInvalid);
        let (session, old, next) = (request.session_id.0, request.refresh_token.0.hash(), request.next_hash.0);
        let record = self.core.store.session(session).await?.ok_or_else(invalid)?;
        let statement = RefreshStatement {
            server: *self.core.store.server_id().as_bytes(),
            session: *session.as_bytes(),
            old_hash: *old.as_bytes(),
            next_hash: *next.as_bytes(),
        };
        statement.verify(&record.identity, &request.signature.0).map_err(|_| invalid())?;
        if old == next {
            // A token that were its own successor would never be spent, and its theft never noticed.
            return Err(invalid());
        }
        let now = self.core.clock.now();
        match self.core.store.rotate_refresh_token(session, old, next, now).await? {
            RotateRefreshToken::Rotated { generation } | RotateRefreshToken::Repeated { generation } => {
                self.grant(&record.address, session, generation)
            }
            RotateRefreshToken::Spent => {
                self.core.end_sockets(&[session]);
                Err(ServiceError::new(ProblemCode::SessionEnded))
            }
            RotateRefreshToken::Unknown => Err(invalid()),
        }
    }

    /// Returns the account's live logins, oldest first.
    ///
    /// # Errors
    /// The store's failures.
    pub async fn sessions(&self, caller: &Caller) -> Result<SessionList, ServiceError> {
        let sessions = self.core.store.sessions(caller.account).await?;
        Ok(SessionList { sessions: sessions.iter().map(|record| session_info(record, caller)).collect() })
    }

    /// Ends one login of the caller's account. A missing login, or another account's, counts as not live.
    ///
    /// # Errors
    /// The store's failures.
    pub async fn end_session(&self, caller: &Caller, session: SessionId) -> Result<SessionsEnded, ServiceError> {
        let account = self.planted_owner(session).await?.unwrap_or(caller.account);
        let live = self.core.store.end_session(account, session).await?;
        if live {
            self.core.end_sockets(&[session]);
        }
        Ok(SessionsEnded { ended: u32::from(live) })
    }

    /// A planted fault: returns the login's owner to any caller.
    async fn planted_owner(&self, session: SessionId) -> Result<Option<AccountId>, ServiceError> {
        if without(Countermeasure::OwnerCheck) {
            return Ok(self.core.store.session(session).await?.map(|record| record.address.account));
        }
        Ok(None)
    }

    /// Ends every login of the caller's account, including the caller's.
    ///
    /// # Errors
    /// The store's failures.
    pub async fn end_all_sessions(&self, caller: &Caller) -> Result<SessionsEnded, ServiceError> {
        let ended = self.core.store.end_all_sessions(caller.account).await?;
        self.core.end_sockets(&ended);
        Ok(SessionsEnded { ended: count(&ended) })
    }

    /// Returns the account of this name with its list; a text that is not a name is treated as the name of no account.
    /// Without an account the list is somebody else's or a dummy, read and decoded at the same cost and never accepted.
    pub(super) async fn account_for_log_in(
        &self,
        username: &str,
    ) -> Result<(Option<AccountRecord>, DeviceList), ServiceError> {
        let found = match Username::parse(username) {
            Ok(username) => self.core.store.account_or_other(&username).await?,
            Err(_) => None,
        };
        planted_other_answer(found.as_ref())?;
        let (record, other) = match found {
            Some(NameMatch::Named(record)) => (Some(*record), None),
            Some(NameMatch::Other(other)) => (None, Some(other.device_list.0)),
            None => (None, None),
        };
        let nobody = || NOBODY.as_ref().map(DeviceList::encoded).unwrap_or_default();
        let known = record.as_ref().map(|record| record.device_list.0.as_slice()).or(other.as_deref());
        let list = DeviceList::decode(known.unwrap_or_else(nobody)).map_err(ServiceError::internal)?;
        Ok((record, list))
    }

    /// Verifies that the device signed for this login on this server.
    pub(super) fn verify_log_in(
        &self,
        session: &NewSession,
        identity: &DeviceIdentityKey,
        request: &SessionRequest,
    ) -> Result<(), ServiceError> {
        let statement = LoginStatement {
            server: *self.core.store.server_id().as_bytes(),
            session: *session.id.as_bytes(),
            address: session.address,
            refresh_hash: *session.refresh_hash.as_bytes(),
        };
        statement.verify(identity, &request.signature.0).map_err(|_| ServiceError::new(ProblemCode::SignatureInvalid))
    }

    /// Starts a login that was checked, and ends the device's others.
    pub(super) async fn begin_session(&self, log_in: LogIn) -> Result<SessionGrant, ServiceError> {
        let (id, address) = (log_in.session.id, log_in.session.address);
        match self.core.store.start_session(log_in, self.core.clock.now()).await? {
            StartSession::Started { generation, ended_sessions } => {
                self.core.end_sockets(&ended_sessions);
                self.grant(&address, id, generation)
            }
            StartSession::Repeated { generation } => self.grant(&address, id, generation),
            StartSession::Conflict => Err(ServiceError::new(ProblemCode::SessionConflict)),
            StartSession::UnknownDevice | StartSession::PasswordChanged => Err(LOGIN_FAILED),
        }
    }

    /// Issues an access token for a login.
    pub(super) fn grant(
        &self,
        address: &DeviceAddress,
        session: SessionId,
        generation: u32,
    ) -> Result<SessionGrant, ServiceError> {
        let now = self.core.clock.now();
        let access_token = self.core.tokens.issue(now, address, session, generation).map_err(ServiceError::internal)?;
        Ok(SessionGrant {
            session_id: B64(session),
            account_id: B64(address.account),
            access_token,
            expires_in: ACCESS_TOKEN_SECONDS,
        })
    }

    /// Compares a password on the pool of threads.
    pub(super) async fn verify_password(
        &self,
        password: &Password,
        hash: Option<String>,
    ) -> Result<Verdict, ServiceError> {
        self.core.metrics.passwords_waiting(self.core.passwords.waiting());
        let begun = Instant::now();
        let verdict = self.core.passwords.verify(password.clone(), hash).await;
        self.core.metrics.password_answered(begun.elapsed());
        Ok(verdict?)
    }
}

/// Says that a name is unknown, in a build that leaves the countermeasure out.
fn planted_other_answer(found: Option<&NameMatch>) -> Result<(), ServiceError> {
    if without(Countermeasure::SameAnswer) && !matches!(found, Some(NameMatch::Named(_))) {
        return Err(ServiceError::new(ProblemCode::NotFound));
    }
    Ok(())
}

/// Converts a count to its wire form.
pub(super) fn count(sessions: &[SessionId]) -> u32 {
    u32::try_from(sessions.len()).unwrap_or(u32::MAX)
}

/// Returns the login that a request asks for, on this device.
pub(super) fn new_session(request: &SessionRequest, address: DeviceAddress) -> NewSession {
    NewSession {
        id: request.session_id.0,
        address,
        refresh_hash: RefreshTokenHash::from_bytes(*request.refresh_hash.0.as_bytes()),
    }
}

/// Returns the limiter's key of a name. Guesses are counted whether or not the name exists, and the name itself is not
/// kept.
pub(super) fn name_key(username: &str) -> LimitKey {
    LimitKey::Name(Sha256::digest(username.to_ascii_lowercase()).into())
}

/// Decodes the list of a stored account, which was verified before it was stored.
pub(super) fn stored_list(record: &AccountRecord) -> Result<DeviceList, ServiceError> {
    DeviceList::decode(&record.device_list.0).map_err(ServiceError::internal)
}

/// Returns the facts about a login.
pub(super) fn session_info(record: &SessionRecord, caller: &Caller) -> SessionInfo {
    SessionInfo {
        session_id: B64(record.id),
        device_id: record.address.device.get(),
        created_at: record.created_at.0,
        last_used_at: record.last_used_at.0,
        current: record.id == caller.session,
    }
}

fn listed_device<'list>(list: &'list DeviceList, request: &LoginRequest) -> Option<&'list DeviceEntry> {
    let entry = list.device(DeviceId::new(request.device_id).ok()?)?;
    (entry.registration == request.registration_id.0).then_some(entry)
}
