//! Accounts: names, passwords, and what is looked up. Device lists are in `publish.rs`, the end in `erase.rs`.

use async_trait::async_trait;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Binary, Document, doc};
use sealpost_api::encoding::EncodedDeviceList;
use sealpost_api::ids::SessionId;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};
use sealpost_sabotage::{Countermeasure, without};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;

use super::documents::{Account, Device, Session};
use super::error::{DbError, describe, is_duplicate};
use super::{Db, MongoStore, TRIES, erase, pause, prekeys, publish, values};
use crate::store::{
    AccountRecord, AccountStore, CreateAccount, Erased, NameMatch, NewAccount, NewSession, PublishList, PublishOutcome,
    StoreError, Vacancy,
};

/// The generation that a session begins with.
pub(super) const FIRST_GENERATION: i64 = 1;

/// What a decision on an account comes to.
pub(super) enum Change<T> {
    /// The account as it is now is to be written.
    Write(T),
    /// Nothing is to be written.
    Keep(T),
}

#[async_trait]
impl AccountStore for MongoStore {
    async fn create_account(&self, account: NewAccount, now: UnixMillis) -> Result<CreateAccount, StoreError> {
        Ok(create(&self.db, &account, now).await?)
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
                Some(hash) => is_invite_good(&self.db, &hash, now).await,
                None => Ok(true),
            }
        };
        let (holder, retired, invite_good) =
            tokio::try_join!(by_name(&self.db, username), is_retired(&self.db, &username_hash), invite)?;
        Ok(Vacancy { holder: holder.map(Box::new), retired, invite_good })
    }

    async fn account_by_name(&self, username: &Username) -> Result<Option<AccountRecord>, StoreError> {
        Ok(by_name(&self.db, username).await?)
    }

    async fn account_or_other(&self, username: &Username) -> Result<Option<NameMatch>, StoreError> {
        Ok(named_or_other(&self.db, username).await?)
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
            if !is_hash(account, expected) {
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
            if !is_hash(account, expected) {
                return Ok(Change::Keep(false));
            }
            new.clone_into(&mut account.password_hash);
            Ok(Change::Write(true))
        });
        Ok(changed.await?.unwrap_or(false))
    }

    async fn publish_device_list(&self, publish: PublishList, now: UnixMillis) -> Result<PublishOutcome, StoreError> {
        Ok(publish::publish(&self.db, &publish, now).await?)
    }

    async fn device_lists(
        &self,
        account: AccountId,
        after: u64,
        limit: usize,
    ) -> Result<Option<(Vec<EncodedDeviceList>, u64)>, StoreError> {
        Ok(publish::lists(&self.db, account, after, limit).await?)
    }

    async fn delete_account(
        &self,
        account: AccountId,
        username_hash: [u8; 32],
        now: UnixMillis,
    ) -> Result<Option<Erased>, StoreError> {
        Ok(erase::erase(&self.db, account, &username_hash, now).await?)
    }

    async fn add_invite(
        &self,
        invite_hash: [u8; 32],
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let add = doc! {
            "$max": { "expires_at": values::time(expires_at) },
            "$setOnInsert": { "created_at": values::time(now), "account": null },
        };
        let id = doc! { "_id": values::binary(&invite_hash) };
        self.db.invites.update_one(id, add).upsert(true).await.map_err(DbError::from)?;
        Ok(())
    }
}

impl Db {
    /// An account that is not erased.
    pub(super) async fn account(&self, account: AccountId) -> Result<Option<Account>, DbError> {
        let found = self.accounts.find_one(doc! { "_id": values::account(account) }).await?;
        Ok(found.filter(Account::is_there))
    }

