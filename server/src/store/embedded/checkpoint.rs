//! Writing the log back into the database.
//!
//! A thread of its own does the bulk of it beside the writer, so that no commit waits for it; the writer then does the
//! little that is left between two transactions, after which SQLite begins the log anew. Every error is fatal: SQLite
//! itself would ignore a failed fsync here and call the same pages clean the next time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::connection::BUSY_TIMEOUT;
use super::error::DbError;
use super::shared::Shared;
use crate::store::StoreError;

/// Pages in the log before it is written back: 16 MiB, read again in a moment after a crash. With 40 MiB the tail at 1,000 messages
/// a second was longer, and fewer went from hand to hand.
const AFTER_PAGES: usize = 4_000;
/// Pages that an operation without ciphertexts is guessed to write.
const PAGES_A_JOB: usize = 3;
/// Bytes of a page.
const PAGE_BYTES: usize = 4_096;
/// How long the writer waits for readers to let the log go: longer than any of ours reads, far shorter than people wait.
const TRUNCATE_PATIENCE: Duration = Duration::from_millis(100);

/// The writer's end.
pub(super) struct Checkpoints {
    pages: usize,
    begin: SyncSender<()>,
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Starts the thread with its own connection.
    pub(super) fn spawn(connection: Connection, shared: Arc<Shared>) -> std::io::Result<Self> {
        let (begin, begun) = sync_channel(1);
        let done = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("store-checkpoint".to_owned()).spawn({
            let done = Arc::clone(&done);
            move || work(connection, &shared, &begun, &done)
        })?;
        Ok(Self { pages: 0, begin, done, thread: Some(thread) })
    }

    /// Notes what a transaction wrote.
    pub(super) const fn count(&mut self, jobs: usize, bytes: usize) {
        self.pages = self.pages.saturating_add(jobs.saturating_mul(PAGES_A_JOB)).saturating_add(bytes / PAGE_BYTES);
    }

    /// Between two transactions, when everybody has been answered.
    pub(super) fn after_commit(&mut self, connection: &Connection) -> Result<(), DbError> {
        if self.done.swap(false, Ordering::AcqRel) {
            checkpoint(connection)?;
        }
        if self.pages >= AFTER_PAGES && self.begin.try_send(()).is_ok() {
            self.pages = 0;
        }
        Ok(())
    }

    /// Ends the thread and its connection.
    pub(super) fn close(&mut self) {
        let (nobody, _) = sync_channel(0);
        self.begin = nobody;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the checkpoint thread failed unexpectedly");
        }
    }
}

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

/// Writes back what no reader needs any more; being held up by one is no error.
fn checkpoint(connection: &Connection) -> Result<(), DbError> {
    connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |_| Ok(()))?;
    Ok(())
}

/// Writes all of the log back and cuts it to nothing, so that nothing deleted is left in it; `false` when a reader or the
/// other thread was in the way. It holds up the writer, so it waits for nobody.
pub(super) fn truncate(connection: &Connection) -> Result<bool, DbError> {
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
