//! What operators look at and decide.

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mongodb::bson::doc;
use sealpost_api::ids::SessionId;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};
use serde::Deserialize;

use super::collections::accounts::Change;
use super::db::Db;
use super::documents::accounts::Account;
use super::documents::devices::{Hot, in_queue};
use super::error::DbError;
use super::store::MongoStore;
use super::{figures, values};
use crate::store::admin::{AccountSummary, AdminStore, QueueSummary, StoreFigures};
use crate::store::error::StoreError;

#[async_trait]
impl AdminStore for MongoStore {
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
        Ok(figures::figures(&self.db, now).await?)
    }
}

/// See [`AdminStore::accounts_after`].
async fn accounts_after(db: &Db, after: Option<&str>, limit: usize) -> Result<Vec<AccountSummary>, DbError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    // The names of erased accounts begin with `#`, which comes before `$` and every letter.
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

/// Returns when the oldest row of a device's queue was accepted.
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

/// See [`AdminStore::largest_queues`].
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
