//! The one thread that writes, and its group commit.
//!
//! What arrives while one fsync runs is written by the next transaction, and all of it is answered when that one is
//! durable: so the cost of an fsync is shared by everybody who waits for it, and nobody waits for a timer. What nobody waits
//! for ([`Haste::Soon`]) begins no transaction while others may come: it goes with theirs.
//!
//! Operations are run one after the other without savepoints. When one fails in the database (a full disk, say), the whole
//! transaction is rolled back and each of its operations is run again in a transaction of its own, so that one failure
//! never reaches the neighbours. An I/O error is fatal: the writer answers [`StoreError::Stopped`] from then on.

use sealpost_sabotage::{Countermeasure, without};
use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::cache::Cache;
use super::checkpoint::{self, Checkpoints};
use super::error::DbError;
use super::job::{Class, Haste, Job};
use super::shared::Shared;
use super::space::Space;
use crate::store::StoreError;

/// Operations that may wait; beyond, [`StoreError::Busy`].
pub(super) const JOBS_MAX: usize = 8 * 1024;
/// Operations in one transaction, so that the first of them is not kept waiting for long (about 10 ms).
const BATCH_MAX_JOBS: usize = 512;
/// Bytes in one transaction, so that its pages stay in the cache.
const BATCH_MAX_BYTES: usize = 8 * 1024 * 1024;

/// Between two tries to empty the log of what was erased, when a reader is in the way.
const FORGET_AGAIN: Duration = Duration::from_millis(500);

/// How long an operation that nobody waits for is kept for company. With the delay of acknowledgements before it, this is
/// the time for which a crash would have them delivered again.
const SOON: Duration = Duration::from_millis(10);
/// Such operations kept at most.
const SOON_MAX_JOBS: usize = 256;

/// What an operation works on.
pub(super) struct Tx<'a> {
    /// The writing connection, inside a transaction.
    pub(super) db: &'a Connection,
    /// Device rows in memory; see there who may use it.
    pub(super) cache: &'a mut Cache,
    /// The reserve of free space.
    pub(super) space: &'a mut Space,
    /// Bytes of ciphertexts that were deleted: their pages are written once more, zeroed.
    pub(super) erased: &'a mut u64,
    /// Set by an operation after which the log must not hold what it deleted.
    pub(super) forget: &'a mut bool,
}

/// What the writer is told.
pub(super) enum Message {
    /// Do this.
    Job(Box<dyn Job>),
    /// Finish what came before, and end.
    Close,
}

/// The writing thread's state.
struct Writer {
    connection: Connection,
    cache: Cache,
    space: Space,
    checkpoints: Checkpoints,
    shared: Arc<Shared>,
    erased: u64,
    /// The log still holds what an operation deleted for good.
    forget: bool,
    /// Not before then is it tried again to empty the log: each try may take a while.
    forget_at: Instant,
    /// What nobody waits for, and when it is written all the same.
    soon: Vec<Box<dyn Job>>,
    soon_at: Instant,
    closing: bool,
}

/// What the writer is to do next.
enum Next {
    /// A transaction, with this in it and whatever is kept.
    Write(Option<Box<dyn Job>>),
    /// Nothing more will come.
    End,
}

/// Starts the thread; it holds the lock file until it has closed the database. With `forget` the log may hold what was erased.
pub(super) fn spawn(
    connection: Connection,
    space: Space,
    checkpoints: Checkpoints,
    shared: Arc<Shared>,
    lock: File,
    forget: bool,
) -> std::io::Result<(SyncSender<Message>, JoinHandle<()>)> {
    let (jobs, inbox) = sync_channel(JOBS_MAX);
    let mut writer = Writer {
        connection,
        cache: Cache::default(),
        space,
        checkpoints,
        shared,
        erased: 0,
        forget,
        forget_at: Instant::now(),
        soon: Vec::new(),
        soon_at: Instant::now(),
        closing: false,
    };
    let thread = std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || {
        let stop_on_panic = StopOnPanic(Arc::clone(&writer.shared));
        writer.run(&inbox);
        writer.close();
        // Before the lock goes, nobody else may open the folder.
        drop(lock);
        drop(stop_on_panic);
    })?;
    Ok((jobs, thread))
}

/// A writer that panicked has stopped: nobody may wait for it for ever, and the process must know.
struct StopOnPanic(Arc<Shared>);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop("the writer failed unexpectedly");
        }
    }
}

