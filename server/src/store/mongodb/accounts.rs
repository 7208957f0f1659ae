//! Accounts. Registering and erasing have files of their own.

use async_trait::async_trait;
use sealpost_api::ids::SessionId;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, UnixMillis};

use super::collections::accounts::{self, Change};
use super::collections::invites;
use super::store::MongoStore;
use super::{erase, register, values};
use crate::store::accounts::{AccountRecord, AccountStore, CreateAccount, Erased, NameMatch, NewAccount, Vacancy};
use crate::store::error::StoreError;

#[async_trait]
impl AccountStore for MongoStore {
    async fn create_account(&self, account: NewAccount, now: UnixMillis) -> Result<CreateAccount, StoreError> {
        Ok(register::register(&self.db, &account, now).await?)
    }

    async fn vacancy(
        &self,
        username: &Username,
        username_hash: [u8; 32],
        invite_hash: Option<[u8; 32]>,
        now: UnixMillis,
    ) -> Result<Vacancy, StoreError> {
        let invite = async {
            match invite_hash {
                Some(hash) => invites::is_good(&self.db, &hash, now).await,
                None => Ok(true),
            }
        };
        let (holder, retired, invite_good) = tokio::try_join!(
            accounts::by_name(&self.db, username),
            accounts::is_retired(&self.db, &username_hash),
            invite
        )?;
        Ok(Vacancy { holder: holder.map(Box::new), retired, invite_good })
    }

    async fn account_by_name(&self, username: &Username) -> Result<Option<AccountRecord>, StoreError> {
        Ok(accounts::by_name(&self.db, username).await?)
    }

    async fn account_or_other(&self, username: &Username) -> Result<Option<NameMatch>, StoreError> {
        Ok(accounts::named_or_other(&self.db, username).await?)
    }

    async fn account(&self, account: AccountId) -> Result<Option<AccountRecord>, StoreError> {
        Ok(self.db.account(account).await?.map(|account| account.record()).transpose()?)
    }

    async fn set_password_hash(
        &self,
        account: AccountId,
        expected: &str,
        new: &str,
        keep: Option<SessionId>,
    ) -> Result<Option<Vec<SessionId>>, StoreError> {
        let keep = keep.map(|session| values::binary(session.as_bytes()));
        let changed = self.db.change(account, |account| {
            if !accounts::is_hash(account, expected) {
                return Ok(Change::Keep(None));
            }
            new.clone_into(&mut account.password_hash);
            for session in &mut account.sessions {
                if keep.as_ref() == Some(&session.id) && session.ended_at.is_none() {
                    session.generation = session.generation.saturating_add(1);
                }
            }
            account.end(|session| keep.as_ref() != Some(&session.id)).map(|ended| Change::Write(Some(ended)))
        });
        Ok(changed.await?.flatten())
    }

    async fn rehash_password(&self, account: AccountId, expected: &str, new: &str) -> Result<bool, StoreError> {
        let changed = self.db.change(account, |account| {
            if !accounts::is_hash(account, expected) {
                return Ok(Change::Keep(false));
            }
            new.clone_into(&mut account.password_hash);
            Ok(Change::Write(true))
        });
        Ok(changed.await?.unwrap_or(false))
    }

    async fn delete_account(
        &self,
        account: AccountId,
        username_hash: [u8; 32],
        now: UnixMillis,
    ) -> Result<Option<Erased>, StoreError> {
        Ok(erase::erase(&self.db, account, &username_hash, now).await?)
    }
}
