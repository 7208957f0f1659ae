//! An operation on its way to the writer, and its answer on the way back.

use tokio::sync::oneshot;

use super::shared::Waiting;
use super::tx::Tx;
use crate::store::embedded::error::DbError;
use crate::store::error::StoreError;

/// How an operation treats the writer's cache of device rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Reads and changes the cached columns through the cache only.
    Cached,
    /// Reads the table and changes no cached column. The cache is written first.
    Direct,
    /// Changes lists, rows or cached columns in the table. The cache is written first and emptied afterwards.
    Sweeping,
}

/// Whether a caller waits for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Haste {
    /// A caller waits: the operation begins a transaction if none is under way.
    Now,
    /// No caller waits: the operation joins the next transaction that a caller waits for, or begins one after a short
    /// while.
    Soon,
}

/// An operation whose answer can be of any type.
pub(crate) trait Job: Send {
    /// Returns how it treats the cache.
    fn class(&self) -> Class;
    /// Returns whether a caller waits for it.
    fn haste(&self) -> Haste;
    /// Returns what it counts in a transaction, in bytes.
    fn bytes(&self) -> usize;
    /// Performs it, and keeps the answer. Called again if the transaction of an earlier call was rolled back.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), DbError>;
    /// Sends the answer, or the reason why there is none.
    fn finish(self: Box<Self>, written: Result<(), StoreError>);
}

/// An operation with an answer of type `T`.
pub(crate) struct Operation<T, F> {
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
    /// An operation, and the channel on which its answer arrives.
    pub(crate) fn new(
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
        // The caller may have been cancelled; what was done stays done.
        drop(self.reply.send(answer));
    }
}
