//! Accounts: registration, look-up, password, export, deletion and invites.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sealpost_api::accounts::{
    AccountExport, AccountInfo, ChangePasswordRequest, DeleteAccountRequest, DeviceExport, ErasureReport,
    RegisterRequest,
};
use sealpost_api::encoding::{B64, EncodedDeviceList};
use sealpost_api::limits::DEVICE_LISTS_MAX;
use sealpost_api::password::{Password, PasswordError};
use sealpost_api::problem::ProblemCode;
use sealpost_api::server::{RegistrationPolicy, ServerInfo};
use sealpost_api::sessions::{SessionGrant, SessionsEnded};
use sealpost_api::username::{Username, UsernameError};
use sealpost_crypto::DeviceList;
use sealpost_sabotage::{Countermeasure, or_planted, refuses};
use sha2::{Digest as _, Sha256};

use super::limiter::{LOOKUPS_REFUSED_MAX, LimitKey, LimitName};
use super::passwords::Verdict;
use super::sessions::{count, new_session, session_info, stored_list};
use super::{Caller, RetiredNamesKey, ServiceError, Services, keys};
use crate::domain::common_passwords::is_common;
use crate::store::{AccountRecord, CreateAccount, DeviceRecord, LogIn, NewAccount, NewSession};

mod identity;

/// The bytes of an invite: 120 random bits, too many to guess and short enough to type.
const INVITE_BYTES: usize = 15;
/// The longest text that is read as an invite.
pub(super) const INVITE_MAX_BYTES: usize = 64;
const INVITE_LABEL: &[u8] = b"Sealpost Invite v1\0";

