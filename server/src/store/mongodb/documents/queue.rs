//! Rows of queues, and notices.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Binary, Document, doc};
use sealpost_crypto::DeviceAddress;
use serde::{Deserialize, Serialize};

use crate::store::mongodb::error::DbError;
use crate::store::mongodb::values;

/// A row of a queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    #[serde(rename = "_id")]
    pub(crate) id: ObjectId,
    pub(crate) account: Binary,
    pub(crate) to: Binary,
    pub(crate) row: i64,
    pub(crate) from: Binary,
    pub(crate) number: i64,
    pub(crate) accepted_at: i64,
    pub(crate) bytes: i64,
    pub(crate) ciphertext: Binary,
}

/// A row without its ciphertext.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RowHead {
    #[serde(rename = "_id")]
    pub(crate) id: ObjectId,
    pub(crate) account: Binary,
    pub(crate) to: Binary,
    pub(crate) row: i64,
    pub(crate) from: Binary,
    pub(crate) number: i64,
    pub(crate) bytes: i64,
}

impl RowHead {
    /// Returns the fields to ask for.
    pub(crate) fn projection() -> Document {
        doc! { "account": 1, "to": 1, "row": 1, "from": 1, "number": 1, "bytes": 1 }
    }

    /// Returns the device in whose queue the row is.
    pub(crate) fn recipient(&self) -> Result<DeviceAddress, DbError> {
        let bytes: Vec<u8> = self.account.bytes.iter().chain(&self.to.bytes).copied().collect();
        values::to_address(&values::binary(&bytes))
    }
}

/// A notice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Notice {
    #[serde(rename = "_id")]
    pub(crate) id: ObjectId,
    pub(crate) account: Binary,
    pub(crate) to: Binary,
    pub(crate) row: i64,
    pub(crate) kind: i32,
    pub(crate) reason: i32,
    pub(crate) peer: Binary,
    /// Numbers of own messages that it is about, each once.
    pub(crate) numbers: Vec<i64>,
    /// Numbers of another device's messages, those that were added last.
    #[serde(default)]
    pub(crate) recent: Vec<i64>,
    /// How many messages it is about.
    pub(crate) count: i64,
    pub(crate) created_at: i64,
    /// Its place among the notices of the same pair, kind and reason, which follow each other.
    pub(crate) turn: i64,
    /// Whether it was read for delivery.
    pub(crate) sealed: bool,
}
