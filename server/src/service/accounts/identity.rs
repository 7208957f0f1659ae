//! Continuing an account under a new account identity key, from a machine that has the password but not the old key.
//!
//! It is visible to everyone: the new list is marked, and contacts are shown an identity change.

use sealpost_api::accounts::{CurrentIdentity, CurrentIdentityRequest, NewIdentityRequest};
use sealpost_api::encoding::B64;
use sealpost_api::password::Password;
use sealpost_api::problem::ProblemCode;
use sealpost_api::sessions::SessionGrant;
use sealpost_crypto::DeviceList;
use sealpost_sabotage::{Countermeasure, holds};

use super::{decode_list, invalid_list, keys};
use crate::service::limiter::{LimitKey, LimitName};
use crate::service::passwords::Verdict;
use crate::service::sessions::new_session;
use crate::service::{ServiceError, Services};
use crate::store::{AccountRecord, LogIn, NewSession, PublishList, PublishOutcome};

impl Services {
    /// Returns the account's id and newest list, to which a new identity's list is chained.
    ///
    /// # Errors
    /// `login_failed`, `rate_limited`, `busy`.
    pub async fn current_identity(
        &self,
        network: [u8; 16],
        request: &CurrentIdentityRequest,
    ) -> Result<CurrentIdentity, ServiceError> {
        let (record, _) = self.account_by_password(network, &request.username, &request.password).await?;
        Ok(CurrentIdentity { account_id: B64(record.id), device_list: B64(record.device_list) })
    }

    /// Makes a list with a new account identity key current, and logs its one device in. All earlier devices and logins
    /// end. Repeating the same request returns the first answer.
    ///
    /// # Errors
    /// `login_failed`, `rate_limited`, `busy`, `device_list_invalid`, `device_list_conflict`, `signed_prekey_invalid`,
    /// `signed_prekey_expired`, `one_time_prekeys_invalid`, `signature_invalid`, `session_conflict`.
    pub async fn new_identity(
        &self,
        network: [u8; 16],
        request: NewIdentityRequest,
    ) -> Result<SessionGrant, ServiceError> {
        let list = decode_list(&request.device_list.0)?;
        let (record, current) = self.account_by_password(network, &request.username, &request.password).await?;
        let [entry] = list.devices() else { return Err(invalid_list("A new identity has exactly one device.")) };
        // The password alone (which an operator can set) leads only to a list that tells contacts about the new
        // identity.
        let marked = holds(Countermeasure::NewIdentityMark, list.new_identity());
        if list.account() != record.id || !marked {
            return Err(invalid_list("The list does not begin a new identity of this account."));
        }
        let now = self.core.clock.now();
        let session = new_session(&request.session, keys::address(&list, entry));
        self.verify_log_in(&session, &entry.identity, &request.session)?;
        let log_in = LogIn { session: session.clone(), password_hash: record.password_hash.clone() };
        if list == current {
            return self.begin_session(log_in).await;
        }
        check_new_identity(&current, &list)?;
        self.limit(LimitName::PublishAccount, LimitKey::Account(record.id))?;
        let keys = keys::device_keys(&list, &request.device, now)?;
        let version = list.version();
        let publish = PublishList { device_list: list, added: vec![keys], log_in: Some(log_in.clone()) };
        match self.core.store.publish_device_list(publish, now).await? {
            PublishOutcome::Published { removed: _, ended_sessions, notified } => {
                self.core.end_sockets(&ended_sessions);
                self.core.wake(&notified);
                self.core.announce_device_list(record.id, version);
                self.granted(session).await
            }
            PublishOutcome::AlreadyCurrent => self.begin_session(log_in).await,
            PublishOutcome::Conflict => Err(ServiceError::new(ProblemCode::DeviceListConflict)),
            PublishOutcome::UnknownAccount | PublishOutcome::PasswordChanged => {
                Err(ServiceError::new(ProblemCode::LoginFailed))
            }
            PublishOutcome::SessionTaken => Err(ServiceError::new(ProblemCode::SessionConflict)),
        }
    }

    /// Returns the account of a name for the right password. Every failure is the same `login_failed` at the same cost.
    async fn account_by_password(
        &self,
        network: [u8; 16],
        username: &str,
        password: &Password,
    ) -> Result<(AccountRecord, DeviceList), ServiceError> {
        self.limit(LimitName::LoginAddress, LimitKey::Network(network))?;
        self.count_guess(username)?;
        let (record, list) = self.account_for_log_in(username).await?;
        let hash = record.as_ref().map(|record| record.password_hash.clone());
        let verdict = self.verify_password(password, hash).await?;
        self.core.metrics.login(verdict != Verdict::Wrong);
        match record {
            Some(record) if verdict != Verdict::Wrong && record.disabled_at.is_none() => Ok((record, list)),
            _ => Err(ServiceError::new(ProblemCode::LoginFailed)),
        }
    }

    /// Creates the grant for a login that was started together with its list.
    async fn granted(&self, session: NewSession) -> Result<SessionGrant, ServiceError> {
        let live = self.core.store.session(session.id).await?;
        let live = live.ok_or_else(|| ServiceError::new(ProblemCode::SessionEnded))?;
        self.grant(&session.address, session.id, live.generation)
    }
}

/// Checks that the list follows the current one with another key, and with a device that was not there before.
fn check_new_identity(current: &DeviceList, next: &DeviceList) -> Result<(), ServiceError> {
    current
        .check_successor(next)
        .map_err(|error| ServiceError::new(ProblemCode::DeviceListConflict).with_source(error))?;
    if next.account_identity() == current.account_identity() {
        return Err(invalid_list("A new identity has a new account identity key."));
    }
    let registration_known =
        next.devices().iter().any(|entry| current.devices().iter().any(|old| old.registration == entry.registration));
    if registration_known {
        return Err(invalid_list("A new identity's device has a new registration id."));
    }
    Ok(())
}