impl Services {
    /// Returns what a client reads before it has an account here.
    #[must_use]
    pub fn server_info(&self) -> ServerInfo {
        ServerInfo {
            server_id: B64(self.core.store.server_id()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            registration: self.core.settings.registration,
            now: self.core.clock.now().0,
        }
    }

    /// Creates an account with its first device, and logs it in. Repeating the same request returns the first answer.
    ///
    /// # Errors
    /// `registration_closed`, `invite_invalid`, `rate_limited`, `username_invalid`, `username_reserved`, `username_taken`,
    /// `password_too_short`, `password_too_long`, `password_common`, `device_list_invalid`, `signed_prekey_invalid`,
    /// `signed_prekey_expired`, `one_time_prekeys_invalid`, `signature_invalid`, `account_taken`, `session_conflict`, `busy`.
    pub async fn register(&self, network: [u8; 16], request: RegisterRequest) -> Result<SessionGrant, ServiceError> {
        if self.core.settings.registration == RegistrationPolicy::Closed {
            return Err(ServiceError::new(ProblemCode::RegistrationClosed));
        }
        self.limit(LimitName::RegisterAddress, LimitKey::Network(network))?;
        let username = parse_username(&request.username)?;
        check_new_password(&request.password)?;
        let now = self.core.clock.now();
        let list = decode_list(&request.device_list.0)?;
        let [entry] = list.devices() else { return Err(invalid_list("A new account has exactly one device.")) };
        if list.version() != 1 {
            return Err(invalid_list("A new account's list has version 1."));
        }
        let keys = keys::device_keys(&list, &request.device, now)?;
        let session = new_session(&request.session, keys::address(&list, entry));
        self.verify_log_in(&session, &entry.identity, &request.session)?;
        let username_hash = retired_name(&self.core.settings.retired_names_key, &username)?;
        let invite_hash = self.invite_hash(request.invite.as_deref());
        let vacancy = self.core.store.vacancy(&username, username_hash, invite_hash, now).await?;
        // The most likely reason for a taken name is that this same account repeats a request whose answer was lost.
        if let Some(holder) = &vacancy.holder
            && let Some(grant) = self.registered_before(holder, &list, &session, &request.password).await?
        {
            return Ok(grant);
        }
        // The invite is checked first, so that nobody learns without one which names are taken.
        if !vacancy.invite_good {
            return Err(ServiceError::new(ProblemCode::InviteInvalid));
        }
        if vacancy.holder.is_some() || vacancy.retired {
            return Err(ServiceError::new(ProblemCode::UsernameTaken));
        }
        let password_hash = self.core.passwords.hash(request.password.clone()).await?;
        let account = NewAccount {
            username_hash,
            username,
            password_hash,
            device_list: list.clone(),
            keys,
            session: session.clone(),
            invite_hash,
        };
        match self.core.store.create_account(account, now).await? {
            CreateAccount::Created => self.grant(&session.address, session.id, 1),
            CreateAccount::NameTaken(holder) => {
                let before = self.registered_before(&holder, &list, &session, &request.password).await?;
                before.ok_or_else(|| ServiceError::new(ProblemCode::UsernameTaken))
            }
            CreateAccount::NameRetired => Err(ServiceError::new(ProblemCode::UsernameTaken)),
            CreateAccount::AccountTaken => Err(ServiceError::new(ProblemCode::AccountTaken)),
            CreateAccount::SessionTaken => Err(ServiceError::new(ProblemCode::SessionConflict)),
            CreateAccount::InviteInvalid => Err(ServiceError::new(ProblemCode::InviteInvalid)),
        }
    }

    /// Returns the first answer again if the account that has the name repeats its request, with the same list, login
    /// and password. Returns `None` for anyone else: for them the name is taken.
    async fn registered_before(
        &self,
        record: &AccountRecord,
        list: &DeviceList,
        session: &NewSession,
        password: &Password,
    ) -> Result<Option<SessionGrant>, ServiceError> {
        if record.id != list.account() || record.device_list.0 != list.encoded() {
            return Ok(None);
        }
        let live = self.core.store.session(session.id).await?;
        if live.is_none_or(|live| live.address != session.address) {
            return Ok(None);
        }
        match self.verify_password(password, Some(record.password_hash.clone())).await? {
            Verdict::Wrong => Ok(None),
            Verdict::Right | Verdict::RightButOutdated => {
                let log_in = LogIn { session: session.clone(), password_hash: record.password_hash.clone() };
                match self.begin_session(log_in).await {
                    Err(error) if error.code == ProblemCode::LoginFailed => Ok(None),
                    begun => begun.map(Some),
                }
            }
        }
    }

    /// Hashes the invite, if one is required. It hashes a missing or malformed invite too, so that both take as long as
    /// an unknown one.
    fn invite_hash(&self, invite: Option<&str>) -> Option<[u8; 32]> {
        let needed = self.core.settings.registration == RegistrationPolicy::Invite;
        needed.then(|| hash_invite(invite.filter(|invite| invite.len() <= INVITE_MAX_BYTES).unwrap_or_default()))
    }

    /// Makes an invite for one registration within `lifetime_millis`. Only its hash is stored.
    ///
    /// # Errors
    /// The store's failures.
    pub async fn issue_invite(&self, lifetime_millis: u64) -> Result<String, ServiceError> {
        let mut bytes = [0; INVITE_BYTES];
        self.core.random.fill(&mut bytes);
        let invite = URL_SAFE_NO_PAD.encode(bytes);
        let now = self.core.clock.now();
        self.core.store.add_invite(hash_invite(&invite), now.saturating_add(lifetime_millis), now).await?;
        Ok(invite)
    }

    /// Finds the account of a name, and returns what a contact pins.
    ///
    /// # Errors
    /// `not_found` for names that are unknown, deleted or malformed alike; `rate_limited`.
    pub async fn account_by_name(
        &self,
        caller: &Caller,
        network: [u8; 16],
        username: &str,
    ) -> Result<AccountInfo, ServiceError> {
        or_planted(Countermeasure::LookUpLimits, self.limit_lookup(caller, network), Ok(()))?;
        let not_found = || ServiceError::new(ProblemCode::NotFound);
        let username = Username::parse(username).map_err(|_| not_found())?;
        let record = self.core.store.account_by_name(&username).await?.ok_or_else(not_found)?;
        let list = stored_list(&record)?;
        Ok(AccountInfo {
            username: record.username.as_str().to_owned(),
            account_id: B64(record.id),
            account_identity_key: B64(list.account_identity()),
            device_list: B64(record.device_list),
        })
    }

    /// Counts a look-up. People are rarely refused, and therefore many refusals raise an alarm.
    fn limit_lookup(&self, caller: &Caller, network: [u8; 16]) -> Result<(), ServiceError> {
        let limited = self
            .limit(LimitName::LookupAddress, LimitKey::Network(network))
            .and_then(|()| self.limit(LimitName::LookupAccount, LimitKey::Account(caller.account)));
        if limited.is_err() && self.core.limiter.lookup_refused(self.core.clock.now()) {
            self.core.metrics.lookup_alarm();
            tracing::warn!(
                refused = LOOKUPS_REFUSED_MAX,
                "somebody may be listing the names on this server: many look-ups were refused within an hour; \
                 if it goes on, lower lookup_account and lookup_address in [limits], or register by invite only"
            );
        }
        limited
    }

    /// Changes the password. Every other login ends, and every access token issued before, including the caller's.
    /// Repeating the same request changes nothing and succeeds.
    ///
    /// # Errors
    /// `password_wrong`, `password_too_short`, `password_too_long`, `password_common`, `rate_limited`, `busy`.
    pub async fn change_password(
        &self,
        caller: &Caller,
        request: ChangePasswordRequest,
    ) -> Result<SessionsEnded, ServiceError> {
        self.limit(LimitName::PasswordAccount, LimitKey::Account(caller.account))?;
        check_new_password(&request.new_password)?;
        let record = self.own_account(caller).await?;
        if self.verify_password(&request.old_password, Some(record.password_hash.clone())).await? == Verdict::Wrong {
            return self.changed_before(&record, &request.new_password).await;
        }
        let new = self.core.passwords.hash(request.new_password.clone()).await?;
        let changed = self
            .core
            .store
            .set_password_hash(caller.account, &record.password_hash, &new, Some(caller.session))
            .await?;
        match changed {
            Some(ended) => {
                self.core.end_sockets(&ended);
                self.core.end_sockets(&[caller.session]);
                Ok(SessionsEnded { ended: count(&ended) })
            }
            // Another change came first.
            None => self.changed_before(&self.own_account(caller).await?, &request.new_password).await,
        }
    }

    async fn changed_before(&self, record: &AccountRecord, new: &Password) -> Result<SessionsEnded, ServiceError> {
        match self.verify_password(new, Some(record.password_hash.clone())).await? {
            Verdict::Wrong => Err(ServiceError::new(ProblemCode::PasswordWrong)),
            Verdict::Right | Verdict::RightButOutdated => Ok(SessionsEnded { ended: 0 }),
        }
    }

    /// Erases the account, and returns what was erased and what remains.
    ///
    /// # Errors
    /// `password_wrong`, `rate_limited`, `busy`.
    pub async fn delete_account(
        &self,
        caller: &Caller,
        request: &DeleteAccountRequest,
    ) -> Result<ErasureReport, ServiceError> {
        self.limit(LimitName::PasswordAccount, LimitKey::Account(caller.account))?;
        let record = self.own_account(caller).await?;
        if self.verify_password(&request.password, Some(record.password_hash.clone())).await? == Verdict::Wrong {
            return Err(ServiceError::new(ProblemCode::PasswordWrong));
        }
        self.erase(&record).await?.ok_or_else(|| ServiceError::new(ProblemCode::Unauthenticated))
    }

    /// Erases the account. Returns `None` if it was deleted before.
    pub(super) async fn erase(&self, record: &AccountRecord) -> Result<Option<ErasureReport>, ServiceError> {
        let retired = retired_name(&self.core.settings.retired_names_key, &record.username)?;
        let now = self.core.clock.now();
        let Some(erased) = self.core.store.delete_account(record.id, retired, now).await? else { return Ok(None) };
        self.core.end_sockets(&erased.ended_sessions);
        self.core.wake(&erased.notified);
        Ok(Some(ErasureReport {
            devices: erased.devices,
            sessions: erased.sessions,
            device_lists: erased.device_lists,
            signed_prekeys: erased.signed_prekeys,
            one_time_prekeys: erased.one_time_prekeys,
            queued_messages: erased.queued_messages,
            remains: vec![
                "A keyed hash of the username, so that nobody can take the name again.".to_owned(),
                "Messages to others that were accepted before, until they are delivered or expire.".to_owned(),
            ],
        }))
    }

    /// Returns everything that the server holds about the caller's account.
    ///
    /// # Errors
    /// The store's failures.
    pub async fn export(&self, caller: &Caller) -> Result<AccountExport, ServiceError> {
        let record = self.own_account(caller).await?;
        let after = record.device_list_version.saturating_sub(DEVICE_LISTS_MAX as u64);
        let lists = self.core.store.device_lists(caller.account, after, DEVICE_LISTS_MAX).await?;
        let devices = self.core.store.devices(caller.account).await?.unwrap_or_default();
        let sessions = self.core.store.sessions(caller.account).await?;
        Ok(AccountExport {
            account_id: B64(record.id),
            username: record.username.as_str().to_owned(),
            created_at: record.created_at.0,
            device_lists: lists.map(|(lists, _)| lists).unwrap_or_default().into_iter().map(B64).collect(),
            devices: devices.iter().map(device_export).collect(),
            sessions: sessions.iter().map(|session| session_info(session, caller)).collect(),
        })
    }

    /// Returns the caller's account. It can have been deleted since the caller was authenticated.
    pub(super) async fn own_account(&self, caller: &Caller) -> Result<AccountRecord, ServiceError> {
        let record = self.core.store.account(caller.account).await?;
        record.ok_or_else(|| ServiceError::new(ProblemCode::Unauthenticated))
    }
}

/// Decodes an uploaded list and verifies its signature.
pub(super) fn decode_list(encoded: &EncodedDeviceList) -> Result<DeviceList, ServiceError> {
    DeviceList::decode(&encoded.0).map_err(|error| ServiceError::new(ProblemCode::DeviceListInvalid).with_source(error))
}

/// Returns the error for a validly signed list that does not fit the call.
pub(super) fn invalid_list(detail: &'static str) -> ServiceError {
    ServiceError::new(ProblemCode::DeviceListInvalid).with_detail(detail)
}

fn parse_username(text: &str) -> Result<Username, ServiceError> {
    Username::parse(text).map_err(|error| match error {
        UsernameError::Length | UsernameError::Character => ServiceError::new(ProblemCode::UsernameInvalid),
        UsernameError::Reserved => ServiceError::new(ProblemCode::UsernameReserved),
    })
}

pub(super) fn check_new_password(password: &Password) -> Result<(), ServiceError> {
    password.check_length().map_err(|error| match error {
        PasswordError::TooShort => ServiceError::new(ProblemCode::PasswordTooShort),
        PasswordError::TooLong => ServiceError::new(ProblemCode::PasswordTooLong),
    })?;
    if refuses(Countermeasure::GuessLimits, is_common(password)) {
        Err(ServiceError::new(ProblemCode::PasswordCommon))
    } else {
        Ok(())
    }
}

/// Returns the hash under which the name stays retired once the account is deleted. It is keyed, so that a thief of the
/// database cannot try names against it.
pub(crate) fn retired_name(key: &RetiredNamesKey, username: &Username) -> Result<[u8; 32], ServiceError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).map_err(ServiceError::internal)?;
    mac.update(username.as_str().as_bytes());
    Ok(mac.finalize().into_bytes().into())
}

pub(super) fn hash_invite(invite: &str) -> [u8; 32] {
    Sha256::new().chain_update(INVITE_LABEL).chain_update(invite).finalize().into()
}

fn device_export(device: &DeviceRecord) -> DeviceExport {
    DeviceExport {
        device_id: device.address.device.get(),
        registration_id: B64(device.address.registration),
        last_seen_at: device.last_seen_at.0,
        one_time_prekeys: u64::from(device.one_time_left),
        signed_prekey_id: device.signed_prekey.map_or(0, |prekey| prekey.id.0),
        queued_messages: device.queued_messages,
        queued_bytes: device.queued_bytes,
        highest_number: device.highest_number.0,
    }
}
