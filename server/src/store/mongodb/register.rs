//! Registering: one insert makes the account, under unique indexes of names, retired names, account ids and session
//! ids.

use mongodb::bson::doc;
use mongodb::bson::oid::ObjectId;
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};
use sealpost_sabotage::{Countermeasure, refuses};

use super::collections::{accounts, invites, prekeys, sessions};
use super::db::{Db, TRIES, pause};
use super::documents::accounts::{Account, Device};
use super::error::{DbError, is_duplicate};
use super::values;
use crate::store::accounts::{CreateAccount, NewAccount};

/// See [`AccountStore::create_account`](crate::store::AccountStore::create_account). Before the account come its
/// device's prekeys, which nothing finds without it, and the claim of its invite, which only the same account can
/// repeat.
pub(super) async fn register(db: &Db, account: &NewAccount, now: UnixMillis) -> Result<CreateAccount, DbError> {
    let id = account.device_list.account();
    for tried in 1..=TRIES {
        if let Some(hopeless) = why_not(db, account, id).await? {
            return Ok(hopeless);
        }
        let attempt = ObjectId::new();
        if let Some(invite) = &account.invite_hash
            && !invites::claim(db, invite, id, attempt, now).await?
        {
            // A repetition of this very request may have spent it just now.
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
                    invites::spend(db, invite, id).await;
                }
                return Ok(CreateAccount::Created);
            }
            Err(error) if is_duplicate(&error) => {
                if db.account(id).await?.is_none() {
                    if let Some(begun) = made {
                        prekeys::take_back(db, &address, begun).await?;
                    }
                    if let Some(invite) = &account.invite_hash {
                        invites::release(db, invite, id, attempt).await?;
                    }
                }
                pause(tried).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(DbError::Contended)
}

/// Returns what stands in the way of a registration, in the order in which the answers are promised.
async fn why_not(db: &Db, account: &NewAccount, id: AccountId) -> Result<Option<CreateAccount>, DbError> {
    let taken = accounts::by_name(db, &account.username).await?;
    if let Some(record) = taken.filter(|_| refuses(Countermeasure::UniqueName, true)) {
        return Ok(Some(CreateAccount::NameTaken(Box::new(record))));
    }
    if accounts::is_retired(db, &account.username_hash).await? {
        return Ok(Some(CreateAccount::NameRetired));
    }
    // The devices of an erased account may still be named as senders. Until they are not, its id is not free.
    if db.accounts.find_one(doc! { "_id": values::account(id) }).await?.is_some() {
        return Ok(Some(CreateAccount::AccountTaken));
    }
    Ok(sessions::holder(db, account.session.id).await?.map(|_| CreateAccount::SessionTaken))
}

/// The document of a new account.
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
        sessions: vec![sessions::begin(&account.session, now)],
        removing: Vec::new(),
    };
    document.index();
    document
}
