//! When a front gives up waiting.

use std::time::Duration;

/// Why a wait ended before what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reached {
    /// The time is up.
    #[error("the time was up")]
    TimeUp,
    /// A person or a program said to stop, or nobody waits for the result any more.
    #[error("stopped before it was done")]
    Stopped,
}

/// What bounds one piece of a front's work. Each runtime brings its own, with its clock.
#[expect(async_fn_in_trait, reason = "a front waits on one thread, where futures need not be Send")]
pub trait Limit {
    /// Returns when it is time to give up.
    async fn reached(&self) -> Reached;

    /// Returns after this time.
    async fn pause(&self, time: Duration);

    /// Waits for something until it is time to give up.
    ///
    /// # Errors
    /// [`Reached`]
    async fn within<T>(&self, wanted: impl Future<Output = T>) -> Result<T, Reached> {
        tokio::select! {
            biased;
            done = wanted => Ok(done),
            reached = self.reached() => Err(reached),
        }
    }

    /// Waits for something for this time, whether or not it is time to give up. Returns `None` if it did not come.
    async fn soon<T>(&self, time: Duration, wanted: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = wanted => Some(done),
            () = self.pause(time) => None,
        }
    }
}
