//! Accepting a batch.

use std::collections::HashSet;
use std::time::Duration;

use sealpost_crypto::UnixMillis;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::outcome::Outcome;
use super::plan::Plan;
use super::view::{self, Step, View};
use super::write;
use crate::domain::accepting::Accept;
use crate::store::error::StoreError;
use crate::store::mongodb::at_once::at_once;
use crate::store::mongodb::db::{Db, TRIES};
use crate::store::mongodb::error::{DbError, in_part};

/// How long a batch may take, whatever the database does. Beyond it the outcome is unknown to the senders that wait.
const BATCH_TIME_MAX: Duration = Duration::from_secs(30);

/// A message that waits for its answer.
pub(super) struct Pending {
    accept: Accept,
    now: UnixMillis,
    answer: oneshot::Sender<Outcome>,
    /// How often it was decided already.
    tried: u32,
    /// Its part of the bytes that may wait.
    _room: OwnedSemaphorePermit,
}

impl Pending {
    /// A message that was not decided yet.
    pub(super) const fn new(
        accept: Accept,
        now: UnixMillis,
        answer: oneshot::Sender<Outcome>,
        room: OwnedSemaphorePermit,
    ) -> Self {
        Self { accept, now, answer, tried: 0, _room: room }
    }

    /// Returns how often the message was decided already.
    pub(super) const fn tried(&self) -> u32 {
        self.tried
    }
}

/// Answers a batch. Returns the messages that have to be decided again with the next one, in their order.
pub(super) async fn run(db: &Db, batch: Vec<Pending>) -> Vec<Pending> {
    // If a number comes twice, the second is decided when the first is done.
    let mut seen = HashSet::with_capacity(batch.len());
    let (batch, mut later): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .enumerate()
        .partition(|(_, pending)| seen.insert((pending.accept.from, pending.accept.send.number)));
    let accepts: Vec<(&Accept, UnixMillis)> = batch.iter().map(|(_, pending)| (&pending.accept, pending.now)).collect();
    // What a batch that is given up wrote is unknown.
    let outcomes = tokio::time::timeout(BATCH_TIME_MAX, steps(db, &accepts)).await;
    let outcomes = outcomes.unwrap_or_else(|_| vec![Some(Err(DbError::Slow.into())); accepts.len()]);
    for ((place, mut pending), outcome) in batch.into_iter().zip(outcomes) {
        match outcome {
            Some(outcome) => answer(pending, outcome),
            // An attempt may have written something.
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

/// Answers a message.
fn answer(pending: Pending, outcome: Outcome) {
    // The caller may be gone; what was decided holds all the same.
    let _gone = pending.answer.send(outcome);
}

/// Returns the outcome of each message; `None` if it has to be decided again because other nodes were faster.
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
