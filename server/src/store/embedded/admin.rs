//! What operators look at and decide.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sealpost_api::ids::SessionId;
use sealpost_api::limits::ONE_TIME_PREKEYS_LOW;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, UnixMillis};

use super::error::DbError;
use super::store::EmbeddedStore;
use super::tables::{accounts, columns, row_ids, sessions};
use super::threads::job::Class;
use crate::store::admin::{AccountSummary, AdminStore, QueueSummary, StoreFigures};
use crate::store::error::StoreError;

#[async_trait]
impl AdminStore for EmbeddedStore {
    async fn accounts_after(&self, after: Option<&Username>, limit: usize) -> Result<Vec<AccountSummary>, StoreError> {
        let after = after.map(|name| name.as_str().to_owned()).unwrap_or_default();
        self.read(move |db| {
            let mut select = db.prepare_cached(
                "SELECT accounts.account_id, username, created_at, disabled_at, count(dev), \
                 coalesce(sum(queue_messages), 0), coalesce(sum(queue_bytes), 0) FROM accounts \
                 LEFT JOIN devices ON devices.account_id = accounts.account_id AND listed = 1 \
                 WHERE username > ?1 GROUP BY username ORDER BY username LIMIT ?2",
            )?;
            Ok(select.query_map(params![after, columns::limit(limit)], summary)?.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn disable_account(&self, account: AccountId, now: UnixMillis) -> Result<Option<Vec<SessionId>>, StoreError> {
        self.write(Class::Direct, move |tx| {
            let changed = tx
                .db
                .prepare_cached("UPDATE accounts SET disabled_at = coalesce(disabled_at, ?2) WHERE account_id = ?1")?
                .execute(params![account.as_bytes(), columns::time(now)])?;
            if changed == 0 { Ok(None) } else { sessions::end_all(tx.db, account, None).map(Some) }
        })
        .await
    }

    async fn enable_account(&self, account: AccountId) -> Result<Option<bool>, StoreError> {
        self.write(Class::Direct, move |tx| {
            let before: Option<bool> = tx
                .db
                .prepare_cached("SELECT disabled_at IS NOT NULL FROM accounts WHERE account_id = ?1")?
                .query_row([account.as_bytes()], |row| row.get(0))
                .optional()?;
            tx.db
                .prepare_cached("UPDATE accounts SET disabled_at = NULL WHERE account_id = ?1")?
                .execute([account.as_bytes()])?;
            Ok(before)
        })
        .await
    }

    async fn reset_password_hash(&self, account: AccountId, new: &str) -> Result<Option<Vec<SessionId>>, StoreError> {
        let new = new.to_owned();
        self.write(Class::Direct, move |tx| {
            let exists = accounts::set_hash(tx.db, account, &new)?;
            if exists { sessions::end_all(tx.db, account, None).map(Some) } else { Ok(None) }
        })
        .await
    }

    async fn largest_queues(&self, limit: usize) -> Result<Vec<QueueSummary>, StoreError> {
        self.read(move |db| largest_queues(db, limit)).await
    }

    async fn figures(&self, now: UnixMillis) -> Result<StoreFigures, StoreError> {
        self.read(move |db| figures(db, now)).await
    }
}

/// Reads a line of the list of accounts.
fn summary(row: &Row<'_>) -> rusqlite::Result<AccountSummary> {
    Ok(AccountSummary {
        id: AccountId::from_bytes(row.get(0)?),
        username: columns::username(row, 1)?,
        created_at: columns::millis(row.get(2)?),
        disabled_at: row.get::<_, Option<i64>>(3)?.map(columns::millis),
        devices: columns::count(row, 4)?,
        queued_messages: columns::count(row, 5)?,
        queued_bytes: columns::count(row, 6)?,
    })
}

/// Returns when the oldest row of a device's queue was accepted.
fn oldest(db: &Connection, dev: i64) -> Result<Option<UnixMillis>, DbError> {
    let (first, last) = row_ids::queue_range(dev)?;
    let mut select =
        db.prepare_cached("SELECT accepted_at FROM queue WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT 1")?;
    Ok(select.query_row([first, last], |row| row.get(0)).optional()?.map(columns::millis))
}

/// See [`AdminStore::largest_queues`].
fn largest_queues(db: &Connection, limit: usize) -> Result<Vec<QueueSummary>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT username, devices.account_id, device_id, registration, queue_messages, queue_bytes, last_seen_at, dev \
         FROM devices JOIN accounts ON accounts.account_id = devices.account_id \
         WHERE listed = 1 AND queue_messages > 0 ORDER BY queue_bytes DESC, dev LIMIT ?1",
    )?;
    let (mut queues, mut found) = (Vec::new(), select.query([columns::limit(limit)])?);
    while let Some(row) = found.next()? {
        let last_seen_at = columns::millis(row.get(6)?);
        queues.push(QueueSummary {
            username: columns::username(row, 0)?,
            address: columns::address(row, 1)?,
            messages: columns::count(row, 4)?,
            bytes: columns::count(row, 5)?,
            oldest_at: oldest(db, row.get(7)?)?.unwrap_or(last_seen_at),
            last_seen_at,
        });
    }
    Ok(queues)
}

/// See [`AdminStore::figures`].
fn figures(db: &Connection, now: UnixMillis) -> Result<StoreFigures, DbError> {
    let mut figures = db.query_row(
        "SELECT count(*), count(disabled_at), (SELECT count(*) FROM invites WHERE expires_at > ?1), \
         (SELECT count(*) FROM sessions WHERE ended = 0) FROM accounts",
        [columns::time(now)],
        |row| {
            Ok(StoreFigures {
                accounts: columns::count(row, 0)?,
                disabled_accounts: columns::count(row, 1)?,
                invites: columns::count(row, 2)?,
                sessions: columns::count(row, 3)?,
                ..StoreFigures::default()
            })
        },
    )?;
    let mut select = db.prepare_cached(
        "SELECT devices.dev, queue_messages, queue_bytes, \
         (SELECT count(*) FROM one_time_prekeys WHERE one_time_prekeys.dev = devices.dev), \
         coalesce(expires_at, 0) FROM devices LEFT JOIN signed_prekeys ON signed_prekeys.dev = devices.dev \
         WHERE listed = 1",
    )?;
    let mut found = select.query([])?;
    let low = u64::try_from(ONE_TIME_PREKEYS_LOW).unwrap_or(u64::MAX);
    let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
    while let Some(row) = found.next()? {
        let (messages, left) = (columns::count(row, 1)?, columns::count(row, 3)?);
        add(&mut figures.devices, 1);
        add(&mut figures.queued_messages, messages);
        add(&mut figures.queued_bytes, columns::count(row, 2)?);
        add(&mut figures.one_time_low, u64::from(left < low));
        add(&mut figures.one_time_none, u64::from(left == 0));
        add(&mut figures.signed_expired, u64::from(columns::bits(row, 4)? <= now.0));
        if messages > 0 {
            add(&mut figures.queues, 1);
            let oldest_at = oldest(db, row.get(0)?)?;
            figures.oldest_at = [figures.oldest_at, oldest_at].into_iter().flatten().min();
        }
    }
    Ok(figures)
}
