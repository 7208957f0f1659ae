//! Erasing an account: one step turns it into the note of its erasure; the rest can be repeated by any node.

use mongodb::bson::doc;
use sealpost_api::frames::ExpiryReason;
use sealpost_api::ids::SessionId;
use sealpost_crypto::{AccountId, DeviceAddress, UnixMillis};

use super::db::{Db, TRIES, pause};
use super::documents::accounts::{Account, Removing};
use super::error::DbError;
use super::removal::{self, Removed};
use super::values;
use crate::store::accounts::Erased;
use crate::store::error::StoreError;
use crate::store::reasons;

/// See [`AccountStore::delete_account`](crate::store::AccountStore::delete_account).
pub(super) async fn erase(
    db: &Db,
    id: AccountId,
    username_hash: &[u8; 32],
    now: UnixMillis,
) -> Result<Option<Erased>, DbError> {
    for tried in 1..=TRIES {
        let Some(mut account) = db.account(id).await? else { return Ok(None) };
        let devices = account.addresses()?;
        let sessions = u64::try_from(account.sessions.len()).unwrap_or(u64::MAX);
        let ended_sessions: Vec<SessionId> = account.end(|_| true)?;
        if !db.write(note(account, username_hash, now)).await? {
            pause(tried).await;
            continue;
        }
        let (cleaned, lists) = clean(db, id, &devices, now).await.unwrap_or_else(|error| {
            // The account is erased even if this fails: the sweep continues with it.
            tracing::warn!(error = %StoreError::from(error), "the devices of an erased account are cleaned up later");
            (Removed::default(), 0)
        });
        return Ok(Some(Erased {
            devices: u64::try_from(devices.len()).unwrap_or(u64::MAX),
            // The current list was in the account itself.
            device_lists: lists.saturating_add(1),
            signed_prekeys: cleaned.signed_prekeys,
            one_time_prekeys: cleaned.one_time_prekeys,
            queued_messages: cleaned.queued_messages,
            ended_sessions,
            sessions,
            notified: cleaned.notified.into_iter().collect(),
        }));
    }
    Err(DbError::Contended)
}

/// Cleans up after the devices of an erased account. It needs no claim, because the account cannot return.
async fn clean(db: &Db, id: AccountId, devices: &[DeviceAddress], now: UnixMillis) -> Result<(Removed, u64), DbError> {
    let cleaned = removal::clean_all(db, devices, ExpiryReason::AccountDeleted, now).await?;
    let lists = db.lists.delete_many(doc! { "account": values::account(id) }).await?.deleted_count;
    Ok((cleaned, lists))
}

/// Returns what is left of an account: the keyed hash of its name, and which devices have to be cleaned up.
fn note(mut account: Account, username_hash: &[u8; 32], now: UnixMillis) -> Account {
    let reason = reasons::expiry_code(ExpiryReason::AccountDeleted);
    account.removing.extend(account.devices.drain(..).map(|device| Removing {
        device: device.id,
        registration: device.registration,
        reason,
        at: values::time(now),
        done: false,
        cleaning: None,
    }));
    account.username = format!("#{}", hex::encode(&account.id.bytes));
    account.name_hash = values::binary(username_hash);
    account.password_hash = String::new();
    account.created_at = 0;
    account.disabled_at = None;
    account.erased_at = Some(values::time(now));
    account.list_version = 0;
    account.list_hash = values::binary(&[]);
    account.list = values::binary(&[]);
    account.sessions = Vec::new();
    account
}
