//! The ids of server and store; and ending what must not come back to life in a database that is older than it was.

use futures_util::StreamExt as _;
use mongodb::bson::{Bson, Document, doc};
use sealpost_api::ids::StoreId;
use sealpost_sabotage::{Countermeasure, refuses};

use super::db::Db;
use super::documents::meta::Ids;
use super::error::{DbError, is_duplicate};
use super::values;
use crate::domain::key_epochs;
use crate::store::back_end::AfterRestore;

/// Returns the ids of server and store. The first start stores the drawn ones.
pub(super) async fn ids(db: &Db, server: &[u8; 16], store: &[u8; 16]) -> Result<Ids, DbError> {
    let first = doc! { "_id": "store", "server_id": values::binary(server), "store_id": values::binary(store) };
    match db.meta.insert_one(first).await {
        Err(error) if !is_duplicate(&error) => return Err(error.into()),
        _ => {}
    }
    let ids = db.meta.clone_with_type::<Ids>().find_one(doc! { "_id": "store" }).await?;
    ids.ok_or(DbError::Corrupt("the ids of the store are gone"))
}

/// Returns the store's id as it is now.
pub(super) async fn store_id(db: &Db) -> Result<StoreId, DbError> {
    let ids = db.meta.clone_with_type::<Ids>().find_one(doc! { "_id": "store" }).await?;
    let ids = ids.ok_or(DbError::Corrupt("the ids of the store are gone"))?;
    Ok(StoreId::from_bytes(values::fixed(&ids.store_id)?))
}

/// See [`Store::after_restore`](crate::store::Store::after_restore). The new id is written last: until then all of it
/// can be repeated.
pub(super) async fn after_restore(db: &Db, store: StoreId) -> Result<AfterRestore, DbError> {
    let mut ended = AfterRestore::default();
    if refuses(Countermeasure::KeyEpoch, true) {
        ended.one_time_prekeys = sum(db, "prekeys", doc! { "$size": "$one_time" }).await?;
        let step = i64::from(key_epochs::step(store));
        let none = doc! { "$inc": { "key_epoch": step }, "$set": { "one_time": [], "taken": null } };
        ended.devices = db.prekeys.update_many(doc! {}, none).await?.matched_count;
    }
    if refuses(Countermeasure::RestoreEndsLogins, true) {
        let live = doc! { "$size": { "$filter": {
            "input": "$sessions",
            "as": "session",
            "cond": { "$eq": [{ "$ifNull": ["$$session.ended_at", -1_i64] }, -1_i64] },
        } } };
        ended.sessions = sum(db, "accounts", live).await?;
        // The time is that of a session that was never used, so that the sweep forgets it.
        let end = doc! { "$set": { "sessions.$[live].ended_at": 0_i64 }, "$inc": { "rev": 1_i64 } };
        let live = vec![doc! { "live.ended_at": { "$exists": false } }];
        db.accounts.update_many(doc! {}, end).array_filters(live).await?;
    }
    ended.invites = db.invites.delete_many(doc! {}).await?.deleted_count;
    let id = doc! { "$set": { "store_id": values::binary(store.as_bytes()) } };
    db.meta.update_one(doc! { "_id": "store" }, id).await?;
    Ok(ended)
}

/// Returns the sum of an expression over a collection.
async fn sum(db: &Db, collection: &str, of: Document) -> Result<u64, DbError> {
    let group =
        vec![doc! { "$project": { "count": of } }, doc! { "$group": { "_id": null, "count": { "$sum": "$count" } } }];
    let mut found = db.database.collection::<Document>(collection).aggregate(group).await?;
    match found.next().await.transpose()?.and_then(|sum| sum.get("count").cloned()) {
        None => Ok(0),
        Some(Bson::Int32(count)) => Ok(values::count(i64::from(count))),
        Some(Bson::Int64(count)) => Ok(values::count(count)),
        Some(_) => Err(DbError::Corrupt("a sum that is no number")),
    }
}
