//! What an operator can do to accounts and invites. It cannot be reached over the network.
//!
//! An operator can lock somebody out, erase an account or set its password. None of that gives access to conversations,
//! because keys and device lists are signed by devices and stay as they are.

use sealpost_api::accounts::ErasureReport;
use sealpost_api::ids::{SessionId, StoreId};
use sealpost_api::password::Password;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, UnixMillis};

use super::accounts::{INVITE_MAX_BYTES, check_new_password, hash_invite};
use super::{ServiceError, Services};
use crate::store::{AccountRecord, AccountSummary, AfterRestore, InviteRecord, QueueSummary};

mod outcome;

pub use outcome::{UserAccount, UserChange};

/// The most invites that one call makes.
pub const INVITES_MAX: u32 = 1_000;
/// The most invites that are searched for the beginning of an id.
const INVITES_LISTED_MAX: usize = 100_000;
/// The fewest characters of an id that can identify it.
const INVITE_ID_MIN: usize = 4;
/// The letters of generated passwords. No two look alike, and each stands for five random bits.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789+";
/// The number of letters of a generated password: 120 bits.
const PASSWORD_LETTERS: usize = 24;

/// Why an operator's act could not be done.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No account has this name.
    #[error("there is no account of this name; `users list` shows them all")]
    UnknownUser,
    /// No login with this id is live.
    #[error("the account has no live session of this id; `sessions list` shows them")]
    UnknownSession,
    /// No invite matches.
    #[error("there is no such invite; `invites list` shows those that can still be used")]
    UnknownInvite,
    /// More than one invite matches.
    #[error("more than one invite begins like this; give more of its id")]
    AmbiguousInvite,
    /// A service refused or failed.
    #[error("{}", .0.code.title())]
    Service(#[from] ServiceError),
}

impl From<crate::store::StoreError> for AdminError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Service(error.into())
    }
}

/// A new invite. It is shown once, because only its hash is stored.
#[derive(Clone)]
pub struct IssuedInvite {
    /// The code that the invited person types.
    pub invite: String,
    /// Its hash.
    pub hash: [u8; 32],
    /// The time from which it is no longer valid.
    pub expires_at: UnixMillis,
}

impl Services {
    /// Makes invites, each for one registration within `lifetime_millis`.
    ///
    /// # Errors
    /// The store's failures. Invites made before the failure stay valid.
    pub async fn issue_invites(&self, count: u32, lifetime_millis: u64) -> Result<Vec<IssuedInvite>, AdminError> {
        let mut issued = Vec::new();
        for _ in 0..count.min(INVITES_MAX) {
            let expires_at = self.core.clock.now().saturating_add(lifetime_millis);
            let invite = self.issue_invite(lifetime_millis).await?;
            issued.push(IssuedInvite { hash: hash_invite(&invite), invite, expires_at });
        }
        Ok(issued)
    }

    /// Returns the invites that can still be used, newest first.
    ///
    /// # Errors
    /// The store's failures.
    pub async fn invites(&self) -> Result<Vec<InviteRecord>, AdminError> {
        Ok(self.core.store.invites(self.core.clock.now(), INVITES_LISTED_MAX).await?)
    }

    /// Deletes an invite, given by its code or by the beginning of its id (the hash in hexadecimal).
    ///
    /// # Errors
    /// [`AdminError::UnknownInvite`], [`AdminError::AmbiguousInvite`], the store's failures.
    pub async fn revoke_invite(&self, text: &str) -> Result<[u8; 32], AdminError> {
        if text.len() <= INVITE_MAX_BYTES {
            let hash = hash_invite(text);
            if self.core.store.remove_invite(hash).await? {
                return Ok(hash);
            }
        }
        if text.len() < INVITE_ID_MIN {
            return Err(AdminError::UnknownInvite);
        }
        let text = text.to_ascii_lowercase();
        let invites = self.invites().await?;
        let mut matching = invites.iter().filter(|invite| hex::encode(invite.hash).starts_with(&text));
        let invite = matching.next().ok_or(AdminError::UnknownInvite)?;
        if matching.next().is_some() {
            return Err(AdminError::AmbiguousInvite);
        }
        if self.core.store.remove_invite(invite.hash).await? { Ok(invite.hash) } else { Err(AdminError::UnknownInvite) }
    }

    /// Returns accounts in the order of their names.
    ///
    /// # Errors
    /// The store's failures.
    pub async fn users(&self, after: Option<&str>, limit: usize) -> Result<Vec<AccountSummary>, AdminError> {
        let after = after.map(Username::parse).transpose().map_err(|_| AdminError::UnknownUser)?;
        Ok(self.core.store.accounts_after(after.as_ref(), limit).await?)
    }

    /// Returns an account with its devices and live logins.
    ///
    /// # Errors
    /// [`AdminError::UnknownUser`], the store's failures.
    pub async fn user(&self, name: &str) -> Result<UserAccount, AdminError> {
        let record = self.named(name).await?;
        let devices = self.core.store.devices(record.id).await?.unwrap_or_default();
        let sessions = self.core.store.sessions(record.id).await?;
        Ok(UserAccount { record, devices, sessions })
    }

