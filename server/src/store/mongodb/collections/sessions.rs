//! Sessions in the documents of their accounts.

use mongodb::bson::{Binary, doc};
use sealpost_api::ids::SessionId;
use sealpost_crypto::{DeviceAddress, UnixMillis};

use crate::domain::refresh::FIRST_GENERATION;
use crate::store::mongodb::db::Db;
use crate::store::mongodb::documents::accounts::{Account, Session};
use crate::store::mongodb::error::DbError;
use crate::store::mongodb::values;
use crate::store::sessions::NewSession;

/// Returns the account in which a session id is in use.
pub(crate) async fn holder(db: &Db, session: SessionId) -> Result<Option<Binary>, DbError> {
    let found = db.accounts.find_one(doc! { "ids": values::binary(session.as_bytes()) }).await?;
    Ok(found.map(|account| account.id))
}

/// The document of a session that begins.
pub(crate) fn begin(session: &NewSession, now: UnixMillis) -> Session {
    Session {
        id: values::binary(session.id.as_bytes()),
        device: i32::from(session.address.device.get()),
        registration: values::binary(session.address.registration.as_bytes()),
        refresh: values::binary(session.refresh_hash.as_bytes()),
        previous: None,
        generation: i64::from(FIRST_GENERATION),
        created_at: values::time(now),
        last_used_at: values::time(now),
        ended_at: None,
    }
}

/// Returns whether a live session of this generation is on this device.
pub(crate) fn is_live(account: &Account, address: &DeviceAddress, session: SessionId, generation: u32) -> bool {
    let id = values::binary(session.as_bytes());
    account.sessions.iter().any(|session| {
        session.id == id
            && session.ended_at.is_none()
            && session.generation == i64::from(generation)
            && session.is_on(address)
    })
}
