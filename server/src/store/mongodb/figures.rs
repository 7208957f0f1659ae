//! Figures of the whole store. The database adds them up, and one of several nodes asks it; the others read what that
//! node stored.

use futures_util::{StreamExt as _, TryStreamExt as _};
use mongodb::Collection;
use mongodb::bson::{Bson, Document, deserialize_from_document, doc, serialize_to_document};
use sealpost_api::limits::ONE_TIME_PREKEYS_LOW;
use sealpost_crypto::UnixMillis;
use serde::{Deserialize, Serialize};

use super::db::Db;
use super::error::DbError;
use super::lease::Lease;
use super::values;
use crate::store::admin::StoreFigures;

/// For how long the node that adds up keeps other nodes from it, in ms. It adds up several times a minute.
const LEASE_MILLIS: u64 = 60_000;

/// Figures older than this, in ms, are added up again by the node that asks.
const NOTED_MAX_MILLIS: u64 = 120_000;

/// The figures as one node stored them for the others.
#[derive(Serialize, Deserialize)]
struct Noted {
    at: i64,
    accounts: i64,
    disabled_accounts: i64,
    devices: i64,
    invites: i64,
    sessions: i64,
    queued_messages: i64,
    queued_bytes: i64,
    queues: i64,
    oldest_at: Option<i64>,
    one_time_low: i64,
    one_time_none: i64,
    signed_expired: i64,
}

impl Noted {
    /// Returns the figures.
    fn figures(&self) -> StoreFigures {
        StoreFigures {
            accounts: values::count(self.accounts),
            disabled_accounts: values::count(self.disabled_accounts),
            devices: values::count(self.devices),
            invites: values::count(self.invites),
            sessions: values::count(self.sessions),
            queued_messages: values::count(self.queued_messages),
            queued_bytes: values::count(self.queued_bytes),
            queues: values::count(self.queues),
            oldest_at: self.oldest_at.map(values::millis),
            one_time_low: values::count(self.one_time_low),
            one_time_none: values::count(self.one_time_none),
            signed_expired: values::count(self.signed_expired),
        }
    }
}

/// See [`AdminStore::figures`](crate::store::AdminStore::figures).
pub(super) async fn figures(db: &Db, now: UnixMillis) -> Result<StoreFigures, DbError> {
    let mine = Lease::new(db, "lease:figures", now, LEASE_MILLIS).hold().await?;
    if !mine && let Some(noted) = read(db, now).await? {
        return Ok(noted.figures());
    }
    let noted = add_up(db, now).await?;
    if mine {
        let mut note = serialize_to_document(&noted).map_err(|_| DbError::Corrupt("a value that BSON cannot hold"))?;
        note.insert("_id", "figures");
        db.meta.replace_one(doc! { "_id": "figures" }, note).upsert(true).await?;
    }
    Ok(noted.figures())
}

/// Returns what another node stored, unless that is too old.
async fn read(db: &Db, now: UnixMillis) -> Result<Option<Noted>, DbError> {
    let Some(note) = db.meta.find_one(doc! { "_id": "figures" }).await? else { return Ok(None) };
    let noted: Noted = deserialize_from_document(note).map_err(|_| DbError::Corrupt("figures of another form"))?;
    Ok(Some(noted).filter(|noted| now.0.abs_diff(values::millis(noted.at).0) <= NOTED_MAX_MILLIS))
}

/// Adds up the figures.
async fn add_up(db: &Db, now: UnixMillis) -> Result<Noted, DbError> {
    let one_if = |condition: Document| doc! { "$sum": { "$cond": [condition, 1_i64, 0_i64] } };
    let live = doc! { "$filter": {
        "input": "$sessions",
        "as": "session",
        "cond": { "$eq": [{ "$ifNull": ["$$session.ended_at", -1_i64] }, -1_i64] },
    } };
    let accounts = sums(
        db.accounts.clone_with_type(),
        doc! { "erased_at": null },
        doc! {
            "accounts": { "$sum": 1_i64 },
            "disabled": one_if(doc! { "$ne": [{ "$ifNull": ["$disabled_at", -1_i64] }, -1_i64] }),
            "devices": { "$sum": { "$size": "$devices" } },
            "sessions": { "$sum": { "$size": live } },
        },
    );
    let queues = sums(
        db.devices.clone_with_type(),
        doc! { "messages": { "$gt": 0_i64 } },
        doc! { "queues": { "$sum": 1_i64 }, "messages": { "$sum": "$messages" }, "bytes": { "$sum": "$bytes" } },
    );
    let left = doc! { "$size": "$one_time" };
    let keys = sums(
        db.prekeys.clone_with_type(),
        doc! { "removed": false },
        doc! {
            "low": one_if(doc! { "$lt": [left.clone(), values::limit(ONE_TIME_PREKEYS_LOW)] }),
            "none": one_if(doc! { "$eq": [left, 0_i64] }),
            "expired": one_if(doc! { "$lte": [{ "$ifNull": ["$signed.expires_at", 0_i64] }, values::time(now)] }),
        },
    );
    let invites = async {
        let good = doc! { "expires_at": { "$gt": values::time(now) }, "account": null };
        Ok::<u64, DbError>(db.invites.count_documents(good).await?)
    };
    let (accounts, queues, keys, invites, oldest_at) = tokio::try_join!(accounts, queues, keys, invites, oldest(db))?;
    Ok(Noted {
        at: values::time(now),
        accounts: of(&accounts, "accounts"),
        disabled_accounts: of(&accounts, "disabled"),
        devices: of(&accounts, "devices"),
        invites: values::number(invites),
        sessions: of(&accounts, "sessions"),
        queued_messages: of(&queues, "messages"),
        queued_bytes: of(&queues, "bytes"),
        queues: of(&queues, "queues"),
        oldest_at,
        one_time_low: of(&keys, "low"),
        one_time_none: of(&keys, "none"),
        signed_expired: of(&keys, "expired"),
    })
}

/// Returns sums over the documents that a filter finds.
async fn sums(collection: Collection<Document>, of: Document, mut sums: Document) -> Result<Document, DbError> {
    sums.insert("_id", Bson::Null);
    let mut found = collection.aggregate(vec![doc! { "$match": of }, doc! { "$group": sums }]).await?;
    Ok(found.next().await.transpose()?.unwrap_or_default())
}

/// Returns a sum; 0 if nothing was found.
fn of(sums: &Document, name: &str) -> i64 {
    match sums.get(name) {
        Some(Bson::Int64(sum)) => *sum,
        Some(Bson::Int32(sum)) => i64::from(*sum),
        _ => 0,
    }
}

/// Returns when the oldest waiting message was accepted.
async fn oldest(db: &Db) -> Result<Option<i64>, DbError> {
    #[derive(Deserialize)]
    struct Age {
        accepted_at: i64,
    }
    let ages = db.queue.clone_with_type::<Age>();
    let find = ages.find(doc! {}).projection(doc! { "accepted_at": 1, "_id": 0 });
    let mut found = find.sort(doc! { "accepted_at": 1 }).limit(1).await?;
    Ok(found.try_next().await?.map(|row| row.accepted_at))
}