    /// Disables the account and ends every login.
    ///
    /// # Errors
    /// [`AdminError::UnknownUser`], the store's failures.
    pub async fn disable_user(&self, name: &str) -> Result<UserChange, AdminError> {
        let account = self.named(name).await?.id;
        let ended = self.core.store.disable_account(account, self.core.clock.now()).await?;
        Ok(UserChange { account, ended_sessions: self.ended(ended)?, changed: true, password: None })
    }

    /// Enables the account again. It is changed if it was disabled.
    ///
    /// # Errors
    /// [`AdminError::UnknownUser`], the store's failures.
    pub async fn enable_user(&self, name: &str) -> Result<UserChange, AdminError> {
        let account = self.named(name).await?.id;
        let changed = self.core.store.enable_account(account).await?.ok_or(AdminError::UnknownUser)?;
        Ok(UserChange { account, ended_sessions: 0, changed, password: None })
    }

    /// Sets the password and ends every login. Without a given password it generates one and returns it. Keys, devices
    /// and queue stay: the password alone logs nobody in on a new device except under a new identity, which contacts
    /// are shown.
    ///
    /// # Errors
    /// [`AdminError::UnknownUser`], an error for a password that users could not choose either, the store's failures.
    pub async fn reset_password(&self, name: &str, given: Option<Password>) -> Result<UserChange, AdminError> {
        let account = self.named(name).await?.id;
        let (password, made) = match given {
            Some(password) => (password, None),
            None => {
                let made = self.draw_password();
                (made.clone(), Some(made))
            }
        };
        check_new_password(&password)?;
        let hash = self.core.passwords.hash(password).await.map_err(ServiceError::from)?;
        let ended = self.core.store.reset_password_hash(account, &hash).await?;
        Ok(UserChange { account, ended_sessions: self.ended(ended)?, changed: true, password: made })
    }

    /// Erases an account, and returns what was erased and what remains.
    ///
    /// # Errors
    /// [`AdminError::UnknownUser`], the store's failures.
    pub async fn delete_user(&self, name: &str) -> Result<(AccountId, ErasureReport), AdminError> {
        let record = self.named(name).await?;
        let report = self.erase(&record).await?.ok_or(AdminError::UnknownUser)?;
        Ok((record.id, report))
    }

    /// Ends one login of an account, or all of them.
    ///
    /// # Errors
    /// [`AdminError::UnknownUser`], [`AdminError::UnknownSession`], the store's failures.
    pub async fn end_user_sessions(&self, name: &str, session: Option<SessionId>) -> Result<UserChange, AdminError> {
        let account = self.named(name).await?.id;
        let ended = match session {
            None => self.core.store.end_all_sessions(account).await?,
            Some(session) if self.core.store.end_session(account, session).await? => vec![session],
            Some(_) => return Err(AdminError::UnknownSession),
        };
        let ended_sessions = self.ended(Some(ended))?;
        Ok(UserChange { account, ended_sessions, changed: ended_sessions > 0, password: None })
    }

    /// Returns the queues with the most bytes.
    ///
    /// # Errors
    /// The store's failures.
    pub async fn largest_queues(&self, limit: usize) -> Result<Vec<QueueSummary>, AdminError> {
        Ok(self.core.store.largest_queues(limit).await?)
    }

    /// Ends everything that a restored older state of the store would revive: see [`AfterRestore`]. Streams end with
    /// their logins.
    ///
    /// # Errors
    /// The store's failures.
    pub async fn after_restore(&self) -> Result<AfterRestore, AdminError> {
        let mut id = [0; 16];
        self.core.random.fill(&mut id);
        let ended = self.core.store.after_restore(StoreId::from_bytes(id)).await?;
        // The store says how many logins ended; only the hub knows which of them have open streams.
        self.core.end_sockets(&self.core.hub.sessions());
        Ok(ended)
    }

    /// Ends the streams of logins that ended, and returns how many these are; `None` if there is no such account.
    fn ended(&self, ended: Option<Vec<SessionId>>) -> Result<u32, AdminError> {
        let ended = ended.ok_or(AdminError::UnknownUser)?;
        self.core.end_sockets(&ended);
        Ok(super::sessions::count(&ended))
    }

    async fn named(&self, name: &str) -> Result<AccountRecord, AdminError> {
        let username = Username::parse(name).map_err(|_| AdminError::UnknownUser)?;
        self.core.store.account_by_name(&username).await?.ok_or(AdminError::UnknownUser)
    }

    fn draw_password(&self) -> Password {
        let mut bytes = zeroize::Zeroizing::new([0_u8; PASSWORD_LETTERS]);
        self.core.random.fill(bytes.as_mut());
        let letter = |byte: &u8| LETTERS.get(usize::from(byte & 31)).map(|letter| char::from(*letter));
        Password::new(bytes.iter().filter_map(letter).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_letters_of_a_password_are_32_different_ones() {
        assert_eq!(LETTERS.iter().collect::<BTreeSet<_>>().len(), 32);
        assert!(LETTERS.iter().all(|letter| !b"0o1lI".contains(letter)));
    }
}
