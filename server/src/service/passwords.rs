//! Password hashing: Argon2id on a pool of its own, with a bounded queue.
//!
//! A hash costs 19 MiB and some 30 ms of a core, so what an attacker can make the server spend is bounded here: by the
//! number of threads (memory and cores) and by the queue (waiting). The limits are asked before anything comes here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use parking_lot::Mutex;
use sealpost_api::password::Password;
use sealpost_sabotage::{Countermeasure, without};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::domain::clock::Random;

mod hasher;

use hasher::{Hasher, Memory};

/// Passwords that wait. At 20 hashes a second on one core, the last of them waits 2.5 s.
pub const QUEUE_MAX: usize = 50;
/// Salt in bytes (RFC 9106 §4 recommends 16).
pub const SALT_BYTES: usize = 16;

/// What one hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
}

/// How passwords are hashed.
#[derive(Clone)]
pub struct PasswordSettings {
    /// Memory in KiB; OWASP's first choice is 19 MiB with two passes.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Threads that hash; each keeps `memory_kib` from its first hash on.
    pub threads: usize,
    /// What other versions of the program have hashed with, while accounts may still have such hashes. A wrong password costs
    /// one hash with each of them and one with today's, so that the time does not tell which accounts are old.
    pub earlier: Vec<PasswordCost>,
    /// Passwords that may wait.
    pub queue_max: usize,
    /// A secret that is kept apart from the database; without it a stolen database cannot be guessed at.
    pub pepper: Option<Zeroizing<Vec<u8>>>,
}

impl Default for PasswordSettings {
    fn default() -> Self {
        // Half of the cores, so that log-ins leave the other half to messages.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.div_ceil(2);
        Self { memory_kib: 19_456, passes: 2, earlier: Vec::new(), threads, queue_max: QUEUE_MAX, pepper: None }
    }
}

impl std::fmt::Debug for PasswordSettings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { memory_kib, passes, earlier, threads, queue_max, pepper } = self;
        let pepper = if pepper.is_some() { "with pepper" } else { "without pepper" };
        write!(
            formatter,
            "PasswordSettings(m={memory_kib}, t={passes}, p=1, {} earlier, {threads} threads, queue {queue_max}, {pepper})",
            earlier.len()
        )
    }
}

/// Why a password was neither hashed nor compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordsError {
    /// As many wait as may; try again soon.
    #[error("too many passwords wait to be hashed")]
    Busy,
    /// The pool is gone.
    #[error("the pool that hashes passwords has stopped")]
    Stopped,
    /// The stored hash is none, or the parameters are not possible.
    #[error("a password could not be hashed: {0}")]
    Hash(String),
}

/// What comparing a password gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Another password, or no such account.
    Wrong,
    /// The password.
    Right,
    /// The password, hashed with other parameters than today's: to be hashed anew.
    RightButOutdated,
}

enum Work {
    Hash { password: Password, salt: [u8; SALT_BYTES], reply: oneshot::Sender<Result<String, PasswordsError>> },
    Verify { password: Password, hash: Option<String>, reply: oneshot::Sender<Result<Verdict, PasswordsError>> },
}

/// The pool. Its threads end when it is dropped.
pub struct Passwords {
    queue: SyncSender<Work>,
    random: Arc<dyn Random>,
    waiting: Arc<AtomicUsize>,
}

impl Passwords {
    /// Starts the threads, and makes the dummy hash with today's parameters.
    ///
    /// # Errors
    /// [`PasswordsError::Hash`] for impossible parameters, [`PasswordsError::Stopped`] when no thread could be started.
    pub fn new(settings: &PasswordSettings, random: Arc<dyn Random>) -> Result<Self, PasswordsError> {
        let hasher = Arc::new(Hasher::new(settings, random.as_ref())?);
        let queue_max = if without(Countermeasure::HashingQueue) { QUEUE_MAX * 1_000 } else { settings.queue_max };
        let (queue, receiver) = sync_channel(queue_max);
        let receiver = Arc::new(Mutex::new(receiver));
        let waiting = Arc::new(AtomicUsize::new(0));
        for number in 0..settings.threads.max(1) {
            let (hasher, receiver, waiting) = (Arc::clone(&hasher), Arc::clone(&receiver), Arc::clone(&waiting));
            std::thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || work(&hasher, &receiver, &waiting))
                .map_err(|_| PasswordsError::Stopped)?;
        }
        Ok(Self { queue, random, waiting })
    }

    /// The PHC string of a password, with a new salt.
    ///
    /// # Errors
    /// [`PasswordsError`]
    pub async fn hash(&self, password: Password) -> Result<String, PasswordsError> {
        let mut salt = [0; SALT_BYTES];
        self.random.fill(&mut salt);
        let (reply, answer) = oneshot::channel();
        self.enqueue(Work::Hash { password, salt, reply })?;
        answer.await.map_err(|_| PasswordsError::Stopped)?
    }

    /// Compares a password with a PHC string. Without one it is compared with a dummy at the same cost, and is wrong.
    ///
    /// # Errors
    /// [`PasswordsError`]
    pub async fn verify(&self, password: Password, hash: Option<String>) -> Result<Verdict, PasswordsError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Work::Verify { password, hash, reply })?;
        answer.await.map_err(|_| PasswordsError::Stopped)?
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn enqueue(&self, work: Work) -> Result<(), PasswordsError> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.queue.try_send(work).map_err(|error| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => PasswordsError::Busy,
                TrySendError::Disconnected(_) => PasswordsError::Stopped,
            }
        })
    }
}

/// How far the pool's threads stand back (nice, from 0 to 19): a hash keeps a core busy for tens of ms, and a message that has
/// to pass should not wait for its end.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Lets every other thread of the machine go first. Only Linux counts niceness by thread.
fn stand_back() {
    #[cfg(target_os = "linux")]
    if rustix::process::setpriority_process(None, NICENESS).is_err() {
        tracing::debug!("the threads that hash passwords keep the usual priority");
    }
}

fn work(hasher: &Hasher, queue: &Mutex<Receiver<Work>>, waiting: &AtomicUsize) {
    stand_back();
    let mut memory = Memory::new();
    loop {
        // The lock is held while waiting: exactly one thread waits at the channel, the others at the lock.
        let Ok(work) = queue.lock().recv() else { return };
        waiting.fetch_sub(1, Ordering::Relaxed);
        // Whoever has gone away meanwhile is not worth 30 ms; whether they still listen for the answer is their matter.
        match work {
            Work::Hash { password, salt, reply } if !reply.is_closed() => {
                let _ = reply.send(hasher.hash(&password, &salt, &mut memory));
            }
            Work::Verify { password, hash, reply } if !reply.is_closed() => {
                let _ = reply.send(hasher.verify(&password, hash.as_deref(), &mut memory));
            }
            Work::Hash { .. } | Work::Verify { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests;
