//! What an operator looks at and decides.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mongodb::bson::{Binary, doc};
use sealpost_api::ids::SessionId;
use sealpost_api::limits::ONE_TIME_PREKEYS_LOW;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};
use serde::Deserialize;

use super::accounts::Change;
use super::documents::{Account, Hot, Invite, in_queue};
use super::error::DbError;
use super::{Db, MongoStore, values};
use crate::store::{AccountSummary, AdminStore, InviteRecord, QueueSummary, StoreError, StoreFigures};

#[async_trait]
impl AdminStore for MongoStore {
    async fn invites(&self, now: UnixMillis, limit: usize) -> Result<Vec<InviteRecord>, StoreError> {
        Ok(invites(&self.db, now, limit).await?)
    }

    async fn remove_invite(&self, hash: [u8; 32]) -> Result<bool, StoreError> {
        let invite = doc! { "_id": values::binary(&hash) };
        Ok(self.db.invites.delete_one(invite).await.map_err(DbError::from)?.deleted_count > 0)
    }

    async fn accounts_after(&self, after: Option<&Username>, limit: usize) -> Result<Vec<AccountSummary>, StoreError> {
        Ok(accounts_after(&self.db, after.map(Username::as_str), limit).await?)
    }

    async fn disable_account(&self, account: AccountId, now: UnixMillis) -> Result<Option<Vec<SessionId>>, StoreError> {
        let disabled = self.db.change(account, |account| {
            account.disabled_at.get_or_insert(values::time(now));
            account.end(|_| true).map(Change::Write)
        });
        Ok(disabled.await?)
    }

    async fn enable_account(&self, account: AccountId) -> Result<Option<bool>, StoreError> {
        let enabled = self.db.change(account, |account| {
            let was = account.disabled_at.take().is_some();
            Ok(if was { Change::Write(was) } else { Change::Keep(was) })
        });
        Ok(enabled.await?)
    }

    async fn reset_password_hash(&self, account: AccountId, new: &str) -> Result<Option<Vec<SessionId>>, StoreError> {
        let reset = self.db.change(account, |account| {
            new.clone_into(&mut account.password_hash);
            account.end(|_| true).map(Change::Write)
        });
        Ok(reset.await?)
    }

    async fn largest_queues(&self, limit: usize) -> Result<Vec<QueueSummary>, StoreError> {
        Ok(largest_queues(&self.db, limit).await?)
    }

    async fn figures(&self, now: UnixMillis) -> Result<StoreFigures, StoreError> {
        Ok(figures(&self.db, now).await?)
    }
}

async fn invites(db: &Db, now: UnixMillis, limit: usize) -> Result<Vec<InviteRecord>, DbError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let good = doc! { "expires_at": { "$gt": values::time(now) }, "account": null };
    let newest = doc! { "created_at": -1, "_id": 1 };
    let found: Vec<Invite> =
        db.invites.find(good).sort(newest).limit(values::limit(limit)).await?.try_collect().await?;
    let record = |invite: &Invite| {
        Ok(InviteRecord {
            hash: values::fixed(&invite.id)?,
            created_at: values::millis(invite.created_at),
            expires_at: values::millis(invite.expires_at),
        })
    };
    found.iter().map(record).collect()
}

async fn accounts_after(db: &Db, after: Option<&str>, limit: usize) -> Result<Vec<AccountSummary>, DbError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    // The names of erased accounts come before every letter.
    let some = doc! { "username": { "$gt": after.unwrap_or("$") } };
    let find = db.accounts.find(some).sort(doc! { "username": 1 }).limit(values::limit(limit));
    let accounts: Vec<Account> = find.await?.try_collect().await?;
    let ids = accounts.iter().map(Account::account).collect::<Result<Vec<_>, _>>()?;
    let hot = db.all_hot(ids).await?;
    let summary = |account: &Account| {
        let record = account.record()?;
        let devices = account.addresses()?;
        let sum = |of: fn(&Hot) -> i64| {
            devices.iter().filter_map(|address| hot.get(address)).map(|hot| values::count(of(hot))).sum()
        };
        Ok(AccountSummary {
            id: record.id,
            username: record.username,
            created_at: record.created_at,
            disabled_at: record.disabled_at,
            devices: u64::try_from(devices.len()).unwrap_or(u64::MAX),
            queued_messages: sum(|hot| hot.messages),
            queued_bytes: sum(|hot| hot.bytes),
        })
    };
    accounts.iter().map(summary).collect()
}

/// When the oldest row of a device's queue was accepted.
async fn oldest(db: &Db, address: &DeviceAddress) -> Result<Option<UnixMillis>, DbError> {
    #[derive(Deserialize)]
    struct Age {
        accepted_at: i64,
    }
    let ages = db.queue.clone_with_type::<Age>();
    let find = ages.find(in_queue(address)).projection(doc! { "accepted_at": 1 });
    let mut found = find.sort(doc! { "row": 1 }).limit(1).await?;
    Ok(found.try_next().await?.map(|row| values::millis(row.accepted_at)))
}

