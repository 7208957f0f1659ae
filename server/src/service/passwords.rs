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

use crate::domain::clock::Random;

mod hasher;
mod outcome;
mod settings;

use hasher::{Hasher, Memory};
pub use outcome::{PasswordsError, Verdict};
pub use settings::{PasswordCost, PasswordSettings, QUEUE_MAX, SALT_BYTES};

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
