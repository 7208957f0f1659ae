//! Acknowledging, for many devices at a time: what arrives while one batch is done is the next one, and shares its round trips.
//!
//! A batch reads the devices' epochs and the rows that are named, deletes them queue by queue, and gives their room back with
//! one call. Each part may be repeated. What breaks off between is room that nobody gave back: the queue is in doubt, and
//! counted again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mongodb::bson::{Binary, doc};
use sealpost_api::ids::{ConnectionEpoch, RowId};
use sealpost_crypto::DeviceAddress;
use sealpost_sabotage::{Countermeasure, without};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use super::bulk::Update;
use super::documents::{RowHead, of_device};
use super::error::{DbError, in_part};
use super::lanes::{Lanes, closed, fill};
use super::queue::{self, Removed};
use super::{Db, notices, values};
use crate::store::StoreError;

/// Batches under way at once.
const LANES: usize = 2;
/// Acks in a batch.
const BATCH_MAX: usize = 256;
/// Acks that wait in a lane.
const WAITING_MAX: usize = 8_192;
/// Operations of one step that are under way at once.
const AT_ONCE: usize = 32;
/// How long a batch may take. A client acks again what it does not hear of any more.
const BATCH_TIME_MAX: Duration = Duration::from_secs(30);

/// How many rows there still were; `None` when the connection is not the current one.
type Outcome = Result<Option<u64>, StoreError>;

/// An ack that waits for its answer.
struct Pending {
    ack: Ack,
    answer: oneshot::Sender<Outcome>,
}

struct Ack {
    address: DeviceAddress,
    epoch: ConnectionEpoch,
    messages: Vec<i64>,
    notices: Vec<i64>,
}

/// The lanes.
pub(super) struct Acking(Lanes<Pending>);

impl Acking {
    /// Begins the lanes on the current runtime.
    pub(super) fn begin(db: &Db) -> Self {
        Self(Lanes::begin(LANES, WAITING_MAX, |receiver| lane(db.clone(), receiver)))
    }

    pub(super) async fn acknowledge(&self, address: DeviceAddress, epoch: ConnectionEpoch, ids: &[RowId]) -> Outcome {
        let (messages, notices) = values::sequences(ids);
        let (answer, answered) = oneshot::channel();
        let ack = Ack { address, epoch, messages, notices };
        self.0.put(address.account, Pending { ack, answer })?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Takes nothing more, and waits until all that was taken is answered.
    pub(super) async fn close(&self) {
        self.0.close().await;
    }
}

async fn lane(db: Db, mut receiver: mpsc::Receiver<Pending>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while fill(&mut batch, &mut receiver, BATCH_MAX).await {
        let (acks, answers): (Vec<Ack>, Vec<_>) =
            batch.drain(..).map(|pending: Pending| (pending.ack, pending.answer)).unzip();
        let outcomes = tokio::time::timeout(BATCH_TIME_MAX, acknowledge(&db, &acks)).await;
        let outcomes = outcomes.unwrap_or_else(|_| vec![Err(DbError::Slow.into()); acks.len()]);
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // Whoever asked may be gone; what was deleted is deleted all the same.
            let _gone = answer.send(outcome);
        }
    }
}

/// The outcome of each.
async fn acknowledge(db: &Db, acks: &[Ack]) -> Vec<Outcome> {
    let mut reading = Vec::with_capacity(acks.len());
    for ack in acks {
        reading.push(queue::heads(db, &ack.address, &ack.messages));
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
            // The same row in two acks of a batch is one.
            heads.retain(|head| may && seen.insert(head.id));
            Ok(may.then_some(heads))
        });
        deleting.push(async move {
            let Some(rows) = rows? else { return Ok(None) };
            let removing = queue::remove_rows(db, &ack.address, &rows);
            let forgetting = notices::acknowledge(db, &ack.address, ack.notices.clone());
            let (removed, notices) = tokio::try_join!(removing, forgetting)?;
            Ok(Some((removed, notices)))
        });
    }
    let deleted: Vec<Result<Option<(Removed, u64)>, DbError>> =
        stream::iter(deleting).buffered(AT_ONCE).collect::<Vec<_>>().await;
    give_back(db, acks, &deleted).await;
    let outcome = |deleted: Result<Option<(Removed, u64)>, DbError>| {
        let deleted = deleted.map_err(in_part)?;
        Ok(deleted.map(|(removed, notices)| removed.rows.saturating_add(notices)))
    };
    deleted.into_iter().map(outcome).collect()
}

/// Gives back the room of what was deleted. Where there is no answer, the queues are in doubt.
async fn give_back(db: &Db, acks: &[Ack], deleted: &[Result<Option<(Removed, u64)>, DbError>]) {
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
    let updates = room.into_iter().map(|(address, (rows, bytes))| Update {
        of: of_device(&address),
        change: queue::less(values::number(rows), bytes),
    });
    if db.update_each(&db.devices, updates.collect()).await {
        doubt.resolve();
    }
}

/// Whether the ack came on the current connection.
fn may_delete(ack: &Ack, epochs: &BTreeMap<DeviceAddress, i64>) -> Result<bool, DbError> {
    match epochs.get(&ack.address) {
        None => Ok(false),
        Some(_) if without(Countermeasure::ConnectionEpoch) => Ok(true),
        Some(epoch) => Ok(!queue::is_superseded(*epoch, ack.epoch)?),
    }
}

/// The epochs of the devices, as far as they have a document.
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