async fn largest_queues(db: &Db, limit: usize) -> Result<Vec<QueueSummary>, DbError> {
    let mut queues = Vec::new();
    if limit == 0 {
        return Ok(queues);
    }
    let mut found = db.devices.find(doc! { "messages": { "$gt": 0_i64 } }).sort(doc! { "bytes": -1, "_id": 1 }).await?;
    while let Some(hot) = found.try_next().await? {
        let address = values::to_address(&hot.id)?;
        let Some(account) = db.account(address.account).await? else { continue };
        let Some(oldest_at) = oldest(db, &address).await? else { continue };
        if account.addresses()?.contains(&address) {
            queues.push(QueueSummary {
                username: account.record()?.username,
                address,
                messages: values::count(hot.messages),
                bytes: values::count(hot.bytes),
                oldest_at,
                last_seen_at: values::millis(hot.last_seen_at),
            });
            if queues.len() >= limit {
                break;
            }
        }
    }
    Ok(queues)
}

/// The parts of an account that are counted.
#[derive(Deserialize)]
struct Counted {
    #[serde(rename = "_id")]
    id: Binary,
    disabled_at: Option<i64>,
    devices: Vec<CountedDevice>,
    sessions: Vec<CountedSession>,
}

#[derive(Deserialize)]
struct CountedDevice {
    id: i32,
    registration: Binary,
}

#[derive(Deserialize)]
struct CountedSession {
    #[serde(default)]
    ended_at: Option<i64>,
}

/// The parts of a device's prekeys that are counted.
#[derive(Deserialize)]
struct CountedKeys {
    #[serde(rename = "_id")]
    id: Binary,
    left: i64,
    expires_at: Option<i64>,
}

async fn figures(db: &Db, now: UnixMillis) -> Result<StoreFigures, DbError> {
    let mut figures = StoreFigures::default();
    let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
    let mut devices = std::collections::BTreeSet::new();
    let parts = doc! { "disabled_at": 1, "devices.id": 1, "devices.registration": 1, "sessions.ended_at": 1 };
    let mut accounts =
        db.accounts.clone_with_type::<Counted>().find(doc! { "erased_at": null }).projection(parts).await?;
    while let Some(account) = accounts.try_next().await? {
        add(&mut figures.accounts, 1);
        add(&mut figures.disabled_accounts, u64::from(account.disabled_at.is_some()));
        let live = account.sessions.iter().filter(|session| session.ended_at.is_none()).count();
        add(&mut figures.sessions, u64::try_from(live).unwrap_or(u64::MAX));
        let id = values::to_account(&account.id)?;
        for device in &account.devices {
            devices.insert(values::join(id, device.id, &device.registration)?);
        }
    }
    figures.devices = u64::try_from(devices.len()).unwrap_or(u64::MAX);
    let good = doc! { "expires_at": { "$gt": values::time(now) }, "account": null };
    figures.invites = db.invites.count_documents(good).await?;
    let mut queues = db.devices.find(doc! { "messages": { "$gt": 0_i64 } }).await?;
    while let Some(hot) = queues.try_next().await? {
        if devices.contains(&values::to_address(&hot.id)?) {
            add(&mut figures.queues, 1);
            add(&mut figures.queued_messages, values::count(hot.messages));
            add(&mut figures.queued_bytes, values::count(hot.bytes));
        }
    }
    let mut first = db.queue.find(doc! {}).sort(doc! { "accepted_at": 1 }).limit(1).await?;
    figures.oldest_at = first.try_next().await?.map(|row| values::millis(row.accepted_at));
    let mut keys = keys(db).await?;
    let low = i64::try_from(ONE_TIME_PREKEYS_LOW).unwrap_or(i64::MAX);
    for address in &devices {
        let keys = keys.remove(address);
        let left = keys.as_ref().map_or(0, |keys| keys.left);
        let expires_at = keys.and_then(|keys| keys.expires_at).unwrap_or(0);
        add(&mut figures.one_time_low, u64::from(left < low));
        add(&mut figures.one_time_none, u64::from(left == 0));
        add(&mut figures.signed_expired, u64::from(expires_at <= values::time(now)));
    }
    Ok(figures)
}

async fn keys(db: &Db) -> Result<BTreeMap<DeviceAddress, CountedKeys>, DbError> {
    let parts = vec![doc! { "$project": {
        "left": { "$toLong": { "$size": "$one_time" } },
        "expires_at": { "$ifNull": ["$signed.expires_at", null] },
    } }];
    let mut found = db.prekeys.aggregate(parts).with_type::<CountedKeys>().await?;
    let mut keys = BTreeMap::new();
    while let Some(counted) = found.try_next().await? {
        keys.insert(values::to_address(&counted.id)?, counted);
    }
    Ok(keys)
}
