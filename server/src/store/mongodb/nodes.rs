//! Questions of nodes about each other. Each is one or two reads for many connections.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mongodb::bson::{Binary, doc};
use sealpost_api::ids::{ConnectionEpoch, SessionId};
use sealpost_crypto::DeviceAddress;
use serde::Deserialize;

use super::db::Db;
use super::documents::accounts::Device;
use super::error::{DbError, is_duplicate};
use super::store::MongoStore;
use super::values;
use crate::store::error::StoreError;
use crate::store::nodes::{DeviceGlance, Fact, NodeStore};

#[async_trait]
impl NodeStore for MongoStore {
    async fn live_sessions(&self, sessions: &[SessionId]) -> Result<BTreeSet<SessionId>, StoreError> {
        Ok(live_sessions(&self.db, sessions).await?)
    }

    async fn glance(&self, devices: &[DeviceAddress]) -> Result<Vec<DeviceGlance>, StoreError> {
        Ok(glance(&self.db, devices).await?)
    }

    async fn agree(&self, fact: Fact, first: [u8; 32]) -> Result<[u8; 32], StoreError> {
        Ok(agree(&self.db, fact, &first).await?)
    }

    async fn agree_anew(&self, fact: Fact, from: [u8; 32], to: [u8; 32]) -> Result<bool, StoreError> {
        let known = vec![values::binary(&from), values::binary(&to)];
        let known = doc! { "_id": fact.as_str(), "value": { "$in": known } };
        let anew = doc! { "$set": { "value": values::binary(&to) } };
        Ok(self.db.meta.update_one(known, anew).await.map_err(DbError::from)?.matched_count > 0)
    }
}

/// The part of an account that says which of its sessions are live.
#[derive(Deserialize)]
struct Sessions {
    sessions: Vec<Session>,
    devices: Vec<Device>,
}

/// The part of a session that says whether it is live.
#[derive(Deserialize)]
struct Session {
    id: Binary,
    device: i32,
    registration: Binary,
    #[serde(default)]
    ended_at: Option<i64>,
}

/// See [`NodeStore::live_sessions`].
async fn live_sessions(db: &Db, sessions: &[SessionId]) -> Result<BTreeSet<SessionId>, DbError> {
    let ids: Vec<_> = sessions.iter().map(|session| values::binary(session.as_bytes())).collect();
    let asked: BTreeSet<SessionId> = sessions.iter().copied().collect();
    let part = doc! {
        "_id": 0, "devices": 1, "sessions.id": 1, "sessions.device": 1, "sessions.registration": 1,
        "sessions.ended_at": 1,
    };
    let accounts = db.accounts.clone_with_type::<Sessions>();
    let mut found = accounts.find(doc! { "ids": { "$in": ids } }).projection(part).await?;
    let mut live = BTreeSet::new();
    while let Some(account) = found.try_next().await? {
        for session in account.sessions.iter().filter(|session| session.ended_at.is_none()) {
            let id = SessionId::from_bytes(values::fixed(&session.id)?);
            let listed = |device: &Device| device.id == session.device && device.registration == session.registration;
            if asked.contains(&id) && account.devices.iter().any(listed) {
                live.insert(id);
            }
        }
    }
    Ok(live)
}

/// The part of a device's document that a glance shows.
#[derive(Deserialize)]
struct Glance {
    #[serde(rename = "_id")]
    id: Binary,
    epoch: i64,
    messages: i64,
}

/// The device that a notice is for.
#[derive(Deserialize)]
struct Told {
    account: Binary,
    to: Binary,
}

/// See [`NodeStore::glance`].
async fn glance(db: &Db, devices: &[DeviceAddress]) -> Result<Vec<DeviceGlance>, DbError> {
    let ids: Vec<_> = devices.iter().map(values::address).collect();
    let accounts: BTreeSet<_> = devices.iter().map(|address| address.account).collect();
    let accounts: Vec<_> = accounts.into_iter().map(values::account).collect();
    let hot = async {
        let part = doc! { "epoch": 1, "messages": 1 };
        let devices = db.devices.clone_with_type::<Glance>();
        let found = devices.find(doc! { "_id": { "$in": ids } }).projection(part).await?;
        Ok::<Vec<_>, DbError>(found.try_collect().await?)
    };
    let notices = async {
        let part = doc! { "_id": 0, "account": 1, "to": 1 };
        let of = doc! { "account": { "$in": accounts } };
        let notices = db.notices.clone_with_type::<Told>();
        let mut found = notices.find(of).projection(part).await?;
        let mut told = BTreeSet::new();
        while let Some(notice) = found.try_next().await? {
            told.insert([notice.account.bytes, notice.to.bytes].concat());
        }
        Ok::<_, DbError>(told)
    };
    let (hot, told) = tokio::try_join!(hot, notices)?;
    let seen = hot.into_iter().filter(|glance| glance.epoch > 0).map(|glance| {
        Ok(DeviceGlance {
            address: values::to_address(&glance.id)?,
            epoch: ConnectionEpoch(glance.epoch.cast_unsigned()),
            waiting: glance.messages > 0 || told.contains(&glance.id.bytes),
        })
    });
    seen.collect()
}

/// See [`NodeStore::agree`].
async fn agree(db: &Db, fact: Fact, first: &[u8; 32]) -> Result<[u8; 32], DbError> {
    match db.meta.insert_one(doc! { "_id": fact.as_str(), "value": values::binary(first) }).await {
        Err(error) if !is_duplicate(&error) => return Err(error.into()),
        _ => {}
    }
    #[derive(Deserialize)]
    struct Kept {
        value: Binary,
    }
    let kept = db.meta.clone_with_type::<Kept>().find_one(doc! { "_id": fact.as_str() }).await?;
    values::fixed(&kept.ok_or(DbError::Corrupt("a fact that was just written is gone"))?.value)
}
