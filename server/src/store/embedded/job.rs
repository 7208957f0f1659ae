//! An operation on its way to the writer and its answer on the way back.

use tokio::sync::oneshot;

use super::error::DbError;
use super::shared::Waiting;
use super::writer::Tx;
use crate::store::StoreError;

/// How an operation treats the writer's cache of device rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Reads and changes the cached columns through the cache only.
    Cached,
    /// Changes no cached column; reads the table, so what the cache holds is written first.
    Direct,
    /// Changes lists, rows or cached columns in the table: the cache is written first and empty afterwards.
    Sweeping,
}

/// Whether anybody waits for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Haste {
    /// Somebody does: it begins a transaction if none is under way.
    Now,
    /// Nobody does: it goes with the next transaction that somebody waits for, or after a short while by itself.
    Soon,
}

/// An operation whose answer's type is forgotten.
pub(super) trait Job: Send {
    /// How it treats the cache.
    fn class(&self) -> Class;
    /// Whether anybody waits for it.
    fn haste(&self) -> Haste;
    /// What it counts in a transaction, in bytes.
    fn bytes(&self) -> usize;
    /// Does it, and keeps the answer. May be called again after the transaction of an earlier call was rolled back.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), DbError>;
    /// Sends the answer, or why there is none.
    fn finish(self: Box<Self>, written: Result<(), StoreError>);
}

/// An operation with an answer of type `T`.
pub(super) struct Operation<T, F> {
    class: Class,
    haste: Haste,
    waiting: Waiting,
    run: F,
    answer: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Operation<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Tx<'_>) -> Result<T, DbError> + Send + 'static,
{
    /// The operation, and where its answer will come.
    pub(super) fn new(
        class: Class,
        haste: Haste,
        waiting: Waiting,
        run: F,
    ) -> (Self, oneshot::Receiver<Result<T, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (Self { class, haste, waiting, run, answer: None, reply }, answer)
    }
}

impl<T, F> Job for Operation<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Tx<'_>) -> Result<T, DbError> + Send + 'static,
{
    fn class(&self) -> Class {
        self.class
    }

    fn haste(&self) -> Haste {
        self.haste
    }

    fn bytes(&self) -> usize {
        self.waiting.bytes()
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), DbError> {
        self.answer = Some(match (self.run)(tx) {
            Ok(value) => Ok(value),
            Err(DbError::Answer(answer)) => Err(answer),
            Err(error) => return Err(error),
        });
        Ok(())
    }

    fn finish(self: Box<Self>, written: Result<(), StoreError>) {
        let answer = match (written, self.answer) {
            (Ok(()), Some(answer)) => answer,
            (Ok(()), None) => Err(StoreError::Failed("an operation gave no answer".into())),
            (Err(error), _) => Err(error),
        };
        // Nobody waits any more when the caller was cancelled; what was done stays done.
        drop(self.reply.send(answer));
    }
}
