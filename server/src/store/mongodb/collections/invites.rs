//! Invites, and claiming them.

use mongodb::bson::doc;
use mongodb::bson::oid::ObjectId;
use sealpost_crypto::{AccountId, UnixMillis};

use crate::store::mongodb::db::Db;
use crate::store::mongodb::error::{DbError, describe};
use crate::store::mongodb::values;

/// Returns whether an invite can be used.
pub(crate) async fn is_good(db: &Db, invite: &[u8; 32], now: UnixMillis) -> Result<bool, DbError> {
    let found = db.invites.find_one(doc! { "_id": values::binary(invite) }).await?;
    Ok(found.is_some_and(|invite| invite.expires_at > values::time(now)))
}

/// Reserves an invite for one account. Returns whether it is reserved for that account, now or before.
pub(crate) async fn claim(
    db: &Db,
    invite: &[u8; 32],
    account: AccountId,
    attempt: ObjectId,
    now: UnixMillis,
) -> Result<bool, DbError> {
    let free = doc! {
        "_id": values::binary(invite),
        "expires_at": { "$gt": values::time(now) },
        "account": { "$in": [null, values::account(account)] },
    };
    let claimed = doc! { "$set": { "account": values::account(account), "claim": attempt } };
    Ok(db.invites.update_one(free, claimed).await?.matched_count == 1)
}

/// Releases an invite that paid for nothing, unless the same registration has claimed it again since.
pub(crate) async fn release(db: &Db, invite: &[u8; 32], account: AccountId, attempt: ObjectId) -> Result<(), DbError> {
    let mine = doc! { "_id": values::binary(invite), "account": values::account(account), "claim": attempt };
    db.invites.update_one(mine, doc! { "$set": { "account": null } }).await?;
    Ok(())
}

/// Deletes the invite that paid for an account. The account exists even if this fails; no other account can use the
/// invite, and it expires.
pub(crate) async fn spend(db: &Db, invite: &[u8; 32], account: AccountId) {
    let spent = doc! { "_id": values::binary(invite), "account": { "$in": [null, values::account(account)] } };
    if let Err(error) = db.invites.delete_one(spent).await {
        tracing::warn!(error = describe(&error), "a used invite is deleted when it expires");
    }
}
