//! Accepting messages, many at a time: what arrives while one batch is written is the next one, and shares its round trips.
//!
//! A batch is a few steps, each for all of its messages: read the lists, windows and counters; decide; take room and
//! sequences in the queues; insert the copies; read the lists' versions again; write the notices; record the numbers in the
//! senders' windows; answer. What goes wrong with one message does not touch the others. Nothing is answered `Accepted`
//! before its number is durable, and a number is recorded only when all copies are. Whatever breaks off between is healed
//! by the sender's repetition, which finds the copies by their unique index, or by counting a queue again.
//!
//! All messages of one sender account go through the same lane, one batch after the other, so that their rows come in the
//! order in which they were sent, also after the sender has moved to another node: that one begins only after the epoch
//! rose, and the sequences of a queue only rise.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use sealpost_crypto::UnixMillis;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use self::plan::Plan;
use self::view::{Step, View};
use super::error::{DbError, in_part};
use super::lanes::{Lanes, closed, fill};
use super::{Db, TRIES, pause};
use crate::store::{Accept, AcceptOutcome, StoreError};

mod copies;
mod numbers;
mod plan;
mod room;
mod view;
mod write;

/// Batches under way at once.
const LANES: usize = 4;
/// Messages in a batch.
const BATCH_MAX: usize = 256;
/// Messages that wait in a lane; beyond, [`StoreError::Busy`].
const WAITING_MAX: usize = 2_048;
/// Ciphertext of all messages that wait or are being written, in KiB; beyond, [`StoreError::Busy`].
const WAITING_KIB_MAX: usize = 64 * 1_024;

/// Operations of one step that are under way at once.
const AT_ONCE: usize = 32;
/// How long a batch may take, whatever the database does. What its senders wait for is then unknown to them.
const BATCH_TIME_MAX: Duration = Duration::from_secs(30);

/// What a message is answered.
type Outcome = Result<AcceptOutcome, StoreError>;

/// A message that waits for its answer.
pub(super) struct Pending {
    accept: Accept,
    now: UnixMillis,
    answer: oneshot::Sender<Outcome>,
    tried: u32,
    /// Its part of what may wait.
    _room: OwnedSemaphorePermit,
}

/// The lanes.
pub(super) struct Accepting {
    lanes: Lanes<Pending>,
    room: Arc<Semaphore>,
}

impl Accepting {
    /// Begins the lanes on the current runtime.
    pub(super) fn begin(db: &Db) -> Self {
        let lanes = Lanes::begin(LANES, WAITING_MAX, |receiver| lane(db.clone(), receiver));
        Self { lanes, room: Arc::new(Semaphore::new(WAITING_KIB_MAX)) }
    }

    /// Whether anything is taken still.
    pub(super) fn open(&self) -> Result<(), StoreError> {
        self.lanes.open()
    }

    pub(super) async fn accept(&self, accept: Accept, now: UnixMillis) -> Result<AcceptOutcome, StoreError> {
        let bytes: usize = accept.send.copies.iter().map(|copy| copy.ciphertext.len()).sum();
        let kib = u32::try_from(bytes.div_ceil(1_024)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(kib).map_err(|_| StoreError::Busy)?;
        let (from, (answer, answered)) = (accept.from.account, oneshot::channel());
        self.lanes.put(from, Pending { accept, now, answer, tried: 0, _room: room })?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Takes nothing more, and waits until all that was taken is answered.
    pub(super) async fn close(&self) {
        self.lanes.close().await;
    }
}

async fn lane(db: Db, mut receiver: mpsc::Receiver<Pending>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while fill(&mut batch, &mut receiver, BATCH_MAX).await {
        batch = run(&db, std::mem::take(&mut batch)).await;
        if let Some(tried) = batch.iter().map(|pending| pending.tried).max().filter(|tried| *tried > 0) {
            pause(tried).await;
        }
    }
}

/// Answers a batch; returns what has to be decided anew with the next one, in its order.
async fn run(db: &Db, batch: Vec<Pending>) -> Vec<Pending> {
    // The same number twice: the second is decided when the first is done.
    let mut seen = HashSet::with_capacity(batch.len());
    let (batch, mut later): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .enumerate()
        .partition(|(_, pending)| seen.insert((pending.accept.from, pending.accept.send.number)));
    let accepts: Vec<(&Accept, UnixMillis)> = batch.iter().map(|(_, pending)| (&pending.accept, pending.now)).collect();
    // A batch that is given up leaves open what it wrote.
    let outcomes = tokio::time::timeout(BATCH_TIME_MAX, steps(db, &accepts)).await;
    let outcomes = outcomes.unwrap_or_else(|_| vec![Some(Err(DbError::Slow.into())); accepts.len()]);
    for ((place, mut pending), outcome) in batch.into_iter().zip(outcomes) {
        match outcome {
            Some(outcome) => answer(pending, outcome),
            // An attempt may have left something.
            None if pending.tried >= TRIES => answer(pending, Err(in_part(DbError::Contended))),
            None => {
                pending.tried = pending.tried.saturating_add(1);
                later.push((place, pending));
            }
        }
    }
    later.sort_by_key(|(place, _)| *place);
    later.into_iter().map(|(_, pending)| pending).collect()
}

/// Does these, some at a time, in any order.
async fn at_once<T>(operations: Vec<impl Future<Output = T>>) -> Vec<T> {
    stream::iter(operations).buffer_unordered(AT_ONCE).collect().await
}

fn answer(pending: Pending, outcome: Outcome) {
    // Whoever asked may be gone; what was decided holds all the same.
    let _gone = pending.answer.send(outcome);
}

/// The outcome of each, or `None` where it must be decided anew because others were faster.
async fn steps(db: &Db, accepts: &[(&Accept, UnixMillis)]) -> Vec<Option<Outcome>> {
    let mut view = match View::load(db, accepts).await {
        Ok(view) => view,
        Err(error) => return vec![Some(Err(error.into())); accepts.len()],
    };
    let mut outcomes: Vec<Option<Outcome>> = vec![None; accepts.len()];
    let (mut plans, mut repeated, mut done) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (accept, now)) in accepts.iter().enumerate() {
        match view.decide(accept, *now) {
            Ok(Step::Done(outcome)) => done.push((index, Ok(outcome))),
            Ok(Step::Repeated) => repeated.push((index, *accept)),
            Ok(Step::Write(places)) => plans.push(Plan::new(index, accept, *now, places)),
            Err(error) => done.push((index, Err(error.into()))),
        }
    }
    let mut looks = Vec::with_capacity(repeated.len());
    for (index, accept) in repeated {
        let view = &view;
        looks.push(async move { (index, view::repeated(db, view, accept).await.map_err(StoreError::from)) });
    }
    done.extend(at_once(looks).await);
    done.extend(write::write(db, &view, plans).await);
    for (index, outcome) in done {
        if let Some(slot) = outcomes.get_mut(index) {
            *slot = Some(outcome);
        }
    }
    outcomes
}
