//! The one thread that writes, and its group commit.
//!
//! What arrives while one fsync runs is written by the next transaction, and all of it is answered when that one is
//! durable. So all callers that wait share the cost of an fsync, and none waits for a timer. An operation that no
//! caller waits for ([`Haste::Soon`]) begins no transaction while others may come: it joins theirs.
//!
//! An I/O error is fatal: the writer answers [`StoreError::Stopped`] from then on.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use sealpost_sabotage::{Countermeasure, without};

use super::checkpoint::Checkpoints;
use super::job::{Haste, Job};
use super::shared::Shared;
use super::transactions::{FORGET_AGAIN, Transactions};
use crate::store::embedded::error::DbError;
use crate::store::embedded::space::Space;
use crate::store::error::StoreError;

/// Operations that may wait; beyond, [`StoreError::Busy`].
const JOBS_MAX: usize = 8 * 1024;

/// Operations in one transaction, so that the first of them does not wait for long (about 10 ms).
const BATCH_MAX_JOBS: usize = 512;

/// Bytes in one transaction, so that its pages stay in the cache.
const BATCH_MAX_BYTES: usize = 8 * 1024 * 1024;

/// How long an operation that no caller waits for is kept for a transaction to join. After a crash, messages whose acks
/// came within this time, and within the delay of acknowledgements before it, are delivered again.
const SOON: Duration = Duration::from_millis(10);

/// Such operations kept at most.
const SOON_MAX_JOBS: usize = 256;

/// A message to the writer.
pub(crate) enum Message {
    /// Perform this operation.
    Job(Box<dyn Job>),
    /// Finish what came before, and end.
    Close,
}

/// The state of the writing thread.
struct Writer {
    transactions: Transactions,
    shared: Arc<Shared>,
    /// Operations that no caller waits for.
    soon: Vec<Box<dyn Job>>,
    /// When they are written at the latest.
    soon_at: Instant,
    closing: bool,
}

/// What the writer does next.
enum Next {
    /// A transaction, with this operation and those that are kept.
    Write(Option<Box<dyn Job>>),
    /// It ends: nothing more will come.
    End,
}

/// Starts the thread. It holds the lock file until it has closed the database. With `forget` the log may hold erased
/// data.
pub(crate) fn spawn(
    connection: Connection,
    space: Space,
    checkpoints: Checkpoints,
    shared: Arc<Shared>,
    lock: File,
    forget: bool,
) -> std::io::Result<(SyncSender<Message>, JoinHandle<()>)> {
    let (jobs, inbox) = sync_channel(JOBS_MAX);
    let mut writer = Writer {
        transactions: Transactions::new(connection, space, checkpoints, Arc::clone(&shared), forget),
        shared,
        soon: Vec::new(),
        soon_at: Instant::now(),
        closing: false,
    };
    let thread = std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || {
        let stop_on_panic = StopOnPanic(Arc::clone(&writer.shared));
        writer.run(&inbox);
        writer.transactions.close();
        // Until the lock is released, no other process may open the folder.
        drop(lock);
        drop(stop_on_panic);
    })?;
    Ok((jobs, thread))
}

/// Stops the store if the writer panics: no caller may wait for it for ever, and the process must know.
struct StopOnPanic(Arc<Shared>);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop("the writer failed unexpectedly");
        }
    }
}

