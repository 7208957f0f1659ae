//! The writer's transactions.
//!
//! Operations run one after the other without savepoints. When one fails in the database (a full disk, say), the whole
//! transaction is rolled back and each of its operations runs again in a transaction of its own, so that one failure
//! never affects the others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::cache::Cache;
use super::checkpoint::{self, Checkpoints};
use super::job::{Class, Job};
use super::shared::Shared;
use super::tx::Tx;
use crate::store::embedded::error::DbError;
use crate::store::embedded::space::Space;

/// The pause between two attempts to empty the log of erased data, while a reader is in the way.
pub(crate) const FORGET_AGAIN: Duration = Duration::from_millis(500);

/// The writing connection and everything that goes with its transactions.
pub(crate) struct Transactions {
    connection: Connection,
    cache: Cache,
    space: Space,
    checkpoints: Checkpoints,
    shared: Arc<Shared>,
    /// Bytes that this transaction has erased.
    erased: u64,
    /// Whether the log still holds what an operation deleted for good.
    forget: bool,
    /// The next attempt to empty the log is not made before this. Each attempt may take a while.
    forget_at: Instant,
}

impl Transactions {
    /// Transactions on this connection. With `forget` the log may hold erased data.
    pub(crate) fn new(
        connection: Connection,
        space: Space,
        checkpoints: Checkpoints,
        shared: Arc<Shared>,
        forget: bool,
    ) -> Self {
        let (cache, forget_at) = (Cache::default(), Instant::now());
        Self { connection, cache, space, checkpoints, shared, erased: 0, forget, forget_at }
    }

    /// Returns whether the log still holds erased data.
    pub(crate) const fn must_forget(&self) -> bool {
        self.forget
    }

    /// Empties the log if it holds erased data. A reader may be in the way; then it is tried again soon, but not after
    /// each transaction: a backup is in the way for minutes, and callers must not wait for every attempt.
    pub(crate) fn forget_deleted(&mut self) -> Result<(), DbError> {
        if self.forget && Instant::now() >= self.forget_at {
            self.forget = !checkpoint::truncate(&self.connection)?;
            self.forget_at = Instant::now().checked_add(FORGET_AGAIN).unwrap_or(self.forget_at);
        }
        Ok(())
    }

    /// Begins a transaction.
    pub(crate) fn begin(&mut self) -> Result<(), DbError> {
        self.space.forget();
        self.begin_only()?;
        self.space.count_reusable(&self.connection)
    }

    fn begin_only(&self) -> Result<(), DbError> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(())
    }

    /// Performs an operation in the transaction, and keeps the cache as its class demands.
    pub(crate) fn perform(&mut self, job: &mut dyn Job) -> Result<(), DbError> {
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

    /// Makes the transaction durable.
    pub(crate) fn commit(&mut self, operations: usize) -> Result<(), DbError> {
        self.cache.flush(&self.connection)?;
        let begun = Instant::now();
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        self.shared.observer.committed(operations, begun.elapsed());
        Ok(())
    }

    /// Counts what a transaction wrote to the log.
    pub(crate) fn count(&mut self, jobs: usize, bytes: usize) {
        let erased = usize::try_from(std::mem::take(&mut self.erased)).unwrap_or(usize::MAX);
        self.checkpoints.count(jobs, bytes.saturating_add(erased));
    }

    /// Begins or completes a checkpoint, when everything has been answered.
    pub(crate) fn after_commit(&mut self) -> Result<(), DbError> {
        self.checkpoints.after_commit(&self.connection)
    }

    /// Runs each operation of a failed transaction again, alone, and answers it. Fails only if the store must stop;
    /// `batch` then holds what was not answered.
    pub(crate) fn write_each(&mut self, batch: &mut Vec<Box<dyn Job>>) -> Result<(), DbError> {
        self.rollback()?;
        while !batch.is_empty() {
            let mut job = batch.remove(0);
            let written = self.begin_only().and_then(|()| self.perform(&mut *job)).and_then(|()| self.commit(1));
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
        self.after_commit()
    }

    fn rollback(&mut self) -> Result<(), DbError> {
        self.cache.clear();
        self.space.forget();
        if !self.connection.is_autocommit() {
            self.connection.prepare_cached("ROLLBACK")?.execute([])?;
        }
        Ok(())
    }

    /// Closes the database. The last connection to close writes the log back, unless the store has stopped.
    pub(crate) fn close(mut self) {
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
