//! Writing the log back into the database.
//!
//! A thread of its own does most of it beside the writer, so that no commit waits for it. The writer then does the
//! little that is left between two transactions, after which SQLite begins the log anew. Every error is fatal: SQLite
//! itself would ignore a failed fsync here and treat the same pages as clean the next time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::shared::Shared;
use crate::store::embedded::connection::BUSY_TIMEOUT;
use crate::store::embedded::error::DbError;
use crate::store::error::StoreError;

/// Pages in the log after which it is written back: 16 MiB, which a start after a crash reads again in a moment. With
/// 40 MiB the tail latency at 1,000 messages a second was longer and the throughput lower.
const AFTER_PAGES: usize = 4_000;

/// Pages that an operation without ciphertexts is estimated to write.
const PAGES_A_JOB: usize = 3;

/// Bytes of a page.
const PAGE_BYTES: usize = 4_096;

/// How long the writer waits for readers to release the log: longer than any of our reads takes, and far shorter than
/// users wait.
const TRUNCATE_PATIENCE: Duration = Duration::from_millis(100);

/// The writer's end of the checkpoint thread.
pub(crate) struct Checkpoints {
    /// Pages estimated to be in the log.
    pages: usize,
    /// Asks the thread for a checkpoint.
    begin: SyncSender<()>,
    /// Set by the thread after a checkpoint.
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Starts the thread with its own connection.
    pub(crate) fn spawn(connection: Connection, shared: Arc<Shared>) -> std::io::Result<Self> {
        let (begin, begun) = sync_channel(1);
        let done = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("store-checkpoint".to_owned()).spawn({
            let done = Arc::clone(&done);
            move || work(connection, &shared, &begun, &done)
        })?;
        Ok(Self { pages: 0, begin, done, thread: Some(thread) })
    }

    /// Counts what a transaction wrote.
    pub(crate) const fn count(&mut self, jobs: usize, bytes: usize) {
        self.pages = self.pages.saturating_add(jobs.saturating_mul(PAGES_A_JOB)).saturating_add(bytes / PAGE_BYTES);
    }

    /// Begins or completes a checkpoint. Called between two transactions, when everything has been answered.
    pub(crate) fn after_commit(&mut self, connection: &Connection) -> Result<(), DbError> {
        if self.done.swap(false, Ordering::AcqRel) {
            checkpoint(connection)?;
        }
        if self.pages >= AFTER_PAGES && self.begin.try_send(()).is_ok() {
            self.pages = 0;
        }
        Ok(())
    }

    /// Ends the thread and its connection.
    pub(crate) fn close(&mut self) {
        let (nobody, _) = sync_channel(0);
        self.begin = nobody;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the checkpoint thread failed unexpectedly");
        }
    }
}

/// Runs the thread.
fn work(connection: Connection, shared: &Shared, begun: &Receiver<()>, done: &AtomicBool) {
    while begun.recv().is_ok() {
        match checkpoint(&connection) {
            Ok(()) => done.store(true, Ordering::Release),
            Err(error) => {
                let reason = format!("the log could not be written back: {}", StoreError::from(error));
                tracing::error!(reason, "the store has stopped");
                shared.stop(&reason);
                break;
            }
        }
    }
    if shared.stopped().is_some()
        && let Err(error) = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
    {
        tracing::error!(%error, "the log will be written back");
    }
}

/// Writes back what no reader needs any more. Being held up by a reader is not an error.
fn checkpoint(connection: &Connection) -> Result<(), DbError> {
    connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |_| Ok(()))?;
    Ok(())
}

/// Writes all of the log back and empties it, so that nothing deleted is left in it. Returns `false` if a reader or the
/// other thread was in the way. It holds up the writer, so it does not wait for them.
pub(crate) fn truncate(connection: &Connection) -> Result<bool, DbError> {
    connection.busy_timeout(TRUNCATE_PATIENCE)?;
    let outcome =
        connection.prepare_cached("PRAGMA wal_checkpoint(TRUNCATE)")?.query_row([], |row| row.get::<_, bool>(0));
    connection.busy_timeout(BUSY_TIMEOUT)?;
    match outcome.map_err(DbError::from) {
        Ok(busy) => Ok(!busy),
        Err(error) if error.is_fatal() => Err(error),
        Err(_) => Ok(false),
    }
}
