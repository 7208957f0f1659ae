//! What must hold between the documents while nothing is under way.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use mongodb::bson::doc;
use sealpost_crypto::DeviceAddress;

use super::db::Db;
use super::documents::queue::RowHead;
use super::error::DbError;
use super::values;

/// Returns everything that is wrong, in words; empty if nothing is.
pub(super) async fn verify(db: &Db) -> Result<Vec<String>, DbError> {
    let mut findings = Vec::new();
    let mut queues: BTreeMap<DeviceAddress, (i64, i64)> = BTreeMap::new();
    let mut rows = db.queue.clone_with_type::<RowHead>().find(doc! {}).projection(RowHead::projection()).await?;
    while let Some(row) = rows.try_next().await? {
        let (messages, bytes) = queues.entry(row.recipient()?).or_default();
        (*messages, *bytes) = (messages.saturating_add(1), bytes.saturating_add(row.bytes));
    }
    let mut known = BTreeSet::new();
    let mut accounts = db.accounts.find(doc! {}).await?;
    while let Some(account) = accounts.try_next().await? {
        let (id, addresses) = (account.account()?, account.addresses()?);
        known.extend(addresses);
        for entry in &account.removing {
            known.insert(values::join(id, entry.device, &entry.registration)?);
        }
        let mut ids = vec![account.id.clone()];
        ids.extend(account.sessions.iter().map(|session| session.id.clone()));
        if ids != account.ids {
            findings.push(format!("account {id}: its index of sessions is not that of its sessions"));
        }
    }
    let mut devices = db.devices.find(doc! {}).await?;
    while let Some(hot) = devices.try_next().await? {
        let address = values::to_address(&hot.id)?;
        let counted = queues.remove(&address).unwrap_or_default();
        if counted != (hot.messages, hot.bytes) {
            let (messages, bytes) = (hot.messages, hot.bytes);
            findings.push(format!(
                "device {address}: its counters say {messages} messages and {bytes} bytes, its queue has {counted:?}"
            ));
        }
        if !known.contains(&address) {
            findings.push(format!("device {address}: no account knows it"));
        }
    }
    findings.extend(queues.keys().map(|address| format!("device {address}: its queue has no counters")));
    let mut keys = db.prekeys.find(doc! {}).await?;
    while let Some(keys) = keys.try_next().await? {
        let address = values::to_address(&keys.id)?;
        if !known.contains(&address) {
            findings.push(format!("device {address}: it has prekeys, and no account knows it"));
        }
        if keys.one_time.windows(2).any(|pair| matches!(pair, [one, two] if one.id >= two.id)) {
            findings.push(format!("device {address}: its one-time prekeys are out of order"));
        }
    }
    Ok(findings)
}