impl Writer {
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
                    // Before the answer, so that it means what it says; what was asked is done in any case.
                    let forgotten = self.forget_deleted();
                    for job in batch.drain(..) {
                        job.finish(Ok(()));
                    }
                    forgotten.and_then(|()| self.checkpoints.after_commit(&self.connection))
                }
                Err(error) if error.is_fatal() => Err(error),
                Err(_) => self.write_each(&mut batch),
            };
            if let Err(error) = outcome {
                self.stop(error, &mut batch, inbox);
                return;
            }
        }
    }

    /// Waits until something is to be written. While the log holds what was erased, it is tried again meanwhile.
    fn receive(&mut self, inbox: &Receiver<Message>) -> Result<Next, DbError> {
        loop {
            let forget_in = self.forget.then_some(FORGET_AGAIN);
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
                    self.forget_deleted()?;
                }
                Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => {
                    self.closing = true;
                    return Ok(if self.soon.is_empty() { Next::End } else { Next::Write(None) });
                }
            }
        }
    }

    /// Empties the log if it holds what was erased. A reader may be in the way; then it is tried again soon, but not after each
    /// transaction: a backup is in the way for minutes, and nobody may wait for every one of the tries.
    fn forget_deleted(&mut self) -> Result<(), DbError> {
        if self.forget && Instant::now() >= self.forget_at {
            self.forget = !checkpoint::truncate(&self.connection)?;
            self.forget_at = Instant::now().checked_add(FORGET_AGAIN).unwrap_or(self.forget_at);
        }
        Ok(())
    }

    /// One transaction with what was kept, the first job and whatever waits already.
    fn write(
        &mut self,
        first: Option<Box<dyn Job>>,
        inbox: &Receiver<Message>,
        batch: &mut Vec<Box<dyn Job>>,
    ) -> Result<(), DbError> {
        self.space.forget();
        let mut bytes = 0_usize;
        let mut known = std::mem::take(&mut self.soon).into_iter().chain(first);
        let mut next = known.next();
        let begun = self.begin().and_then(|()| self.space.count_reusable(&self.connection));
        while let Some(mut job) = next {
            bytes = bytes.saturating_add(job.bytes());
            let ran = if begun.is_ok() { self.perform(&mut *job) } else { Ok(()) };
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
        if without(Countermeasure::DurableTake) {
            batch.drain(..).for_each(|job| job.finish(Ok(())));
        }
        self.commit(operations)?;
        self.count(batch.len(), bytes);
        Ok(())
    }

    /// Runs each job of a failed transaction again, alone. Errs only when the store must stop.
    fn write_each(&mut self, batch: &mut Vec<Box<dyn Job>>) -> Result<(), DbError> {
        self.rollback()?;
        while !batch.is_empty() {
            let mut job = batch.remove(0);
            let written = self.begin().and_then(|()| self.perform(&mut *job)).and_then(|()| self.commit(1));
            match written {
                Ok(()) => {
                    self.count(1, job.bytes());
                    let forgotten = self.forget_deleted();
                    job.finish(Ok(()));
                    forgotten?;
                }
                Err(error) if error.is_fatal() => {
                    batch.insert(0, job);
                    return Err(error);
                }
                Err(error) => {
                    self.rollback()?;
                    job.finish(Err(error.into()));
                }
            }
        }
        self.checkpoints.after_commit(&self.connection)
    }

    fn perform(&mut self, job: &mut dyn Job) -> Result<(), DbError> {
        match job.class() {
            Class::Cached => {}
            Class::Direct => self.cache.flush(&self.connection)?,
            Class::Sweeping => {
                self.cache.flush(&self.connection)?;
                self.cache.clear();
            }
        }
        let (erased, mut forget) = (&mut self.erased, false);
        let (db, cache, space) = (&self.connection, &mut self.cache, &mut self.space);
        job.run(&mut Tx { db, cache, space, erased, forget: &mut forget })?;
        if forget {
            self.forget = true;
            self.forget_at = Instant::now();
        }
        if job.class() == Class::Sweeping {
            self.cache.clear();
        }
        Ok(())
    }

    /// Notes what a transaction wrote to the log.
    fn count(&mut self, jobs: usize, bytes: usize) {
        let erased = usize::try_from(std::mem::take(&mut self.erased)).unwrap_or(usize::MAX);
        self.checkpoints.count(jobs, bytes.saturating_add(erased));
    }

    fn begin(&self) -> Result<(), DbError> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(())
    }

    fn commit(&mut self, operations: usize) -> Result<(), DbError> {
        self.cache.flush(&self.connection)?;
        let begun = Instant::now();
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        self.shared.observer.committed(operations, begun.elapsed());
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), DbError> {
        self.cache.clear();
        self.space.forget();
        if !self.connection.is_autocommit() {
            self.connection.prepare_cached("ROLLBACK")?.execute([])?;
        }
        Ok(())
    }

    /// Ends the store: nothing is written any more, not even by closing, and everybody is told.
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

    /// Closes the database; the last connection to close writes the log back, unless the store has stopped.
    fn close(mut self) {
        self.checkpoints.close();
        if self.shared.stopped().is_some()
            && let Err(error) = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        {
            tracing::error!(%error, "the log will be written back");
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::error!(%error, "the database was not closed cleanly; its log will be read at the next start");
        }
    }
}