    /// Decides on an account and writes it, if nothing of it changed between; else decides again. `None` for no account.
    pub(super) async fn change<T>(
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

    /// The same for the account that a filter finds, erased or not.
    pub(super) async fn change_where<T>(
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

    /// Writes an account over the one that it was read as; whether that one was still there.
    pub(super) async fn write(&self, mut account: Account) -> Result<bool, DbError> {
        let read = doc! { "_id": &account.id, "rev": account.rev };
        account.rev = account.rev.saturating_add(1);
        account.index();
        Ok(self.accounts.replace_one(read, account).await?.matched_count == 1)
    }
}

/// Whether the account has this password hash.
pub(super) fn is_hash(account: &Account, expected: &str) -> bool {
    account.password_hash.as_bytes().ct_eq(expected.as_bytes()).into()
}

async fn by_name(db: &Db, username: &Username) -> Result<Option<AccountRecord>, DbError> {
    let found = db.accounts.find_one(doc! { "username": username.as_str() }).await?;
    found.map(|account| account.record()).transpose()
}

async fn is_retired(db: &Db, username_hash: &[u8; 32]) -> Result<bool, DbError> {
    let hash = values::binary(username_hash);
    // In this order: the sweep retires the name before it forgets the erased account.
    if db.accounts.find_one(doc! { "name_hash": &hash, "erased_at": { "$gte": 0_i64 } }).await?.is_some() {
        return Ok(true);
    }
    Ok(db.retired.find_one(doc! { "_id": &hash }).await?.is_some())
}

async fn is_invite_good(db: &Db, invite: &[u8; 32], now: UnixMillis) -> Result<bool, DbError> {
    let found = db.invites.find_one(doc! { "_id": values::binary(invite) }).await?;
    Ok(found.is_some_and(|invite| invite.expires_at > values::time(now)))
}

/// One look into the index of names, one for any account, one for the document of either: whether the name is there or not.
async fn named_or_other(db: &Db, username: &Username) -> Result<Option<NameMatch>, DbError> {
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

/// Whether a session id is in use, in this account or in another.
pub(super) async fn holder(db: &Db, session: SessionId) -> Result<Option<Binary>, DbError> {
    let found = db.accounts.find_one(doc! { "ids": values::binary(session.as_bytes()) }).await?;
    Ok(found.map(|account| account.id))
}

/// A session that begins.
pub(super) fn begin_session(session: &NewSession, now: UnixMillis) -> Session {
    Session {
        id: values::binary(session.id.as_bytes()),
        device: i32::from(session.address.device.get()),
        registration: values::binary(session.address.registration.as_bytes()),
        refresh: values::binary(session.refresh_hash.as_bytes()),
        previous: None,
        generation: FIRST_GENERATION,
        created_at: values::time(now),
        last_used_at: values::time(now),
        ended_at: None,
    }
}

/// The account is written by one insert, under the unique indexes of names, retired names, account ids and session ids.
/// Before it come its device's prekeys, which nobody finds without it, and the claim of its invite, which only the same
/// account can repeat.
async fn create(db: &Db, account: &NewAccount, now: UnixMillis) -> Result<CreateAccount, DbError> {
    let id = account.device_list.account();
    for tried in 1..=TRIES {
        if let Some(hopeless) = why_not(db, account, id).await? {
            return Ok(hopeless);
        }
        let attempt = ObjectId::new();
        if let Some(invite) = &account.invite_hash
            && !claim(db, invite, id, attempt, now).await?
        {
            // Spent by a repetition of this very request, perhaps, and just now.
            return Ok(why_not(db, account, id).await?.unwrap_or(CreateAccount::InviteInvalid));
        }
        let keys = account.device_list.devices().iter().find(|entry| entry.device == account.keys.device);
        let address = keys
            .map(|entry| DeviceAddress { account: id, device: entry.device, registration: entry.registration })
            .ok_or(DbError::Corrupt("keys for a device outside of its list"))?;
        let made = prekeys::begin(db, &address, &account.keys).await?;
        match db.accounts.insert_one(new_document(account, id, now)).await {
            Ok(_) => {
                if let Some(invite) = &account.invite_hash {
                    spend(db, invite, id).await;
                }
                return Ok(CreateAccount::Created);
            }
            Err(error) if is_duplicate(&error) => {
                if db.account(id).await?.is_none() {
                    if let Some(begun) = made {
                        prekeys::take_back(db, &address, begun).await?;
                    }
                    if let Some(invite) = &account.invite_hash {
                        release(db, invite, id, attempt).await?;
                    }
                }
                pause(tried).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(DbError::Contended)
}

/// What is in the way of a registration, in the order in which the answers are promised.
async fn why_not(db: &Db, account: &NewAccount, id: AccountId) -> Result<Option<CreateAccount>, DbError> {
    let taken = by_name(db, &account.username).await?;
    if let Some(record) = taken.filter(|_| !without(Countermeasure::UniqueName)) {
        return Ok(Some(CreateAccount::NameTaken(Box::new(record))));
    }
    if is_retired(db, &account.username_hash).await? {
        return Ok(Some(CreateAccount::NameRetired));
    }
    // An erased account's id is not free while its devices may still be named as senders.
    if db.accounts.find_one(doc! { "_id": values::account(id) }).await?.is_some() {
        return Ok(Some(CreateAccount::AccountTaken));
    }
    Ok(holder(db, account.session.id).await?.map(|_| CreateAccount::SessionTaken))
}

/// Reserves an invite for one account; whether that went well, now or before.
async fn claim(
    db: &Db,
    invite: &[u8; 32],
    account: AccountId,
    attempt: ObjectId,
    now: UnixMillis,
) -> Result<bool, DbError> {
    let free = doc! {
        "_id": values::binary(invite),
        "expires_at": { "$gt": values::time(now) },
        "account": { "$in": [null, values::account(account)] },
    };
    let claimed = doc! { "$set": { "account": values::account(account), "claim": attempt } };
    Ok(db.invites.update_one(free, claimed).await?.matched_count == 1)
}

/// Gives an invite back that paid for nothing, unless the same registration has claimed it again since.
async fn release(db: &Db, invite: &[u8; 32], account: AccountId, attempt: ObjectId) -> Result<(), DbError> {
    let mine = doc! { "_id": values::binary(invite), "account": values::account(account), "claim": attempt };
    db.invites.update_one(mine, doc! { "$set": { "account": null } }).await?;
    Ok(())
}

/// Deletes the invite that paid for an account. The account is there whatever becomes of this, and nobody else can use the
/// invite, which expires.
async fn spend(db: &Db, invite: &[u8; 32], account: AccountId) {
    let spent = doc! { "_id": values::binary(invite), "account": { "$in": [null, values::account(account)] } };
    if let Err(error) = db.invites.delete_one(spent).await {
        tracing::warn!(error = describe(&error), "a used invite is deleted when it expires");
    }
}

fn new_document(account: &NewAccount, id: AccountId, now: UnixMillis) -> Account {
    let list = &account.device_list;
    let mut document = Account {
        id: values::account(id),
        username: account.username.as_str().to_owned(),
        name_hash: values::binary(&account.username_hash),
        ids: Vec::new(),
        password_hash: account.password_hash.clone(),
        created_at: values::time(now),
        disabled_at: None,
        erased_at: None,
        rev: 1,
        list_version: list.version().cast_signed(),
        list_hash: values::binary(&list.hash()),
        list: values::binary(list.encoded()),
        devices: list
            .devices()
            .iter()
            .map(|entry| Device {
                id: i32::from(entry.device.get()),
                registration: values::binary(entry.registration.as_bytes()),
                identity: values::binary(entry.identity.as_bytes()),
                since: values::time(now),
            })
            .collect(),
        sessions: vec![begin_session(&account.session, now)],
        removing: Vec::new(),
    };
    document.index();
    document
}
