//! Acknowledging, for many devices at a time: what arrives during one batch is the next one, and shares its round
//! trips.
//!
//! A batch reads the devices' epochs and the rows that are named, deletes them queue by queue, and releases their room
//! with one call. Each part can be repeated. If a batch breaks off in between, room is not released; the queue is then
//! in doubt, and counted again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mongodb::bson::{Binary, doc};
use sealpost_api::ids::{ConnectionEpoch, RowId};
use sealpost_crypto::DeviceAddress;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use super::at_once::AT_ONCE;
use super::bulk::Update;
use super::collections::devices::{is_superseded, less};
use super::collections::notices;
use super::collections::rows::{self, Removed};
use super::db::Db;
use super::documents::devices::of_device;
use super::documents::queue::RowHead;
use super::error::{DbError, in_part};
use super::lanes::{Lanes, closed, fill};
use super::values;
use crate::store::error::StoreError;

/// Batches that are under way at once.
const LANES: usize = 2;

/// Acks in a batch.
const BATCH_MAX: usize = 256;

/// Acks that wait in a lane.
const WAITING_MAX: usize = 8_192;

/// How long a batch may take. A client repeats an ack that it does not hear back about.
const BATCH_TIME_MAX: Duration = Duration::from_secs(30);

/// How many rows still existed; `None` if the connection is not the current one.
type Outcome = Result<Option<u64>, StoreError>;

/// An ack that waits for its answer.
struct Pending {
    ack: Ack,
    answer: oneshot::Sender<Outcome>,
}

/// An ack, with the sequences of messages and of notices.
struct Ack {
    address: DeviceAddress,
    epoch: ConnectionEpoch,
    messages: Vec<i64>,
    notices: Vec<i64>,
}

/// The lanes of acks.
pub(super) struct Acking(Lanes<Pending>);

impl Acking {
    /// Begins the lanes on the current runtime.
    pub(super) fn begin(db: &Db) -> Self {
        Self(Lanes::begin(LANES, WAITING_MAX, |receiver| lane(db.clone(), receiver)))
    }

    /// See [`QueueStore::acknowledge`](crate::store::QueueStore::acknowledge).
    pub(super) async fn acknowledge(&self, address: DeviceAddress, epoch: ConnectionEpoch, ids: &[RowId]) -> Outcome {
        let (messages, notices) = values::sequences(ids);
        let (answer, answered) = oneshot::channel();
        let ack = Ack { address, epoch, messages, notices };
        self.0.put(address.account, Pending { ack, answer })?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Takes no more acks, and waits until all that were taken are answered.
    pub(super) async fn close(&self) {
        self.0.close().await;
    }
}

/// Runs one lane.
async fn lane(db: Db, mut receiver: mpsc::Receiver<Pending>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while fill(&mut batch, &mut receiver, BATCH_MAX).await {
        let (acks, answers): (Vec<Ack>, Vec<_>) =
            batch.drain(..).map(|pending: Pending| (pending.ack, pending.answer)).unzip();
        let outcomes = tokio::time::timeout(BATCH_TIME_MAX, acknowledge(&db, &acks)).await;
        let outcomes = outcomes.unwrap_or_else(|_| vec![Err(DbError::Slow.into()); acks.len()]);
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // The caller may be gone; what was deleted stays deleted.
            let _gone = answer.send(outcome);
        }
    }
}

/// Returns the outcome of each ack.
async fn acknowledge(db: &Db, acks: &[Ack]) -> Vec<Outcome> {
    let mut reading = Vec::with_capacity(acks.len());
    for ack in acks {
        reading.push(rows::heads(db, &ack.address, &ack.messages));
    }
    // In the order of the acks.
    let heads = stream::iter(reading).buffered(AT_ONCE).collect::<Vec<_>>();
    let (epochs, heads) = tokio::join!(epochs(db, acks), heads);
    let epochs = match epochs {
        Ok(epochs) => epochs,
        Err(error) => return vec![Err(error.into()); acks.len()],
    };
    let mut seen = BTreeSet::new();
    let mut deleting = Vec::with_capacity(acks.len());
    for (ack, heads) in acks.iter().zip(heads) {
        let rows = may_delete(ack, &epochs).and_then(|may| {
            let mut heads: Vec<RowHead> = heads?;
            // A row that two acks of a batch name is deleted once.
            heads.retain(|head| may && seen.insert(head.id));
            Ok(may.then_some(heads))
        });
        deleting.push(async move {
            let Some(rows) = rows? else { return Ok(None) };
            let removing = rows::remove_rows(db, &ack.address, &rows);
            let forgetting = notices::acknowledge(db, &ack.address, ack.notices.clone());
            let (removed, notices) = tokio::try_join!(removing, forgetting)?;
            Ok(Some((removed, notices)))
        });
    }
    let deleted: Vec<Result<Option<(Removed, u64)>, DbError>> =
        stream::iter(deleting).buffered(AT_ONCE).collect::<Vec<_>>().await;
    release(db, acks, &deleted).await;
    let outcome = |deleted: Result<Option<(Removed, u64)>, DbError>| {
        let deleted = deleted.map_err(in_part)?;
        Ok(deleted.map(|(removed, notices)| removed.rows.saturating_add(notices)))
    };
    deleted.into_iter().map(outcome).collect()
}

/// Releases the room of what was deleted. Without an answer, the queues stay in doubt.
async fn release(db: &Db, acks: &[Ack], deleted: &[Result<Option<(Removed, u64)>, DbError>]) {
    let mut room: BTreeMap<DeviceAddress, (u64, i64)> = BTreeMap::new();
    for (ack, deleted) in acks.iter().zip(deleted) {
        if let Ok(Some((removed, _))) = deleted
            && removed.rows > 0
        {
            let (rows, bytes) = room.entry(ack.address).or_default();
            (*rows, *bytes) = (rows.saturating_add(removed.rows), bytes.saturating_add(removed.bytes));
        }
    }
    if room.is_empty() {
        return;
    }
    let doubt = db.doubt(room.keys().copied());
    let updates = room
        .into_iter()
        .map(|(address, (rows, bytes))| Update { of: of_device(&address), change: less(values::number(rows), bytes) });
    if db.update_each(&db.devices, updates.collect()).await {
        doubt.resolve();
    }
}

/// Returns whether the ack came on the current connection.
fn may_delete(ack: &Ack, epochs: &BTreeMap<DeviceAddress, i64>) -> Result<bool, DbError> {
    match epochs.get(&ack.address) {
        None => Ok(false),
        Some(epoch) => Ok(!is_superseded(*epoch, ack.epoch)?),
    }
}

/// Returns the epochs of the devices that have a document.
async fn epochs(db: &Db, acks: &[Ack]) -> Result<BTreeMap<DeviceAddress, i64>, DbError> {
    #[derive(Deserialize)]
    struct Epoch {
        #[serde(rename = "_id")]
        id: Binary,
        epoch: i64,
    }
    let devices: BTreeSet<DeviceAddress> = acks.iter().map(|ack| ack.address).collect();
    let ids: Vec<Binary> = devices.iter().map(values::address).collect();
    let accounts: Vec<Binary> = devices.iter().map(|address| values::account(address.account)).collect();
    let these = doc! { "account": { "$in": accounts }, "_id": { "$in": ids } };
    let find = db.devices.clone_with_type::<Epoch>();
    let found: Vec<Epoch> = find.find(these).projection(doc! { "epoch": 1 }).await?.try_collect().await?;
    found.into_iter().map(|found| Ok((values::to_address(&found.id)?, found.epoch))).collect()
}
