//! Device lists.

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mongodb::bson::doc;
use sealpost_api::encoding::EncodedDeviceList;
use sealpost_crypto::{AccountId, UnixMillis};

use super::db::Db;
use super::error::DbError;
use super::store::MongoStore;
use super::{publish, values};
use crate::store::device_lists::{DeviceListStore, PublishList, PublishOutcome};
use crate::store::error::StoreError;

#[async_trait]
impl DeviceListStore for MongoStore {
    async fn publish_device_list(&self, publish: PublishList, now: UnixMillis) -> Result<PublishOutcome, StoreError> {
        Ok(publish::publish(&self.db, &publish, now).await?)
    }

    async fn device_lists(
        &self,
        account: AccountId,
        after: u64,
        limit: usize,
    ) -> Result<Option<(Vec<EncodedDeviceList>, u64)>, StoreError> {
        Ok(lists(&self.db, account, after, limit).await?)
    }
}

/// See [`DeviceListStore::device_lists`].
async fn lists(
    db: &Db,
    account: AccountId,
    after: u64,
    limit: usize,
) -> Result<Option<(Vec<EncodedDeviceList>, u64)>, DbError> {
    let Some(current) = db.account(account).await? else { return Ok(None) };
    let version = current.list_version.cast_unsigned();
    let mut lists = Vec::new();
    if after < version && limit > 0 {
        let earlier = doc! {
            "account": &current.id,
            "version": { "$gt": i64::try_from(after).unwrap_or(i64::MAX), "$lt": current.list_version },
        };
        let found = db.lists.find(earlier).sort(doc! { "version": 1 }).limit(values::limit(limit)).await?;
        lists = found.map_ok(|row| EncodedDeviceList(row.encoded.bytes)).try_collect().await?;
        if lists.len() < limit {
            lists.push(EncodedDeviceList(current.list.bytes));
        }
    }
    Ok(Some((lists, version)))
}
