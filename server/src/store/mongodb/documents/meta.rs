//! Invites, earlier device lists, and the store's ids.

use mongodb::bson::Binary;
use serde::{Deserialize, Serialize};

use crate::store::invites::InviteRecord;
use crate::store::mongodb::error::DbError;
use crate::store::mongodb::values;

/// An invite.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Invite {
    #[serde(rename = "_id")]
    pub(crate) id: Binary,
    pub(crate) created_at: i64,
    pub(crate) expires_at: i64,
    /// The account that is being created with it.
    pub(crate) account: Option<Binary>,
}

impl Invite {
    /// Returns what the services know of the invite.
    pub(crate) fn record(&self) -> Result<InviteRecord, DbError> {
        Ok(InviteRecord {
            hash: values::fixed(&self.id)?,
            created_at: values::millis(self.created_at),
            expires_at: values::millis(self.expires_at),
        })
    }
}

/// An earlier device list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ListRow {
    pub(crate) account: Binary,
    pub(crate) version: i64,
    pub(crate) encoded: Binary,
}

/// The store's ids.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ids {
    pub(crate) server_id: Binary,
    pub(crate) store_id: Binary,
}
