//! What an operator looks at and decides.

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mongodb::bson::doc;
use sealpost_api::ids::SessionId;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};
use serde::Deserialize;

use super::accounts::Change;
use super::documents::{Account, Hot, Invite, in_queue};
use super::error::DbError;
use super::{Db, MongoStore, figures, values};
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
        Ok(figures::figures(&self.db, now).await?)
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
