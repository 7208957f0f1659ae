//! Accounts: looking them up, and changing them in one step.

use mongodb::bson::{Binary, Document, doc};
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress};
use serde::Deserialize;

use crate::domain::constant_time::same;
use crate::store::accounts::{AccountRecord, NameMatch};
use crate::store::mongodb::db::{Db, TRIES, pause};
use crate::store::mongodb::documents::accounts::Account;
use crate::store::mongodb::error::DbError;
use crate::store::mongodb::values;

/// What a decision on an account comes to.
pub(crate) enum Change<T> {
    /// The account is written as it is now.
    Write(T),
    /// Nothing is written.
    Keep(T),
}

impl Db {
    /// Returns an account that is not erased.
    pub(crate) async fn account(&self, account: AccountId) -> Result<Option<Account>, DbError> {
        let found = self.accounts.find_one(doc! { "_id": values::account(account) }).await?;
        Ok(found.filter(Account::is_there))
    }

    /// Decides on an account and writes it if it did not change meanwhile; otherwise decides again. `None` if there is
    /// no such account.
    pub(crate) async fn change<T>(
        &self,
        account: AccountId,
        mut decide: impl FnMut(&mut Account) -> Result<Change<T>, DbError>,
    ) -> Result<Option<T>, DbError> {
        let changed = self.change_where(doc! { "_id": values::account(account) }, |account| {
            if !account.is_there() {
                return Ok(Change::Keep(None));
            }
            Ok(match decide(account)? {
                Change::Write(answer) => Change::Write(Some(answer)),
                Change::Keep(answer) => Change::Keep(Some(answer)),
            })
        });
        Ok(changed.await?.flatten())
    }

    /// Changes the account that a filter finds, erased or not.
    pub(crate) async fn change_where<T>(
        &self,
        filter: Document,
        mut decide: impl FnMut(&mut Account) -> Result<Change<T>, DbError>,
    ) -> Result<Option<T>, DbError> {
        for tried in 1..=TRIES {
            let Some(mut account) = self.accounts.find_one(filter.clone()).await? else { return Ok(None) };
            match decide(&mut account)? {
                Change::Keep(answer) => return Ok(Some(answer)),
                Change::Write(answer) if self.write(account).await? => return Ok(Some(answer)),
                Change::Write(_) => pause(tried).await,
            }
        }
        Err(DbError::Contended)
    }

    /// Writes an account over the revision that was read. Returns whether that was still the current one.
    pub(crate) async fn write(&self, mut account: Account) -> Result<bool, DbError> {
        let read = doc! { "_id": &account.id, "rev": account.rev };
        account.rev = account.rev.saturating_add(1);
        account.index();
        Ok(self.accounts.replace_one(read, account).await?.matched_count == 1)
    }

    /// Returns whether a device is in its account's current list.
    pub(crate) async fn is_listed(&self, address: &DeviceAddress) -> Result<bool, DbError> {
        match self.account(address.account).await? {
            Some(account) => Ok(account.addresses()?.contains(address)),
            None => Ok(false),
        }
    }
}

/// Returns whether the account has this password hash.
pub(crate) fn is_hash(account: &Account, expected: &str) -> bool {
    same(account.password_hash.as_bytes(), expected.as_bytes())
}

/// Returns the account with this name.
pub(crate) async fn by_name(db: &Db, username: &Username) -> Result<Option<AccountRecord>, DbError> {
    let found = db.accounts.find_one(doc! { "username": username.as_str() }).await?;
    found.map(|account| account.record()).transpose()
}

/// Returns whether the name with this hash belonged to an account that was deleted.
pub(crate) async fn is_retired(db: &Db, username_hash: &[u8; 32]) -> Result<bool, DbError> {
    let hash = values::binary(username_hash);
    // In this order, because the sweep retires the name before it forgets the erased account.
    if db.accounts.find_one(doc! { "name_hash": &hash, "erased_at": { "$gte": 0_i64 } }).await?.is_some() {
        return Ok(true);
    }
    Ok(db.retired.find_one(doc! { "_id": &hash }).await?.is_some())
}

/// Returns the account with this name, or any other. Looks once into the index of names, once for any account, and once
/// for the document, whether the name exists or not.
pub(crate) async fn named_or_other(db: &Db, username: &Username) -> Result<Option<NameMatch>, DbError> {
    #[derive(Deserialize)]
    struct Id {
        #[serde(rename = "_id")]
        id: Binary,
    }
    let ids = db.accounts.clone_with_type::<Id>();
    let named = ids.find_one(doc! { "username": username.as_str() }).projection(doc! { "_id": 1 });
    let other = ids.find_one(doc! { "erased_at": null }).projection(doc! { "_id": 1 });
    let (named, other) = tokio::try_join!(async { named.await }, async { other.await })?;
    let is_named = named.is_some();
    let Some(found) = named.or(other) else { return Ok(None) };
    let account = db.account(values::to_account(&found.id)?).await?;
    let record = account.map(|account| account.record()).transpose()?.map(Box::new);
    Ok(record.map(|record| if is_named { NameMatch::Named(record) } else { NameMatch::Other(record) }))
}