impl Writer {
    /// Writes until it is told to close, or the store must stop.
    fn run(&mut self, inbox: &Receiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH_MAX_JOBS);
        while !self.closing {
            let first = match self.receive(inbox) {
                Ok(Next::Write(first)) => first,
                Ok(Next::End) => return,
                Err(error) => {
                    self.stop(error, &mut batch, inbox);
                    return;
                }
            };
            if self.shared.stopped().is_some() {
                for job in self.soon.drain(..).chain(first) {
                    job.finish(Err(self.shared.gone()));
                }
                continue;
            }
            let written = self.write(first, inbox, &mut batch);
            let outcome = match written {
                Ok(()) => {
                    // Before the answer, so that the answer is true; the operation is done in any case.
                    let forgotten = self.transactions.forget_deleted();
                    for job in batch.drain(..) {
                        job.finish(Ok(()));
                    }
                    forgotten.and_then(|()| self.transactions.after_commit())
                }
                Err(error) if error.is_fatal() => Err(error),
                Err(_) => self.transactions.write_each(&mut batch),
            };
            if let Err(error) = outcome {
                self.stop(error, &mut batch, inbox);
                return;
            }
        }
    }

    /// Waits until there is something to write. While the log holds erased data, tries to empty it meanwhile.
    fn receive(&mut self, inbox: &Receiver<Message>) -> Result<Next, DbError> {
        loop {
            let forget_in = self.transactions.must_forget().then_some(FORGET_AGAIN);
            let soon_in = (!self.soon.is_empty()).then(|| self.soon_at.saturating_duration_since(Instant::now()));
            let next = match forget_in.into_iter().chain(soon_in).min() {
                Some(patience) => inbox.recv_timeout(patience),
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok(Message::Job(job)) if job.haste() == Haste::Soon => {
                    if self.soon.is_empty() {
                        self.soon_at = Instant::now().checked_add(SOON).unwrap_or(self.soon_at);
                    }
                    self.soon.push(job);
                    if self.soon.len() >= SOON_MAX_JOBS {
                        return Ok(Next::Write(None));
                    }
                }
                Ok(Message::Job(job)) => return Ok(Next::Write(Some(job))),
                Err(RecvTimeoutError::Timeout) => {
                    if !self.soon.is_empty() && self.soon_at <= Instant::now() {
                        return Ok(Next::Write(None));
                    }
                    self.transactions.forget_deleted()?;
                }
                Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => {
                    self.closing = true;
                    return Ok(if self.soon.is_empty() { Next::End } else { Next::Write(None) });
                }
            }
        }
    }

    /// Writes one transaction with the kept operations, the first one, and those that wait already.
    fn write(
        &mut self,
        first: Option<Box<dyn Job>>,
        inbox: &Receiver<Message>,
        batch: &mut Vec<Box<dyn Job>>,
    ) -> Result<(), DbError> {
        let mut bytes = 0_usize;
        let mut known = std::mem::take(&mut self.soon).into_iter().chain(first);
        let mut next = known.next();
        let begun = self.transactions.begin();
        while let Some(mut job) = next {
            bytes = bytes.saturating_add(job.bytes());
            let ran = if begun.is_ok() { self.transactions.perform(&mut *job) } else { Ok(()) };
            batch.push(job);
            if ran.is_err() {
                batch.extend(known);
                return ran;
            }
            next = known.next();
            if next.is_none() && batch.len() < BATCH_MAX_JOBS && bytes < BATCH_MAX_BYTES && begun.is_ok() {
                next = match inbox.try_recv() {
                    Ok(Message::Job(job)) => Some(job),
                    Ok(Message::Close) => {
                        self.closing = true;
                        None
                    }
                    Err(_) => None,
                };
            }
        }
        begun?;
        let operations = batch.len();
        planted_answer_before_commit(batch);
        self.transactions.commit(operations)?;
        self.transactions.count(batch.len(), bytes);
        Ok(())
    }

    /// Stops the store: nothing is written any more, not even by closing, and all callers are told.
    fn stop(&mut self, error: DbError, batch: &mut Vec<Box<dyn Job>>, inbox: &Receiver<Message>) {
        let reason = format!("a write could not be made durable: {}", StoreError::from(error));
        tracing::error!(reason, "the store has stopped");
        let stopped = StoreError::Stopped(self.shared.stop(&reason));
        for job in self.soon.drain(..).chain(batch.drain(..)) {
            job.finish(Err(stopped.clone()));
        }
        for message in inbox.try_iter() {
            if let Message::Job(job) = message {
                job.finish(Err(stopped.clone()));
            }
        }
    }
}

/// A planted fault: answers before the commit.
fn planted_answer_before_commit(batch: &mut Vec<Box<dyn Job>>) {
    if without(Countermeasure::DurableTake) {
        batch.drain(..).for_each(|job| job.finish(Ok(())));
    }
}
