//! Password hashing: Argon2id on its own pool of threads, with a bounded queue.
//!
//! A hash costs 19 MiB and some 30 ms of a core. The number of threads bounds memory and cores, and the queue bounds
//! the waiting. Rate limits are checked before a password gets here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use parking_lot::Mutex;
use sealpost_api::password::Password;
use sealpost_sabotage::{Countermeasure, or_planted};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::domain::clock::Random;

mod hasher;

use hasher::{Hasher, Memory};

/// The most passwords that wait. At 20 hashes a second on one core, the last of them waits 2.5 s.
pub const QUEUE_MAX: usize = 50;
/// The length of a salt in bytes (RFC 9106 §4 recommends 16).
pub const SALT_BYTES: usize = 16;

/// The cost of one hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// The memory in KiB.
    pub memory_kib: u32,
    /// The passes over the memory.
    pub passes: u32,
}

/// The settings of password hashing.
#[derive(Clone)]
pub struct PasswordSettings {
    /// The memory in KiB. OWASP's first choice is 19 MiB with two passes.
    pub memory_kib: u32,
    /// The passes over the memory.
    pub passes: u32,
    /// The number of threads. Each keeps `memory_kib` from its first hash on.
    pub threads: usize,
    /// The parameters of earlier versions, for as long as accounts may still have such hashes. A wrong password costs
    /// one hash with each of them and one with today's, so that the time does not tell which accounts are old.
    pub earlier: Vec<PasswordCost>,
    /// The most passwords that wait.
    pub queue_max: usize,
    /// A secret kept apart from the database. Without it nobody can guess passwords from a stolen database.
    pub pepper: Option<Zeroizing<Vec<u8>>>,
}

impl Default for PasswordSettings {
    fn default() -> Self {
        // Half of the cores, so that logins leave the other half to messages.
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
    /// The queue is full; try again soon.
    #[error("too many passwords wait to be hashed")]
    Busy,
    /// The pool is gone.
    #[error("the pool that hashes passwords has stopped")]
    Stopped,
    /// The stored text is not a hash, or the parameters are impossible.
    #[error("a password could not be hashed: {0}")]
    Hash(String),
}

/// The result of comparing a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is wrong, or there is no account.
    Wrong,
    /// The password is right.
    Right,
    /// The password is right, but its hash has outdated parameters and should be replaced.
    RightButOutdated,
}

enum Work {
    Hash { password: Password, salt: [u8; SALT_BYTES], reply: oneshot::Sender<Result<String, PasswordsError>> },
    Verify { password: Password, hash: Option<String>, reply: oneshot::Sender<Result<Verdict, PasswordsError>> },
}

/// The pool of threads, which end when it is dropped.
pub struct Passwords {
    queue: SyncSender<Work>,
    random: Arc<dyn Random>,
    waiting: Arc<AtomicUsize>,
}

impl Passwords {
    /// Starts the threads, and makes the dummy hash with today's parameters.
    ///
    /// # Errors
    /// [`PasswordsError::Hash`] for impossible parameters, [`PasswordsError::Stopped`] if no thread could be started.
    pub fn new(settings: &PasswordSettings, random: Arc<dyn Random>) -> Result<Self, PasswordsError> {
        let hasher = Arc::new(Hasher::new(settings, random.as_ref())?);
        let queue_max = or_planted(Countermeasure::HashingQueue, settings.queue_max, QUEUE_MAX * 1_000);
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

    /// Hashes a password with a new salt, and returns its PHC string.
    ///
    /// # Errors
    /// [`PasswordsError`] if the queue is full or hashing failed.
    pub async fn hash(&self, password: Password) -> Result<String, PasswordsError> {
        let mut salt = [0; SALT_BYTES];
        self.random.fill(&mut salt);
        let (reply, answer) = oneshot::channel();
        self.enqueue(Work::Hash { password, salt, reply })?;
        answer.await.map_err(|_| PasswordsError::Stopped)?
    }

    /// Compares a password with a PHC string. Without one, compares it with a dummy at the same cost and returns that
    /// it is wrong.
    ///
    /// # Errors
    /// [`PasswordsError`]
    pub async fn verify(&self, password: Password, hash: Option<String>) -> Result<Verdict, PasswordsError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Work::Verify { password, hash, reply })?;
        answer.await.map_err(|_| PasswordsError::Stopped)?
    }

    /// Returns the number of waiting passwords.
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

/// The niceness of the pool's threads, from 0 to 19. A hash keeps a core busy for tens of ms, and messages should not
/// wait for its end.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Lowers the priority of the calling thread below every other. Only Linux sets niceness by thread.
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
        // A caller that is gone does not justify 30 ms of work.
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
